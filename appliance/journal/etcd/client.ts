import type { Clock, Timer } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import { Endpoint, type EtcdTls } from './endpoint.ts'
import { EtcdError, givenUp } from './errors.ts'
import { partOf, txnReplyOf, type Part, type RawTxn, type RequestOp, type Txn, type TxnReply } from './wire.ts'

export interface EtcdClientOptions {
  /** Client addresses, http:// or https://, the own node's first: it is preferred while it is well. */
  endpoints: readonly string[]
  clock: Clock
  tls?: EtcdTls
  /** Deadline of a request over all its attempts, ms. Default 1,000. */
  timeoutMs?: number
}

export interface CallOptions {
  timeoutMs?: number
  /** False: one attempt at one endpoint, for what must not be repeated. */
  repeat?: boolean
}

/** What one member says of itself, without asking the others. */
export interface EtcdStatus { version: string; dbBytes: number; dbInUseBytes: number; memberId: string; leaderId: string | undefined; raftIndex: number; errors: string[] }

/** After every endpoint had its turn, ms. */
const PAUSE_MS = 25
const FIRST_PROBE_MS = 100
const LAST_PROBE_MS = 2_000
const PROBE_TIMEOUT_MS = 500
/** More calls than this at once are refused with BUSY. */
const MAX_CALLS = 20_000

/**
 * A client of etcd's JSON gateway. Reads are linearizable, always. A request that gets no answer in usual time is asked
 * again at the next endpoint, so whoever writes must be able to find out what an earlier attempt has done (`Writer`
 * does). At the deadline it rejects with NO_QUORUM where a member said that there is no leader, else with
 * JOURNAL_UNAVAILABLE; a write may have been carried out all the same.
 */
export class EtcdClient {
  readonly endpoints: Endpoint[]
  readonly #tls: EtcdTls | undefined
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #probes = new Map<Endpoint, Timer>()
  readonly #onFailing = new Set<(endpoint: Endpoint) => void>()
  #calls = 0
  #closed = false

  constructor({ endpoints, clock, tls, timeoutMs = 1_000 }: EtcdClientOptions) {
    if (endpoints.length === 0) throw new MtorError('CONFIG_INVALID', 'expected at least one address of etcd, got none')
    this.endpoints = endpoints.map((url) => new Endpoint(url, clock, tls))
    this.#clock = clock
    this.#tls = tls
    this.#timeoutMs = timeoutMs
  }

