import { randomBytes } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { isCode } from '../../contracts/codes.ts'
import type { Clock, Timer } from '../../contracts/clock.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import { validator } from '../../contracts/validate.ts'
import { SignedList } from '../list.ts'
import { encodeFrame, FrameReader, MAX_FRAME_BYTES, type Frame } from './frames.ts'
import { helloValidator, type Hello } from './hello.ts'
import { Assembly, Outbox, type Priority } from './outbox.ts'
import { Pulse } from './pulse.ts'
import { MIN_WINDOW_BYTES, SendWindow } from './window.ts'

/** The first frame of a link carries the member list. */
const MAX_HELLO_BYTES = 1024 * 1024
/** The list in a goodbye must fit into one frame, with the backslashes that JSON adds. */
const MAX_FAREWELL_CHARACTERS = 24 * 1024
const signedValidator = validator(SignedList)
/** How long a link that was replaced may take to send the rest of what it had been given. */
const RETIRE_MS = 1_000

/** silent: nothing comes. unheard: it comes, but the other does not hear us. refused: one of the two does not want the other. */
export type CloseReason = 'closed' | 'silent' | 'unheard' | 'late' | 'malformed' | 'refused' | 'replaced' | 'stopped'
export interface Closing { reason: CloseReason; error?: MtorError; byPeer: boolean }

export interface LinkOptions {
  socket: TLSSocket
  /** The node that dialled. */
  dialler: string
  self: string
  /** Name and serial number of the other's certificate, as TLS has proven them. */
  node: string
  serial: string
  clock: Clock
  heartbeatMs: number
  offlineAfterMs: number
  maxMessageBytes: number
  maxQueueBytes: number
  /** What we say first. */
  hello(link: Link): Hello
  /** Judges what the other says first. @throws MtorError to refuse it */
  onHello(link: Link, hello: Hello): void
  /** Both have greeted each other. */
  onUp(link: Link): void
  /** msg, req, res, err and cancel. @throws MtorError to close the link */
  onFrame(link: Link, frame: Frame): void
  onClose(link: Link, closing: Closing): void
  /** Our member list, which says why somebody is refused; and theirs, when it is us. */
  list(): SignedList
  onList(list: SignedList): void
}

/**
 * One TLS connection between two nodes: greeting, then frames both ways with a heartbeat. Who was dialled greets
 * second, so that its greeting says that the other was accepted.
 */
export class Link {
  readonly id = randomBytes(8).toString('hex')
  readonly node: string
  readonly serial: string
  readonly dialler: string
  readonly pulse: Pulse
  hello: Hello | undefined
  /** When its socket is closed: the last words have got out, or never will. */
  readonly ended: Promise<void>
  readonly #options: LinkOptions
  readonly #reader = new FrameReader(MAX_HELLO_BYTES)
  readonly #outbox: Outbox
  readonly #window = new SendWindow()
  readonly #assembly: Assembly
  #state: 'greeting' | 'up' | 'retired' | 'closed' = 'greeting'
  #timer: Timer | undefined
  #sent = 0
  #confirmed = 0
  #received = 0
  #confirmedToPeer = 0

