import { isUtf8 } from 'node:buffer'
import type { AedesOptions, PublishPacket } from 'aedes'
import type { BusConfig } from '../config/schema.ts'
import type { Clock } from '../contracts/clock.ts'
import { CODES, type Code } from '../contracts/codes.ts'
import { PROTOCOL_VERSION, type Receipt } from '../contracts/envelope.ts'
import { MtorError, toMtorError } from '../contracts/errors.ts'
import type { SystemEventInput } from '../contracts/events.ts'
import { Claim, HandlerOffer, Work, type HandlerReceipt } from '../contracts/handlers.ts'
import type { Hub } from '../contracts/hub.ts'
import { UUIDV7_PATTERN } from '../contracts/ids.ts'
import type { Identity } from '../contracts/intents.ts'
import { NodeState } from '../contracts/telemetry.ts'
import type { Topics } from '../contracts/topics.ts'
import { validator } from '../contracts/validate.ts'
import type { BoundedPersistence } from './persistence.ts'
import type { Session } from './session.ts'
import type { FrameInspector } from './tap.ts'

export type Report = (session: Session | undefined, event: Omit<SystemEventInput, 'component'>) => void
type Done = Parameters<NonNullable<AedesOptions['authorizePublish']>>[2]

export interface InboundOptions {
  topics: Topics; node: string; hub: Hub; clock: Clock; limits: BusConfig['limits']
  persistence: BoundedPersistence
  report: Report
  send(topic: string, payload: unknown, done?: () => void): void
  submit(envelope: unknown, identity: Identity): Promise<Receipt>
  emergencyStop(reason: string): void
  deviceCommand?: ((device: string, payload: unknown, identity: Identity) => Promise<Receipt>) | undefined
  handlers?: HandlerPort | undefined
}

/** Who listens to what handlers say. @see ../contracts/handlers.ts */
export interface HandlerPort {
  /** @param isElsewhere it is connected to another node of the realm */
  offer(client: string, offer: HandlerOffer | undefined, isElsewhere?: boolean): unknown
  claim(id: string, claim: Claim): void
  work(id: string, work: Work): void
  /** The connection of a client has ended. */
  gone(client: string): void
}

/** Messages that the bus keeps to itself are given this topic: nobody may subscribe to it. */
const VOID_TOPIC = '$void'
const EMPTY = Buffer.alloc(0)
/** No topic of ours is that long; one of more than 100 levels would make aedes hang up. */
const MAX_TOPIC_BYTES = 512
const MAX_TOPIC_LEVELS = 32
const TOO_FAST_ANSWER_MS = 1000
/** How long a client that is being hung up on has to read why. */
const LAST_WORD_MS = 1000
const SLASH = 0x2f
const FRAME = { connect: 1, puback: 4, pubcomp: 7 }
const ID = /"id"\s*:\s*"([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})"/

const isId = new RegExp(UUIDV7_PATTERN)

const nodeState = validator(NodeState)
const offer = validator(HandlerOffer), claim = validator(Claim), work = validator(Work)
/** The level of a topic that names its client, intent, node or device. */
const NAMED_LEVEL = 4

/** What becomes of what clients send: first as frames at the socket (limits and the stop), then as messages. */
export class Inbound {
  readonly #options: InboundOptions
  readonly #submit: Buffer
  readonly #stop: Buffer
  readonly counts = { submissions: 0, rejected: 0, tooFast: 0, stops: 0 }

  constructor(options: InboundOptions) {
    this.#options = options
    this.#submit = Buffer.from(options.topics.submit)
    this.#stop = Buffer.from(options.topics.stop)
  }

