import { EventEmitter } from 'node:events'
import { PROTOCOL_VERSION, type Instant } from './envelope.ts'
import { isFinal, type IntentEvent, type SystemEvent, type SystemEventInput } from './events.ts'
import type { Clock } from './clock.ts'

const ENDS_REMEMBERED = 8_192

/**
 * The one event bus inside the core. Parts raise facts here; the broker, the log, the console and the
 * dialogue listen. A listener that throws is reported, and never reaches whoever raised the event.
 */
export class Hub {
  #emitter = new EventEmitter<{ intent: [IntentEvent]; system: [SystemEvent] }>()
  readonly #clock: Clock
  readonly #node: string
  /** Which boot of the board this is; the journal knows, and sets it at start. */
  boot = 0
  readonly #ended = new Set<string>()

  constructor(clock: Clock, node: string) {
    this.#clock = clock
    this.#node = node
    this.#emitter.setMaxListeners(0)
  }

  get node() { return this.#node }

  now(): Instant {
    const wall = this.#clock.wallMs()
    return { ...(wall === undefined ? {} : { wall: Math.round(wall) }), boot: this.boot, mono: Math.round(this.#clock.monoMs() * 1000) / 1000 }
  }

  intent(event: Omit<IntentEvent, 'v' | 'at' | 'node'>): IntentEvent {
    const full: IntentEvent = { v: PROTOCOL_VERSION, ...event, at: this.now(), node: this.#node }
    this.#remember(full)
    this.#emitter.emit('intent', full)
    return full
  }

  /**
   * Takes an intent event that another node has raised: who waits here for the end of an intent hears it wherever that
   * was carried out. It stays the other node's: the bus had it from there and does not publish it, so it is never carried back.
   */
  intentFrom(remote: IntentEvent): void {
    if (remote.node === this.#node || (isFinal(remote.state) && this.#ended.has(remote.id))) return
    this.#remember(remote)
    this.#emitter.emit('intent', remote)
  }

  /** An end comes over the links and from the journal: the later one is no news. */
  #remember({ id, state }: IntentEvent): void {
    if (!isFinal(state)) return
    this.#ended.add(id)
    if (this.#ended.size > ENDS_REMEMBERED) this.#ended.delete(this.#ended.values().next().value!)
  }

  system(event: SystemEventInput): SystemEvent {
    const full: SystemEvent = { v: PROTOCOL_VERSION, ...event, at: this.now(), node: this.#node }
    this.#emitter.emit('system', full)
    return full
  }

  /** Listens to intent events, also of other nodes (see their `node`); returns the function that stops listening. */
  onIntent(listener: (event: IntentEvent) => void): () => void {
    const guarded = this.#guard(listener)
    this.#emitter.on('intent', guarded)
    return () => { this.#emitter.off('intent', guarded) }
  }

  /** Listens to system events; returns the function that stops listening. */
  onSystem(listener: (event: SystemEvent) => void): () => void {
    const guarded = this.#guard(listener)
    this.#emitter.on('system', guarded)
    return () => { this.#emitter.off('system', guarded) }
  }

  #guard<E>(listener: (event: E) => void): (event: E) => void {
    return (event) => {
      try { listener(event) } catch (error) {
        // Raised on the next turn, so that one bad listener cannot recurse into itself.
        setImmediate(() => this.system({ severity: 'error', component: 'hub', name: 'listener.failed', code: 'INTERNAL', message: String(error) }))
      }
    }
  }
}
