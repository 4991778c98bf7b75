import type { Clock, Timer } from '../../contracts/clock.ts'
import type { EtcdClient } from './client.ts'
import type { Endpoint } from './endpoint.ts'
import { EtcdError, refusalOf } from './errors.ts'
import { kvOf, prefixed, type Kv, type RawKv } from './wire.ts'

export interface WatchEvent { kind: 'put' | 'delete'; kv: Kv }

export interface WatchOptions {
  client: EtcdClient
  clock: Clock
  prefix: string
  /** Everything of one message, in order. After it `revision` is what has been seen. */
  onEvents(events: WatchEvent[]): void
  /** What was missed is no longer in etcd's history: reads the present state and resolves with its revision. */
  resync(): Promise<number>
}

interface RawMessage {
  result?: { header?: { revision?: string }; created?: boolean; canceled?: boolean; compact_revision?: string; cancel_reason?: string; fragment?: boolean; events?: { type?: string; kv: RawKv }[] }
  error?: unknown
}

const FIRST_RETRY_MS = 20
const LAST_RETRY_MS = 500
/** A change of our own that does not come back within this time: the stream is stale, ms. */
const STALE_MS = 1_000

/** Follows all changes under a prefix, over lost connections and members, without a gap. */
export class Watch {
  readonly #o: WatchOptions
  #revision = 0
  #running = false
  #close: (() => void) | undefined
  #endpoint: Endpoint | undefined
  #last: Endpoint | undefined
  #retry: Timer | undefined
  #retryMs = FIRST_RETRY_MS
  #stale: Timer | undefined
  #unsubscribe: (() => void) | undefined
  #waiters: { revision: number; resolve: () => void }[] = []

  constructor(options: WatchOptions) { this.#o = options }

  /** Everything up to this revision has been seen. */
  get revision(): number { return this.#revision }

  /** Follows what comes after `revision`. */
  start(revision: number) {
    if (this.#running) return
    this.#running = true
    this.#revision = revision
    this.#unsubscribe = this.#o.client.onFailing((endpoint) => { if (endpoint === this.#endpoint) this.#close?.() })
    this.#connect()
  }

  stop() {
    this.#running = false
    this.#o.clock.clearTimeout(this.#retry)
    this.#o.clock.clearTimeout(this.#stale)
    this.#unsubscribe?.()
    this.#close?.()
    this.#arrived(Infinity)
  }

  /** A change under the prefix was made at `revision`: if it does not come, the stream is opened anew elsewhere. */
  expect(revision: number) {
    if (!this.#running || revision <= this.#revision || this.#stale) return
    this.#stale = this.#o.clock.setTimeout(() => {
      this.#stale = undefined
      if (this.#revision < revision) this.#close?.()
    }, STALE_MS)
  }

  /** Resolves when everything up to `revision` has been seen, or the watch was stopped. */
  reached(revision: number): Promise<void> {
    if (!this.#running || revision <= this.#revision) return Promise.resolve()
    return new Promise((resolve) => { this.#waiters.push({ revision, resolve }) })
  }

  #connect() {
    const { client } = this.#o
    const endpoint = client.choose(new Map(this.#last ? [[this.#last, 1]] : []))
    this.#endpoint = endpoint
    const body = JSON.stringify({ create_request: { ...prefixed(this.#o.prefix), start_revision: String(this.#revision + 1), fragment: true } })
    let resync = false
    this.#close = endpoint.stream('/v3/watch', body, (message) => {
      const { result, error } = message as RawMessage
      if (error !== undefined) throw refusalOf(200, message)
      if (!result) return
      if (result.canceled) {
        resync = Number(result.compact_revision ?? 0) > 0
        throw new EtcdError('no-leader', result.cancel_reason ?? 'the watch was cancelled')
      }
      this.#last = undefined
      this.#retryMs = FIRST_RETRY_MS
      if (!result.events?.length) return
      const events = result.events.map(({ type, kv }): WatchEvent => ({ kind: type === 'DELETE' ? 'delete' : 'put', kv: kvOf(kv) }))
      this.#o.onEvents(events)
      // Of a message in pieces the later ones may be of the same revision.
      const seen = events.at(-1)!.kv.modRevision
      this.#arrived(result.fragment ? Math.max(this.#revision, seen - 1) : seen)
    }, () => { this.#ended(endpoint, resync) })
  }

  #arrived(revision: number) {
    if (revision !== Infinity) this.#revision = Math.max(this.#revision, revision)
    const due = this.#waiters.filter((waiter) => waiter.revision <= revision)
    if (!due.length) return
    this.#waiters = this.#waiters.filter((waiter) => waiter.revision > revision)
    for (const { resolve } of due) resolve()
  }

  #ended(endpoint: Endpoint, resync: boolean) {
    this.#close = undefined
    this.#endpoint = undefined
    if (!this.#running) return
    this.#last = endpoint
    const again = () => { if (this.#running) this.#connect() }
    this.#retry = this.#o.clock.setTimeout(() => {
      if (!resync) return again()
      this.#o.resync().then((revision) => { this.#arrived(revision); again() }, () => { if (this.#running) this.#ended(endpoint, true) })
    }, this.#retryMs)
    this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 2)
  }
}