  /** Looks at the frames of one socket, before the broker does. */
  inspector(session: Session): FrameInspector {
    const { clock } = this.#options
    return {
      chunk: () => session.bucket.refill(clock.monoMs()),
      publish: (buffer, topicStart, topicEnd, qos, messageId, payloadStart, end) => {
        const length = topicEnd - topicStart
        if (length === this.#stop.length && this.#stop.compare(buffer, topicStart, topicEnd) === 0) {
          // Known clients are heard here, at once; of others the hook below decides when they are known.
          if (session.identity && !session.verdict(this.#options.topics.stop).code) { session.stopsAhead++; this.#stopNow(session) }
          return true
        }
        const code: Code | undefined = !session.bucket.take() ? 'TOO_FAST' : length > 64 && tooDeep(buffer, topicStart, topicEnd) ? 'UNKNOWN_TOPIC' : undefined
        if (code === undefined || !session.identity) return true
        // MQTT 3.1.1 has no negative acknowledgement: the message is acknowledged, and the receipt says it was refused.
        if (qos === 1) session.write(Buffer.from([0x40, 2, messageId >> 8, messageId & 0xff]))
        else if (qos === 2) session.write(Buffer.from([0x50, 2, messageId >> 8, messageId & 0xff]))
        if (code === 'UNKNOWN_TOPIC') this.#refuse(session, code, `a topic of ${length} bytes: at most ${MAX_TOPIC_BYTES} bytes and ${MAX_TOPIC_LEVELS} levels`)
        else {
          const submission = length === this.#submit.length && this.#submit.compare(buffer, topicStart, topicEnd) === 0
          this.#tooFast(session, submission ? ID.exec(buffer.toString('latin1', payloadStart, Math.min(end, buffer.length)))?.[1] : undefined)
        }
        return false
      },
      other: (type) => {
        // Acknowledgements answer what we send, and CONNECT comes once; everything else costs a token.
        if (type === FRAME.connect || (type >= FRAME.puback && type <= FRAME.pubcomp) || session.bucket.take()) return true
        this.#hangUp(session, 'TOO_FAST', 'control packets beyond bus.limits.messagesPerSecond')
        return false
      },
      tooLarge: (bytes) => this.#hangUp(session, 'TOO_LARGE', `a packet of ${bytes} bytes, the limit is ${this.#options.limits.maxPacketBytes}`),
      malformed: (what) => this.#hangUp(session, 'MALFORMED', `not MQTT: ${what}`),
    }
  }

  /** The broker's hook: calling `done` lets it acknowledge and route. Never calls it with an error, which would hang up. */
  publish(session: Session, packet: PublishPacket, done: Done) {
    session.took(packet)
    const verdict = session.verdict(packet.topic)
    switch (verdict.handling) {
      case 'route': break
      case 'stop':
        if (session.stopsAhead > 0) session.stopsAhead--; else this.#stopNow(session)
        packet.retain = false // A retained stop would stop whoever subscribes next week.
        break
      case 'submit': this.#take(session, packet, done); return
      case 'command': this.#command(session, packet); break
      case 'offer': case 'claim': case 'work': this.#handler(session, packet, verdict.handling); break
      case 'json':
      case 'nodeState': {
        if (packet.payload.length === 0) break // Clears a retained state.
        const problem = this.#problem(verdict.handling, packet)
        if (problem) this.#reject(session, packet, problem.code, problem.message)
        break
      }
      case undefined:
        this.#reject(session, packet, verdict.code, verdict.code === 'UNKNOWN_TOPIC' ? `no topic ${quote(packet.topic)}` : `${session.identity?.role ?? 'nobody'} may not publish on ${quote(packet.topic)}`)
    }
    if (packet.retain && !this.#options.persistence.mayRetain(packet.topic)) this.#reject(session, packet, 'BUSY', 'too many retained topics')
    done(null)
  }

  /** Answers on the client's own receipt topic and raises an event. */
  refuse(session: Session, code: Code, message: string) { this.#refuse(session, code, message) }

  #stopNow(session: Session) {
    this.counts.stops++
    try { this.#options.emergencyStop(`MQTT client ${session.clientId}`) } catch (error) {
      this.#options.report(session, { severity: 'critical', name: 'stop.failed', code: 'INTERNAL', message: String(error) })
    }
  }

  #take(session: Session, packet: PublishPacket, done: Done) {
    const { topics, submit, send } = this.#options
    let envelope: unknown
    try { envelope = parse(packet.payload) } catch (error) {
      this.#reject(session, packet, 'MALFORMED', (error as Error).message)
      done(null)
      return
    }
    blank(session, packet)
    this.counts.submissions++
    submit(envelope, session.identity!).catch((error) => this.#rejection('INTERNAL', toMtorError(error).message)).then((receipt) => {
      if (!receipt.accepted) {
        this.counts.rejected++
        const { code, message } = receipt
        this.#options.report(session, { severity: 'warning', name: 'submission.rejected', ...(code ? { code } : {}), ...(message ? { message } : {}) })
      }
      // Only an id becomes a level of a topic: anything else could name another topic altogether.
      send(receipt.id !== null && isId.test(receipt.id) ? topics.receipt(receipt.id) : topics.clientReceipt(session.clientId), receipt)
      done(null)
    })
  }

  #command(session: Session, packet: PublishPacket) {
    const { deviceCommand } = this.#options
    const device = packet.topic.split('/')[NAMED_LEVEL]!
    try {
      if (!deviceCommand) throw new MtorError('NOT_FITTED', 'this node takes no device commands over MQTT: submit an intent')
      const payload = parse(packet.payload)
      blank(session, packet)
      void deviceCommand(device, payload, session.identity!).then((receipt) => this.#options.send(this.#options.topics.clientReceipt(session.clientId), receipt))
    } catch (error) {
      const { code, message } = toMtorError(error)
      this.#reject(session, packet, code, message)
    }
  }

  /** What a handler says of itself or of an intent; only under its own client id. */
  #handler(session: Session, packet: PublishPacket, handling: 'offer' | 'claim' | 'work') {
    const { handlers } = this.#options
    const named = packet.topic.split('/')[NAMED_LEVEL]!
    try {
      if (!handlers) throw new MtorError('NOT_FITTED', 'this node has no place for handlers')
      const own = (client: string) => { if (client !== session.clientId) throw new MtorError('UNAUTHORISED', `a handler speaks under its own client id ${session.clientId}, got ${quote(client)}`) }
      if (handling === 'offer') {
        own(named)
        handlers.offer(named, packet.payload.length === 0 ? undefined : offer.assert(parse(packet.payload), 'INVALID_ENVELOPE', 'offer'))
        return
      }
      if (!isId.test(named)) throw new MtorError('UNKNOWN_TOPIC', `${quote(named)} is no id of an intent`)
      packet.retain = false
      if (handling === 'claim') {
        const said = claim.assert(parse(packet.payload), 'INVALID_ENVELOPE', 'claim')
        own(said.handler)
        handlers.claim(named, said)
      } else {
        const said = work.assert(parse(packet.payload), 'INVALID_ENVELOPE', 'work')
        own(said.handler)
        handlers.work(named, said)
      }
    } catch (error) {
      const { code, message } = toMtorError(error)
      this.#reject(session, packet, code, message)
      if (handling === 'offer' && handlers) this.#options.send(this.#options.topics.handlerReceipt(session.clientId), { v: PROTOCOL_VERSION, accepted: false, problems: [{ code, message }], at: this.#options.hub.now() } satisfies HandlerReceipt)
    }
  }

