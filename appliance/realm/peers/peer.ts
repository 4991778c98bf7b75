import type { Clock, Timer } from '../../contracts/clock.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { SystemEventInput } from '../../contracts/events.ts'
import type { Versions } from '../upgrade/versions.ts'
import type { Link, Closing } from './link.ts'
import type { Priority } from './outbox.ts'
import { Answering, Asking } from './requests.ts'

const FIRST_RETRY_MS = 50
const LONGEST_RETRY_MS = 2_000
/** The node with the higher name dials this much later, so that usually only one of the two does; but it does, because one way may be blocked. */
const SECOND_DIALLER_MS = 250

export interface PeerOptions {
  self: string
  node: string
  clock: Clock
  random(): number
  /** Opens a link and has it greet; resolves with it once it was begun. @throws MtorError */
  dial(signal: AbortSignal): Promise<Link>
  /** False while there is no use in dialling: it, or this node itself, is no member. */
  wanted(): boolean
  report(event: Omit<SystemEventInput, 'component'>): void
  onChange(): void
}

/** One other node: dials it while there is no link, chooses among two, and knows what is asked and answered. */
export class Peer {
  readonly node: string
  readonly asking: Asking
  readonly answering = new Answering()
  readonly #options: PeerOptions
  #link: Link | undefined
  #dialling: AbortController | undefined
  #attempt: Link | undefined
  #timer: Timer | undefined
  #retryMs = 0
  #stopped = false
  #trouble = ''
  #heardAtMs = -Infinity
  /** Our last link while it is given up and none has taken its place: the other may not have noticed. */
  lost: string | undefined
  offline: string | undefined = 'not yet reached'
  version: string | undefined
  versions: Versions | undefined
  instance: string | undefined
  dropped = 0

  constructor(options: PeerOptions) {
    this.#options = options
    this.node = options.node
    this.asking = new Asking(options.clock)
  }

  get link(): Link | undefined { return this.#link }
  get lastHeardMs(): number { return this.#link ? this.#link.pulse.silentMs : this.#options.clock.monoMs() - this.#heardAtMs }

  /** Dials unless there is a link, or a try, already. */
  wake(): void {
    if (this.#link || this.#dialling || this.#attempt || this.#timer || this.#stopped || !this.#options.wanted()) return
    const { self, clock, random } = this.#options
    const delayMs = (this.#retryMs + (self < this.node ? 0 : SECOND_DIALLER_MS)) * (0.75 + random() / 2)
    this.#timer = clock.setTimeout(() => { this.#timer = undefined; void this.#dial() }, delayMs)
  }

  /** A link that has greeted. Of two the same one stays at both ends. */
  offer(link: Link): void {
    const current = this.#link
    if (this.#stopped) { link.close({ reason: 'stopped', byPeer: false }); return }
    if (current && !this.#isBetter(link, current)) { link.retire(); return }
    const isNew = this.instance !== undefined && this.instance !== link.hello!.instance
    if (isNew) this.#forget(`${this.node} was started anew`)
    this.#link = link
    this.version = link.hello!.version
    this.instance = link.hello!.instance
    this.offline = undefined
    this.lost = undefined
    this.#retryMs = 0
    this.#trouble = ''
    if (this.#attempt !== link) this.#dialling?.abort()
    this.#options.clock.clearTimeout(this.#timer)
    this.#timer = undefined
    if (current) current.retire()
    else this.#options.report({ severity: 'info', name: 'node.online', message: `${this.node} is online (${this.version})`, data: { node: this.node, dialledBy: link.dialler } })
    this.#options.onChange()
  }

  /** A link has ended, the one in use or another. */
  closed(link: Link, { reason, error, byPeer }: Closing): void {
    if (this.#attempt === link) this.#attempt = undefined
    if (error && (reason === 'refused' || reason === 'malformed')) this.#complain(reason, error, byPeer)
    if (this.#link !== link) { this.wake(); return }
    this.#link = undefined
    this.#heardAtMs = this.#options.clock.monoMs() - link.pulse.silentMs
    this.lost = link.id
    this.offline = reason
    this.#retryMs = reason === 'refused' ? LONGEST_RETRY_MS : FIRST_RETRY_MS
    this.#forget(`${this.node} is offline (${reason})`)
    if (!this.#stopped) this.#options.report({ severity: 'warning', name: 'node.offline', code: 'NODE_UNREACHABLE', message: `${this.node} is offline: ${TOLD[reason]}`, data: { node: this.node, reason, silentMs: Math.round(link.pulse.silentMs) } })
    this.#options.onChange()
    this.wake()
  }

  send(priority: Priority, frame: Buffer): boolean {
    if (this.#link?.send(priority, frame)) return true
    if (!this.#link || ++this.dropped !== 1) return false
    this.#options.report({ severity: 'warning', name: 'queue.full', code: 'BUSY', message: `${this.node} does not keep up: messages to it are dropped` })
    return false
  }

  /** It is no member any more, or we stop. */
  stop(closing: Closing): void {
    this.#stopped = true
    this.#options.clock.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#dialling?.abort()
    this.#attempt?.close(closing)
    this.#link?.close(closing)
    this.#forget(`${this.node} is no longer linked`)
  }

  async #dial(): Promise<void> {
    if (this.#stopped || this.#link || !this.#options.wanted()) return
    const controller = this.#dialling = new AbortController()
    try { this.#attempt = await this.#options.dial(controller.signal) } catch (thrown) {
      const error = toMtorError(thrown)
      if (error.code === 'NOT_A_MEMBER') this.#complain('refused', error, false)
      else if (error.code !== 'CANCELLED' && !this.#link) this.offline = this.offline === 'not yet reached' ? error.message : this.offline
    } finally { if (this.#dialling === controller) this.#dialling = undefined }
    this.#retryMs = Math.min(LONGEST_RETRY_MS, Math.max(FIRST_RETRY_MS, this.#retryMs * 2))
    // An attempt that greets becomes the link; one that fails ends in `closed`, which wakes us again.
    if (!this.#attempt) this.wake()
  }

  /** Both ends must choose the same. A dialler knows of no link when it dials, so its newer one counts. */
  #isBetter(link: Link, current: Link): boolean {
    const hello = link.hello!
    if (!current.isUp || hello.lost === current.hello!.link || hello.instance !== current.hello!.instance) return true
    if (link.dialler === current.dialler) return true
    return link.dialler === (this.#options.self < this.node ? this.#options.self : this.node)
  }

  #forget(why: string): void {
    this.asking.fail(new MtorError('NODE_UNREACHABLE', why))
    this.answering.abortAll()
  }

  /** Said once, not with every try. */
  #complain(reason: string, error: MtorError, byPeer: boolean): void {
    this.offline = reason
    const text = `${this.node}: ${byPeer ? 'it refuses us: ' : ''}${error.message}`
    if (text === this.#trouble) return
    this.#trouble = text
    this.#options.report({ severity: 'warning', name: reason === 'malformed' ? 'link.malformed' : 'link.refused', code: error.code, message: text, data: { node: this.node, byPeer } })
  }
}

const TOLD: Record<Closing['reason'], string> = {
  closed: 'the link was closed', silent: 'nothing comes from it although the link is open', unheard: 'it does not hear us: one way is cut', late: 'it did not greet',
  malformed: 'the link was closed because of a malformed frame', refused: 'the link was refused', replaced: 'the link was replaced', stopped: 'it was stopped',
}