  /** Further addresses, of members that came later. Those that are known already change nothing. */
  add(urls: readonly string[]): void {
    for (const url of urls) if (!this.#closed && !this.endpoints.some((known) => known.url === url)) this.endpoints.push(new Endpoint(url, this.#clock, this.#tls))
  }

  /** Calls that wait for an answer. */
  get waiting(): number { return this.#calls }

  /** The endpoint to use: the first that is well, or the one that has failed for longest. `tried`: how often each has been tried already. */
  choose(tried: ReadonlyMap<Endpoint, number> = new Map()): Endpoint {
    const cost = (endpoint: Endpoint) => (tried.get(endpoint) ?? 0) + (endpoint.failure ? 2 : 0)
    return this.endpoints.toSorted((a, b) => cost(a) - cost(b) || (a.failure?.sinceMs ?? 0) - (b.failure?.sinceMs ?? 0))[0]!
  }

  async txn(txn: Txn, options?: CallOptions): Promise<TxnReply> { return txnReplyOf(await this.call('/v3/kv/txn', txn, options) as RawTxn) }

  /** One linearizable range (`one`, `all`, `between` of wire.ts), with the revision that it was read at. */
  async range(operation: RequestOp, options?: CallOptions): Promise<Part & { revision: number }> {
    const raw = await this.call('/v3/kv/range', operation['request_range'], options) as RawTxn
    return { ...partOf(raw as never), revision: Number(raw.header?.revision ?? 0) }
  }

  /** Several ranges at one revision. */
  async ranges(operations: RequestOp[], options?: CallOptions): Promise<{ parts: Part[]; revision: number }> {
    const { parts, revision } = await this.txn({ compare: [], success: operations, failure: [] }, options)
    return { parts, revision }
  }

  /** Drops the history before `revision`. */
  async compact(revision: number): Promise<void> {
    await this.call('/v3/kv/compaction', { revision: String(revision) }).catch((error: unknown) => { if (!(error instanceof EtcdError && error.compacted)) throw error })
  }

  /** Asks one member, also one without a leader. */
  async status(endpoint: Endpoint = this.choose(), timeoutMs = PROBE_TIMEOUT_MS): Promise<EtcdStatus> {
    const raw = await endpoint.call('/v3/maintenance/status', '{}', { timeoutMs, requireLeader: false }) as Record<string, string> & { header?: { member_id?: string }; errors?: string[] }
    const leader = raw['leader'] ?? '0'
    return {
      version: raw['version'] ?? '', dbBytes: Number(raw['dbSize'] ?? 0), dbInUseBytes: Number(raw['dbSizeInUse'] ?? 0),
      memberId: raw.header?.member_id ?? '', leaderId: leader === '0' ? undefined : leader, raftIndex: Number(raw['raftIndex'] ?? 0), errors: raw.errors ?? [],
    }
  }

  async call(path: string, body: unknown, { timeoutMs = this.#timeoutMs, repeat = true }: CallOptions = {}): Promise<unknown> {
    if (this.#closed) throw new EtcdError('unreachable', 'The connection to etcd was closed')
    if (this.#calls >= MAX_CALLS) throw new MtorError('BUSY', `${MAX_CALLS} requests already wait for etcd`)
    this.#calls += 1
    try { return await this.#try(path, JSON.stringify(body), timeoutMs, repeat) } finally { this.#calls -= 1 }
  }

  async #try(path: string, text: string, timeoutMs: number, repeat: boolean): Promise<unknown> {
    const startMs = this.#clock.monoMs()
    const untilMs = startMs + timeoutMs
    const tried = new Map<Endpoint, number>()
    let maybeDone = false
    let leaderless: EtcdError | undefined
    for (let attempt = 1; ; attempt++) {
      const endpoint = this.choose(tried)
      const leftMs = untilMs - this.#clock.monoMs()
      try {
        const reply = await endpoint.call(path, text, { timeoutMs: leftMs, ...(repeat ? { patienceMs: endpoint.patienceMs(text.length) } : {}) })
        this.#well(endpoint)
        return reply
      } catch (error) {
        if (!(error instanceof EtcdError)) throw error
        // It answered; that the answer is no does not speak against it.
        if (error.trouble === 'refused') { this.#well(endpoint); throw error }
        tried.set(endpoint, (tried.get(endpoint) ?? 0) + 1)
        maybeDone ||= error.maybeDone
        if (error.trouble === 'no-leader') leaderless = error
        this.#failed(endpoint, error)
        const pauseMs = attempt < this.endpoints.length ? 0 : PAUSE_MS
        if (!repeat || this.#closed || this.#clock.monoMs() + pauseMs >= untilMs) {
          throw givenUp(leaderless ?? error, { attempts: attempt, ms: this.#clock.monoMs() - startMs, maybeDone })
        }
        if (pauseMs) await new Promise<void>((resolve) => { this.#clock.setTimeout(resolve, pauseMs) })
      }
    }
  }

  /** Tells when an endpoint has failed and a probe failed as well: whoever streams from it goes elsewhere. */
  onFailing(listener: (endpoint: Endpoint) => void): () => void {
    this.#onFailing.add(listener)
    return () => { this.#onFailing.delete(listener) }
  }

  close() {
    this.#closed = true
    for (const timer of this.#probes.values()) this.#clock.clearTimeout(timer)
    this.#probes.clear()
    for (const endpoint of this.endpoints) endpoint.close()
  }

  #well(endpoint: Endpoint) {
    endpoint.failure = undefined
    this.#clock.clearTimeout(this.#probes.get(endpoint))
    this.#probes.delete(endpoint)
  }

  #failed(endpoint: Endpoint, error: EtcdError) {
    if (endpoint.failure) { endpoint.failure.error = error; return }
    endpoint.failure = { error, sinceMs: this.#clock.monoMs(), probes: 0 }
    this.#probeLater(endpoint)
  }

  /** Until it is well again, so that requests need not find out. */
  #probeLater(endpoint: Endpoint) {
    const { failure } = endpoint
    if (!failure || this.#closed) return
    this.#probes.set(endpoint, this.#clock.setTimeout(() => {
      endpoint.call('/v3/maintenance/status', '{}', { timeoutMs: PROBE_TIMEOUT_MS }).then(() => { if (endpoint.failure === failure) this.#well(endpoint) }, () => {
        if (endpoint.failure !== failure || this.#closed) return
        failure.probes += 1
        if (failure.probes === 1) for (const listener of this.#onFailing) listener(endpoint)
        this.#probeLater(endpoint)
      })
    }, Math.min(LAST_PROBE_MS, FIRST_PROBE_MS * 2 ** failure.probes)))
  }
}