  /** What a handler at another node has said; the bus there has checked who it is. */
  carried(topic: string, payload: Buffer) {
    const { handlers, topics } = this.#options
    const [kind, named, what] = topic.slice(topics.root.length + 1).split('/')
    if (!handlers || named === undefined) return
    if (kind === 'handler' && what === 'offer') handlers.offer(named, payload.length === 0 ? undefined : offer.assert(parse(payload), 'INVALID_ENVELOPE', 'offer'), true)
    else if (kind === 'intent' && what === 'claim') handlers.claim(named, claim.assert(parse(payload), 'INVALID_ENVELOPE', 'claim'))
    else if (kind === 'intent' && what === 'work') handlers.work(named, work.assert(parse(payload), 'INVALID_ENVELOPE', 'work'))
  }

  /** The connection of a client of another node has ended. */
  gone(client: string) { this.#options.handlers?.gone(client) }

  #problem(handling: 'json' | 'nodeState', packet: PublishPacket): MtorError | undefined {
    try {
      const value = parse(packet.payload)
      if (handling === 'json') return undefined
      const state = nodeState.assert(value, 'INVALID_ENVELOPE', 'node state')
      const node = packet.topic.split('/')[NAMED_LEVEL]
      if (state.node !== node) return new MtorError('INVALID_ENVELOPE', `node state: expected node ${node}, got ${state.node}`)
      if (node === this.#options.node) return new MtorError('UNAUTHORISED', `${node} is this node, which speaks for itself`)
    } catch (error) { return toMtorError(error) }
  }

  #reject(session: Session, packet: PublishPacket, code: Code, message: string) {
    blank(session, packet)
    this.#refuse(session, code, message)
  }

