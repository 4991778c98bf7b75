import { randomBytes } from 'node:crypto'
import Type from 'typebox'
import type { Item } from '../../bus/mesh/index.ts'
import type { Clock } from '../../contracts/clock.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import { NodeAddress } from '../../contracts/realm.ts'
import { validator } from '../../contracts/validate.ts'
import { decodeItems, encodeItems } from './items.ts'
import { Outgoing } from './outgoing.ts'

const Id = Type.String({ pattern: '^[0-9a-f]{16}$' })
const Count = Type.Integer({ minimum: 0 })
const Position = Type.Object({ stream: Id, seq: Count })

/** The first word when two nodes meet, and the answer to it. */
const Hi = Type.Object({
  op: Type.Literal('hi'),
  session: Type.String({ ...Id, description: 'Of this start of the broker there' }),
  answers: Type.Boolean(),
  timeUs: Count,
  addresses: Type.Array(Type.Unknown(), { maxItems: 32 }),
  got: Type.Optional(Type.Object({ ...Position.properties }, { description: 'What it has of ours' })),
})
const Data = Type.Object({ op: Type.Literal('data'), stream: Id, seq: Type.Integer({ minimum: 1 }), items: Type.Array(Type.Unknown(), { maxItems: 10_000 }), who: Type.Array(Type.Unknown()) })
const Got = Type.Object({ op: Type.Literal('got'), ...Position.properties, again: Type.Optional(Type.Boolean()) })
/** As the next version may say it: with more in it, or of a kind that is not known here, which is passed over. */
const addressValidator = validator(Type.Object({ ...NodeAddress.properties }))
const hiValidator = validator(Hi), dataValidator = validator(Data), gotValidator = validator(Got)

/** Messages of one node that our own subscribers have not all taken: beyond this we do not confirm, and it sends no more. */
const MAX_UNDER_WAY_BYTES = 1024 * 1024
const MESSAGE_BYTES = 512
/** What was sent and not confirmed for so long is sent again; the link itself loses nothing unless its own queue is full. */
const RESEND_MS = 1_000

export interface BusLinkOptions {
  self: string
  node: string
  clock: Clock
  maxQueueBytes: number
  /** Of our broker; undefined while it does not run. */
  session(): string | undefined
  nowUs(): number
  addresses(): NodeAddress[]
  send(message: unknown): void
  snapshot(): { clients: Item[]; retained: Item[] }
  /** The other's broker is there; of another session, it was started anew. */
  onMet(timeUs: number, session: string): void
  onItem(item: Item, done: () => void): void
  report(name: string, error: MtorError, data?: Record<string, unknown>): void
}

/**
 * The buses of two nodes. What one tells arrives in order and once, also over a link that was lost and is there again:
 * it is numbered and confirmed, and kept till then.
 */
export class BusLink {
  addresses: NodeAddress[] = []
  readonly #o: BusLinkOptions
  readonly #outgoing: Outgoing
  /** Numbers count within it; anew whenever either end knows nothing of the other. */
  #stream = newStream()
  #incoming: { stream: string; seq: number } | undefined
  #session: string | undefined
  #ownSession: string | undefined
  #isUp = false
  #isConfirming = false
  #isPumping = false
  #underWayBytes = 0
  #heardAtMs = 0

  constructor(options: BusLinkOptions) {
    this.#o = options
    this.#outgoing = new Outgoing(options.maxQueueBytes)
  }