  constructor(options: LinkOptions) {
    this.#options = options
    this.node = options.node
    this.serial = options.serial
    this.dialler = options.dialler
    this.ended = new Promise((resolve) => { options.socket.once('close', () => resolve()) })
    const { clock, heartbeatMs, offlineAfterMs } = options
    this.pulse = new Pulse({ clock, heartbeatMs, offlineAfterMs, onRtt: (rttMs) => this.#window.measured(rttMs) })
    this.#outbox = new Outbox(options.maxQueueBytes)
    this.#assembly = new Assembly(options.maxMessageBytes)
  }

  get isUp() { return this.#state === 'up' }
  get queuedBytes() { return this.#outbox.bytes }

  start(): void {
    const { socket, clock, offlineAfterMs, dialler, self } = this.#options
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('error', () => {})
    socket.on('end', () => { if (this.#state === 'up') this.#finish({ reason: 'closed', byPeer: true }) })
    socket.on('close', () => this.#finish({ reason: 'closed', byPeer: true }))
    this.#timer = clock.setTimeout(() => this.close({ reason: 'late', byPeer: false }), Math.max(1_000, 2 * offlineAfterMs))
    if (dialler === self) this.#write({ ...this.#options.hello(this) })
  }

  /** Queues a frame; false when it cannot be taken: the link is down or the queue is full. */
  send(priority: Priority, frame: Buffer): boolean {
    if (this.#state !== 'up') return false
    // What is urgent waits for no window, but a peer that reads nothing must not fill our memory with it.
    if (priority === 0 && this.#options.socket.writableLength > this.#options.maxQueueBytes) return false
    if (!this.#outbox.push(priority, frame)) return false
    this.#pump()
    return true
  }

  /** Another link has taken its place: sends what it was given, hears out the other, and ends. */
  retire(): void {
    if (this.#state !== 'up') { this.close({ reason: 'replaced', byPeer: false }); return }
    this.#state = 'retired'
    this.#options.clock.clearTimeout(this.#timer)
    this.#timer = this.#options.clock.setTimeout(() => this.close({ reason: 'replaced', byPeer: false }), RETIRE_MS)
    this.#pump()
  }

  /** Ends it now; the other is told why where that is of use. */
  close(closing: Closing): void {
    if (this.#state === 'closed') return
    const { socket } = this.#options
    if (closing.reason === 'refused' || closing.reason === 'malformed' || closing.reason === 'stopped') {
      const { error } = closing
      const list = error?.code === 'NOT_A_MEMBER' ? this.#options.list() : undefined
      try {
        socket.end(encodeFrame({
          t: 'bye', reason: closing.reason, ...(error ? { code: error.code, message: error.message.slice(0, 500) } : {}),
          // So that a node that was removed learns of it, and asks no more.
          ...(list && list.text.length < MAX_FAREWELL_CHARACTERS ? { list } : {}),
        }))
      } catch { /* It has gone already. */ }
      this.#finish(closing)
      const { clock } = this.#options
      // The last words have a moment to get out.
      const timer = clock.setTimeout(() => socket.destroy(), 200)
      socket.once('close', () => clock.clearTimeout(timer))
      return
    }
    this.#finish(closing)
    socket.destroy()
  }

  #finish(closing: Closing): void {
    if (this.#state === 'closed') return
    const replaced = this.#state === 'retired'
    this.#state = 'closed'
    this.#options.clock.clearTimeout(this.#timer)
    if (closing.byPeer && closing.reason === 'closed') this.#options.socket.destroy()
    this.#options.onClose(this, replaced ? { reason: 'replaced', byPeer: closing.byPeer } : closing)
  }

  #read(chunk: Buffer): void {
    if (this.#state === 'closed') return
    this.pulse.heard()
    try {
      for (const frame of this.#reader.read(chunk)) {
        this.#take(frame)
        if ((this.#state as string) === 'closed') return
      }
    } catch (thrown) {
      const error = toMtorError(thrown, 'MALFORMED')
      this.close({ reason: error.code === 'NOT_A_MEMBER' || error.code === 'VERSION_MISMATCH' ? 'refused' : 'malformed', error, byPeer: false })
    }
  }

  #take(frame: Frame): void {
    const { header } = frame
    if (header.t === 'bye') { this.#byeOf(header); return }
    if (this.hello === undefined) { this.#greeted(header); return }
    switch (header.t) {
      case 'beat': this.#confirmedBy(this.pulse.take(header)); return
      case 'ack': this.#confirmedBy(header.a); return
      case 'part': case 'msg': case 'req': case 'res': case 'err': case 'cancel': {
        this.#count(frame)
        const whole = header.t === 'part' ? this.#assembly.add(frame) : frame
        if (whole) this.#options.onFrame(this, whole)
        return
      }
      default: throw new MtorError('MALFORMED', `a frame of unknown type ${JSON.stringify(header.t.slice(0, 20))}`)
    }
  }

  #greeted(header: Frame['header']): void {
    const { onHello, dialler, self, clock } = this.#options
    const hello = helloValidator.assert(header, 'MALFORMED', 'hello')
    onHello(this, hello)
    if (this.#state === 'closed') return
    this.#reader.maxBytes = MAX_FRAME_BYTES
    if (dialler !== self) this.#write({ ...this.#options.hello(this) })
    this.hello = hello
    this.#state = 'up'
    clock.clearTimeout(this.#timer)
    this.pulse.begin()
    this.#beat()
    this.#options.onUp(this)
  }

  #beat(): void {
    const { clock, heartbeatMs } = this.#options
    const trouble = this.pulse.trouble()
    if (trouble) { this.close({ reason: trouble, byPeer: false }); return }
    this.#confirmedToPeer = this.#received
    this.#write(this.pulse.next(this.#received))
    this.#timer = clock.setTimeout(() => this.#beat(), heartbeatMs)
  }

  #byeOf({ reason, code, message, list }: Frame['header']): void {
    if (signedValidator.check(list)) this.#options.onList(list)
    const error = new MtorError(isCode(code) ? code : 'NODE_UNREACHABLE', typeof message === 'string' ? message.slice(0, 500) : 'the other node ended the link')
    this.#finish({ reason: reason === 'stopped' ? 'stopped' : reason === 'malformed' ? 'malformed' : 'refused', error, byPeer: true })
    this.#options.socket.destroy()
  }

  /** Bytes of messages are confirmed, so that the other knows how much is still under way. */
  #count({ wireBytes }: Frame): void {
    this.#received += wireBytes
    if (this.#received - this.#confirmedToPeer < MIN_WINDOW_BYTES / 2) return
    this.#confirmedToPeer = this.#received
    this.#write({ t: 'ack', a: this.#received })
  }

  #confirmedBy(confirmed: unknown): void {
    if (typeof confirmed !== 'number' || confirmed < this.#confirmed || confirmed > this.#sent) throw new MtorError('MALFORMED', 'a confirmation of what was not sent')
    this.#confirmed = confirmed
    this.#pump()
  }

  #pump(): void {
    for (;;) {
      const frame = this.#outbox.next(this.#window.isFull(this.#sent - this.#confirmed))
      if (!frame) break
      this.#sent += frame.length
      this.#options.socket.write(frame)
    }
    if (this.#state === 'retired' && this.#outbox.bytes === 0) this.#options.socket.end()
  }

  #write(header: Frame['header']): void { this.#options.socket.write(encodeFrame(header)) }
}