  #refuse(session: Session, code: Code, message: string) {
    this.counts.rejected++
    this.#options.send(this.#options.topics.clientReceipt(session.clientId), this.#rejection(code, message))
    this.#options.report(session, { severity: 'warning', name: 'message.rejected', code, message })
  }

  #rejection(code: Code, message: string, id: string | null = null): Receipt {
    return { v: PROTOCOL_VERSION, id, accepted: false, code, message, say: CODES[code].say, hint: CODES[code].hint, at: this.#options.hub.now() }
  }

  /** Counts every dropped message; says so at once, then once a second, so that the answers are no flood of their own. */
  #tooFast(session: Session, id: string | undefined) {
    this.counts.tooFast++
    session.dropped++
    if (id !== undefined && session.replies.pass() !== undefined) this.#options.send(this.#options.topics.receipt(id), this.#rejection('TOO_FAST', `beyond ${this.#options.limits.messagesPerSecond} messages a second`, id))
    if (!session.droppedTimer) this.#answerDropped(session)
  }

  #answerDropped(session: Session) {
    const { clock, limits, topics, send, report } = this.#options
    session.droppedTimer = undefined
    if (session.dropped === 0) return
    const message = `beyond ${limits.messagesPerSecond} messages a second: messages dropped since the last such answer: ${session.dropped}`
    send(topics.clientReceipt(session.clientId), this.#rejection('TOO_FAST', message))
    report(session, { severity: 'warning', name: 'message.rejected', code: 'TOO_FAST', message })
    session.dropped = 0
    if (!session.connection.stream.destroyed) session.droppedTimer = clock.setTimeout(() => this.#answerDropped(session), TOO_FAST_ANSWER_MS)
  }

  /** To be called when the connection has gone; `isReplaced`: the client has come back meanwhile. */
  closed(session: Session, isReplaced: boolean) {
    this.#options.clock.clearTimeout(session.droppedTimer)
    this.#answerDropped(session)
    if (!isReplaced && session.clientId !== '') this.#options.handlers?.gone(session.clientId)
  }

  /** Says why on the receipt topic, then closes: at once for strangers, else when that was read or a second later. */
  #hangUp(session: Session, code: Code, message: string) {
    const { clock, topics, send, report } = this.#options
    const { stream } = session.connection
    this.counts.rejected++
    report(session, { severity: 'warning', name: 'client.refused', code, message })
    if (!session.client?.connected) { stream.destroy(); return }
    // Destroying at once would reset the connection while the client is still sending, and it would never read the answer.
    const timer = clock.setTimeout(() => stream.destroy(), LAST_WORD_MS)
    stream.once('close', () => clock.clearTimeout(timer))
    send(topics.clientReceipt(session.clientId), this.#rejection(code, message), () => stream.end())
  }
}

function blank(session: Session, packet: PublishPacket) {
  session.landed(packet, 0)
  packet.topic = VOID_TOPIC
  packet.payload = EMPTY
  packet.retain = false
}

/** @throws MtorError MALFORMED */
function parse(payload: Buffer | string): unknown {
  if (typeof payload !== 'string' && !isUtf8(payload)) throw new MtorError('MALFORMED', 'expected UTF-8')
  try { return JSON.parse(payload.toString()) } catch (error) { throw new MtorError('MALFORMED', `expected JSON: ${(error as Error).message.slice(0, 200)}`, { cause: error }) }
}

const quote = (topic: string) => JSON.stringify(topic.length > 100 ? `${topic.slice(0, 100)}…` : topic)

function tooDeep(buffer: Buffer, start: number, end: number): boolean {
  if (end - start > MAX_TOPIC_BYTES) return true
  let levels = 1
  for (let i = start; i < end; i++) if (buffer[i] === SLASH) levels++
  return levels > MAX_TOPIC_LEVELS
}
