import type { Clock, Timer } from '../../contracts/clock.ts'
import type { EtcdClient } from './client.ts'
import { EtcdError } from './errors.ts'

export interface NodeLeaseOptions {
  client: EtcdClient
  clock: Clock
  /** etcd knows whole seconds, and at least one and a half election timeouts. */
  ttlS: number
}

/** How many times within the time to live it is kept alive: one lost answer must not end it. */
const BEATS = 4
const RETRY_MS = 100

/**
 * A lease of etcd that this node keeps alive. Everything that the node may hold only while it lives hangs on it: its
 * claims, later its devices. The node believes in it only for the time to live after it *sent* the last beat that was
 * answered, so it stops believing before etcd gives the lease up.
 */
export class NodeLease {
  readonly #o: NodeLeaseOptions
  readonly #listeners = new Set<(held: boolean) => void>()
  #id: string | undefined
  #untilMs = 0
  #told = false
  #running = false
  #timer: Timer | undefined
  #expiry: Timer | undefined
  #acquiring: Promise<string> | undefined

  constructor(options: NodeLeaseOptions) { this.#o = options }

  /** Undefined before the first grant and while a lost one is being replaced. */
  get id(): string | undefined { return this.#id }
  get held(): boolean { return this.#id !== undefined && this.#o.clock.monoMs() < this.#untilMs }
  /** Until when this node may believe that it holds the lease, on its monotonic clock, ms. */
  get heldUntilMs(): number { return this.#untilMs }
  get ttlS(): number { return this.#o.ttlS }

  /** Told when the lease is lost, or may be lost (no answer for its time to live), and when one is held again. */
  onChange(listener: (held: boolean) => void): () => void {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  /** Rejects when etcd grants none within its deadline. */
  async start(): Promise<void> {
    if (this.#running) return
    this.#running = true
    try { await this.acquire() } catch (error) { this.#running = false; throw error }
    this.#later(this.#beatMs)
  }

  /** Gives the lease back, where etcd can be reached: what hangs on it is free at once. */
  async stop(): Promise<void> {
    if (!this.#running) return
    this.#running = false
    this.#o.clock.clearTimeout(this.#timer)
    this.#o.clock.clearTimeout(this.#expiry)
    const id = this.#id
    this.#id = undefined
    if (id !== undefined) await this.#o.client.call('/v3/lease/revoke', { ID: id }, { timeoutMs: 500 }).catch(() => { /* it runs out by itself */ })
  }

  /** The id of a lease that is held; a new one is granted where there is none. */
  acquire(): Promise<string> {
    if (this.#id !== undefined) return Promise.resolve(this.#id)
    this.#acquiring ??= this.#grant().finally(() => { this.#acquiring = undefined })
    return this.#acquiring
  }

  /** Whoever found out first that etcd no longer knows the lease says so. */
  gone(id: string) {
    if (id !== this.#id) return
    this.#id = undefined
    this.#untilMs = 0
    this.#tell()
  }

  async #grant(): Promise<string> {
    const sentMs = this.#o.clock.monoMs()
    const reply = await this.#o.client.call('/v3/lease/grant', { TTL: String(this.#o.ttlS) }) as { ID: string }
    this.#id = reply.ID
    this.#extend(sentMs)
    return reply.ID
  }

  get #beatMs() { return this.#o.ttlS * 1000 / BEATS }

  #later(delayMs: number) { if (this.#running) this.#timer = this.#o.clock.setTimeout(() => { void this.#beat() }, delayMs) }

  async #beat() {
    const { client, clock } = this.#o
    const id = this.#id
    const sentMs = clock.monoMs()
    try {
      if (id === undefined) await this.acquire()
      else {
        const reply = await client.call('/v3/lease/keepalive', { ID: id }, { timeoutMs: this.#beatMs * 2 }) as { result?: { TTL?: string } }
        if (!Number(reply.result?.TTL ?? 0)) { this.gone(id); await this.acquire() } else if (id === this.#id) this.#extend(sentMs)
      }
      this.#later(Math.max(0, this.#beatMs - (clock.monoMs() - sentMs)))
    } catch (error) {
      if (id !== undefined && error instanceof EtcdError && error.leaseGone) this.gone(id)
      this.#later(RETRY_MS)
    }
  }

  #extend(sentMs: number) {
    this.#untilMs = sentMs + this.#o.ttlS * 1000
    this.#expireLater()
    this.#tell()
  }

  /** A timer may fire a little early: then once more. */
  #expireLater() {
    const { clock } = this.#o
    clock.clearTimeout(this.#expiry)
    if (this.#running) this.#expiry = clock.setTimeout(() => { if (this.held) this.#expireLater(); else this.#tell() }, Math.max(1, this.#untilMs - clock.monoMs()))
  }

  #tell() {
    const { held } = this
    if (held === this.#told) return
    this.#told = held
    for (const listener of this.#listeners) listener(held)
  }
}