  /** Both have greeted each other since the link came up. */
  get isUp() { return this.#isUp }
  get queue() { return { bytes: this.#outgoing.bytes, waiting: this.#outgoing.waiting, unacknowledged: this.#outgoing.unacknowledged } }

  /** The link is there (again). */
  greet(answers = false): void {
    const session = this.#o.session()
    if (session === undefined) return
    this.#o.send({ op: 'hi', session, answers, timeUs: this.#o.nowUs(), addresses: this.#o.addresses(), ...(this.#incoming ? { got: this.#incoming } : {}) })
  }

  /** The link is lost. */
  down(): void { this.#isUp = false }

  push(item: Item): void {
    // Whoever was never met is told everything that counts when it is.
    if (this.#session === undefined) return
    this.#outgoing.push(item, this.#o.clock.monoMs(), !this.#isUp)
    if (!this.#isPumping && this.#isUp) { this.#isPumping = true; setImmediate(() => { this.#isPumping = false; this.#pump() }) }
  }

  /** What has to be done now and then. */
  tick(): void {
    const { clock, report } = this.#o
    const dropped = this.#outgoing.takeDropped()
    if (dropped > 0 && this.#isUp) report('peer.overflow', new MtorError('BUSY', `${this.#o.node} does not keep up: ${dropped} messages to it were dropped, the oldest of QoS 0 first`), { dropped })
    if (!this.#isUp) { this.#outgoing.expire(clock.monoMs()); return }
    if (this.#outgoing.isIncomplete && this.#outgoing.waiting === 0) this.#putSnapshot()
    if (this.#outgoing.unacknowledged > 0 && clock.monoMs() - this.#heardAtMs > RESEND_MS) this.#again()
    this.#pump()
  }

  take(message: unknown): void {
    switch ((message as { op?: unknown } | null)?.op) {
      case 'hi': this.#takeHi(hiValidator.assert(message, 'MALFORMED', 'hi')); return
      case 'data': this.#takeData(message as { bytes?: unknown }); return
      case 'got': this.#takeGot(gotValidator.assert(message, 'MALFORMED', 'got')); return
      default:
        // The next version may have more to say.
        if (typeof (message as { op?: unknown } | null)?.op !== 'string') throw new MtorError('MALFORMED', `${this.#o.node} says what is not understood`)
    }
  }

  #takeHi({ session, answers, timeUs, addresses, got }: Type.Static<typeof Hi>): void {
    const own = this.#o.session()
    if (own === undefined) return
    const isSame = session === this.#session && own === this.#ownSession
    if (!answers) this.greet(true)
    this.addresses = addresses.flatMap((one) => addressValidator.check(one) ? [{ kind: one.kind, host: one.host, port: one.port, tls: one.tls }] : [])
    this.#o.onMet(timeUs, session)
    if (!isSame) {
      // One of the two knows nothing of the other.
      if (own !== this.#ownSession) this.#outgoing.clear()
      this.#incoming = undefined
      this.#session = session
      this.#ownSession = own
      this.#restart()
    } else if (!this.#isUp || !answers) {
      if (got?.stream === this.#stream) this.#outgoing.acknowledge(got.seq)
      this.#again()
      if (this.#outgoing.isIncomplete) this.#putSnapshot()
    }
    this.#isUp = true
    this.#pump()
  }

  #takeData(message: { bytes?: unknown }): void {
    const { stream, seq, items: tuples, who } = dataValidator.assert({ ...message, bytes: undefined }, 'MALFORMED', 'data')
    const { node, onItem, report } = this.#o
    if (this.#session === undefined || this.#o.session() === undefined) return
    if (this.#incoming?.stream !== stream) {
      if (seq !== 1) { this.#o.send({ op: 'got', stream, seq: 0, again: true }); return }
      this.#incoming = { stream, seq: 0 }
    }
    const incoming = this.#incoming
    // One is missing: the link's own queue was full, or an older link has ended before its last words were read.
    if (seq > incoming.seq + 1) { this.#o.send({ op: 'got', ...incoming, again: true }); return }
    let items: (Item | undefined)[] = []
    try { items = decodeItems(node, { items: tuples, who, bytes: message.bytes instanceof Uint8Array ? message.bytes : Buffer.alloc(0) }) } catch (error) {
      // Sent again it would be as wrong: it is let go, and told.
      report('peer.malformed', toMtorError(error))
    }
    const known = incoming.seq
    incoming.seq = Math.max(known, seq + tuples.length - 1)
    items.forEach((item, index) => {
      if (!item || seq + index <= known) return
      const bytes = MESSAGE_BYTES + (item.kind === 'publish' ? item.payload.length : 0)
      this.#underWayBytes += bytes
      let isDone = false
      try {
        onItem(item, () => {
          if (isDone) return
          isDone = true
          this.#underWayBytes -= bytes
          if (this.#isConfirming && this.#underWayBytes <= MAX_UNDER_WAY_BYTES / 2) this.#confirm()
        })
      } catch (error) { report('peer.malformed', toMtorError(error)) }
    })
    if (this.#isConfirming) return
    this.#isConfirming = true
    if (this.#underWayBytes <= MAX_UNDER_WAY_BYTES) setImmediate(() => this.#confirm())
  }

  #confirm(): void {
    if (!this.#isConfirming) return
    this.#isConfirming = false
    if (this.#incoming) this.#o.send({ op: 'got', ...this.#incoming })
  }

  #takeGot({ stream, seq, again }: Type.Static<typeof Got>): void {
    if (stream !== this.#stream) return
    this.#heardAtMs = this.#o.clock.monoMs()
    const isWhole = this.#outgoing.acknowledge(seq)
    if (again) { if (isWhole) this.#again(); else this.#restart() }
    this.#pump()
  }

  #restart(): void {
    this.#stream = newStream()
    this.#outgoing.restart()
    this.#putSnapshot()
  }

  #putSnapshot(): void { this.#outgoing.putSnapshot(this.#o.snapshot(), this.#o.clock.monoMs()) }

  #again(): void {
    this.#heardAtMs = this.#o.clock.monoMs()
    for (const { seq, items } of this.#outgoing.again()) this.#send(seq, items)
  }

  #pump(): void {
    if (!this.#isUp) return
    if (this.#outgoing.unacknowledged === 0) this.#heardAtMs = this.#o.clock.monoMs()
    for (let batch = this.#outgoing.next(); batch; batch = this.#outgoing.next()) this.#send(batch.seq, batch.items)
  }

  #send(seq: number, items: readonly Item[]): void {
    try { this.#o.send({ op: 'data', stream: this.#stream, seq, ...encodeItems(this.#o.self, items) }) } catch (error) {
      this.#o.report('peer.unsendable', toMtorError(error), { topics: items.flatMap((item) => item.kind === 'publish' ? [item.topic] : []).slice(0, 5) })
    }
  }
}

const newStream = () => randomBytes(8).toString('hex')
