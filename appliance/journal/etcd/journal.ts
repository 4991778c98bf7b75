import { randomBytes } from 'node:crypto'
import type { Clock, Timer } from '../../contracts/clock.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { SystemEventInput } from '../../contracts/events.ts'
import type { AcceptInput, AcceptOutcome, ClaimInput, FinishInput, Journal, JournalEntry, JournalStats } from '../port.ts'
import { Archiver } from './archiver.ts'
import { EtcdClient, type EtcdClientOptions } from './client.ts'
import { Followers } from './followers.ts'
import { Housekeeping } from './housekeeping.ts'
import { keysOf, type Keys } from './keys.ts'
import { idBytes } from './known-ids.ts'
import { NodeLease } from './lease.ts'
import { Mirror } from './mirror.ts'
import { acceptOperation, bootOperation, claimOperation, clearDeadLetterOperation, finishOperation, nextEpochOperation, progressOperation, putOperation, remember, type Context } from './operations.ts'
import { Reader } from './reader.ts'
import { Watch } from './watch.ts'
import { all, one } from './wire.ts'
import { Writer, type Operation, type Step } from './writer.ts'

export interface EtcdJournalOptions {
  etcd: Pick<EtcdClientOptions, 'endpoints' | 'tls'>
  realm: string
  node: string
  clock: Clock
  /** Index of the archive, SQLite; the archive's files lie beside it. */
  archiveFile: string
  /** Finished intents that stay in etcd; more are moved to every node's archive. Default 1,000. */
  maxFinished?: number
  archiveMaxBytes: number
  /** A node that etcd has not heard of for this long is gone: its claims may be taken over. Default 2. */
  leaseTtlS?: number
  /** A write that is not settled by then has an unknown outcome, ms. Default 1,500. */
  timeoutMs?: number
  /** Progress of one intent is written at most this often, ms. Default 250. */
  progressMs?: number
  /** How much of etcd's history is kept, ms. Default five minutes. */
  historyMs?: number
  /** Beginnings of the keys of small values that all nodes share; the others are each node's own. */
  sharedValues?: readonly string[]
  onEvent?(event: SystemEventInput): void
  /** Names this life of the process; random where left out. */
  instance?: string
}

const STOP_TIMEOUT_MS = 2_000
/** etcd refuses requests over 1.5 MiB. */
const VALUE_MAX_BYTES = 1024 * 1024

interface Progress { value: string; writing: boolean; timer: Timer | undefined; settled: PromiseWithResolvers<void> }

/**
 * The journal on etcd: accepted means that a majority of the realm's voters has it on disk. Every decision is a
 * transaction of etcd, so of all nodes one wins. Without a majority requests are refused with NO_QUORUM at once, after
 * the first has waited for its time. A rejection with JOURNAL_UNAVAILABLE or NO_QUORUM may have been carried out;
 * submitting the same again is safe.
 */
export class EtcdJournal implements Journal {
  readonly #o: EtcdJournalOptions
  readonly #keys: Keys
  readonly #instance: string
  readonly #mirror: Mirror
  readonly #followers: Followers
  readonly #progress = new Map<string, Progress>()
  #parts: { client: EtcdClient; lease: NodeLease; writer: Writer; reader: Reader; watch: Watch; archiver: Archiver; housekeeping: Housekeeping; context: Context } | undefined
  #lives = 0
  #order = 0
  #tokens = 0

  constructor(options: EtcdJournalOptions) {
    this.#o = options
    this.#keys = keysOf(options.realm)
    this.#instance = options.instance ?? randomBytes(9).toString('base64url')
    this.#mirror = new Mirror(this.#keys)
    this.#followers = new Followers(this.#keys, this.#mirror, options.node)
  }

  /** Rejects with NO_QUORUM or JOURNAL_UNAVAILABLE where etcd cannot be used now; may be called again then. */
  async start(): Promise<void> {
    if (this.#parts) return
    const { clock, etcd, node, leaseTtlS = 2, timeoutMs = 1_500, historyMs = 300_000, maxFinished = 1_000, archiveFile, archiveMaxBytes } = this.#o
    const keys = this.#keys
    const mirror = this.#mirror
    const client = new EtcdClient({ ...etcd, clock })
    const lease = new NodeLease({ client, clock, ttlS: leaseTtlS })
    const reader = new Reader(client, keys)
    const writer = new Writer({
      client, lease, clock, sessionKey: keys.node(node), instance: `${this.#instance}.${++this.#lives}`, timeoutMs,
      onCommitted: (step, revision) => { this.#committed(step, revision) },
      onDown: (error) => { this.#event({ severity: 'critical', component: 'journal', name: 'journal.unavailable', code: error.code, message: error.message, ...(error.data ? { data: error.data } : {}) }) },
      onUp: () => { this.#event({ severity: 'info', component: 'journal', name: 'journal.recovered', message: 'The journal is durable again' }) },
    })
    const archiver = new Archiver({ file: archiveFile, maxBytes: archiveMaxBytes, maxFinished, client, keys, reader, mirror, writer, clock, onEvent: (event) => { this.#event(event) } })
    const watch = new Watch({ client, clock, prefix: keys.root, onEvents: (events) => { this.#followers.take(events); housekeeping.look() }, resync: () => this.#followers.resync(reader) })
    const housekeeping = new Housekeeping({ client, clock, mirror, watch, archiver, node, historyMs })
    const context: Context = {
      keys, node, token: () => `${this.#instance}/${++this.#tokens}`, order: () => ++this.#order, leaseId: () => lease.id,
      recent: new Map(), claims: new Map(), devices: new Map(), alsoNodes: new Set(),
      archiveRevision: () => archiver.revision, lookUpArchived: async (id) => { await archiver.learn(); return await archiver.hash(id) },
    }
    this.#parts = { client, lease, writer, reader, watch, archiver, housekeeping, context }
    try {
      await lease.start()
      lease.onChange((held) => {
        // With a new lease this node must say anew that it lives.
        if (held) void writer.submit(nothing).catch(() => { /* it does so when etcd is back */ })
        this.#event(held ? { severity: 'info', component: 'journal', name: 'journal.lease-held', message: `${node} holds its lease again` }
        : { severity: 'critical', component: 'journal', name: 'journal.lease-lost', code: 'NO_QUORUM', message: `${node} could not keep its lease: others may take over what it was doing` })
      })
      await writer.start()
      watch.start(await this.#followers.begin(reader, { onFinal: (id) => { context.claims.delete(id) }, onArchived: () => { void archiver.learn().catch(() => { /* whoever needs it learns it then */ }) } }))
      await archiver.start()
      await housekeeping.start()
    } catch (error) {
      await this.stop()
      throw toMtorError(error, 'JOURNAL_UNAVAILABLE')
    }
  }

  /** Finishes what waits, as far as etcd is there, and gives the lease back. Stopping twice is fine. */
  async stop(): Promise<void> {
    const parts = this.#parts
    if (!parts) return
    for (const id of [...this.#progress.keys()]) this.#writeProgress(id)
    const kept = parts.housekeeping.stop()
    await parts.writer.stop(STOP_TIMEOUT_MS)
    parts.watch.stop()
    await kept
    await parts.archiver.stop()
    await parts.lease.stop()
    parts.client.close()
    this.#parts = undefined
  }

  /** The connection, for what else of the realm lives in etcd. */
  get client(): EtcdClient { return this.#started.client }
  /** The lease that says that this node lives. */
  get lease(): NodeLease { return this.#started.lease }
  /** Living nodes, with the ids of their leases, as of the last change seen. */
  get nodes(): ReadonlyMap<string, string> { return this.#mirror.nodes }

  boot(bootId: string) { return this.#write((context) => bootOperation(context, bootId)) }

  async accept(input: AcceptInput): Promise<AcceptOutcome> {
    const { archiver, context, writer } = this.#started
    idBytes(input.envelope.id)
    const operation = this.#prepared(() => acceptOperation(context, input))
    assertSize(operation.bytes, `intent ${input.envelope.id}`)
    if (writer.down) throw writer.down
    // What was archived is not in etcd any more; what will be is found by the transaction's condition.
    const archived = await archiver.hash(input.envelope.id)
    if (archived !== undefined) remember(context, input.envelope.id, archived)
    return await writer.submit(operation)
  }

  claim(id: string, input: ClaimInput) { return this.#write((context) => claimOperation(context, id, input)) }

  /** The first is written at once, then the latest at most every `progressMs`; resolves when it, or a later one, is durable. */
  async progress(id: string, data: Record<string, unknown>): Promise<void> {
    if (!this.#parts) throw notStarted()
    const value = this.#prepared(() => JSON.stringify(data))
    let progress = this.#progress.get(id)
    if (progress) progress.value = value
    else {
      this.#progress.set(id, progress = { value, writing: false, timer: undefined, settled: Promise.withResolvers() })
      progress.settled.promise.catch(() => {})
    }
    const { promise } = progress.settled
    if (!progress.timer && !progress.writing) this.#writeProgress(id)
    await promise
  }

  finish(id: string, input: FinishInput) {
    const wall = this.#o.clock.wallMs()
    // What of its progress is not written yet goes along.
    const progress = this.#progress.get(id)
    const pending = progress?.value === '' ? undefined : progress?.value
    return this.#write((context) => finishOperation(context, id, input, wall === undefined ? undefined : Math.round(wall), pending))
  }

  async get(id: string): Promise<JournalEntry | undefined> {
    const { archiver, reader, writer } = this.#started
    await writer.settled()
    const found = await reader.get(id)
    if (found) return found.entry
    await archiver.learn()
    return await archiver.get(id)
  }

  async unfinished() { return (await (await this.#read()).unfinished()).map(({ entry }) => entry) }
  async list(query: Parameters<Journal['list']>[0] = {}) { return await (await this.#read()).list(query) }
  clearDeadLetter(id: string) { return this.#write((context) => clearDeadLetterOperation(context, id)) }
  nextEpoch(device: string, above = 0) { return this.#write((context) => nextEpochOperation(context, device, above)) }

  async put(key: string, value: unknown): Promise<void> {
    const text = this.#prepared(() => value === undefined ? undefined : JSON.stringify(value))
    assertSize(Buffer.byteLength(text ?? ''), key)
    await this.#write(() => putOperation(this.#valueKey(key), text))
  }

  async read(key: string): Promise<unknown> {
    await this.#read()
    const { kvs: [kv] } = await this.#started.client.range(one(this.#valueKey(key)))
    return kv && JSON.parse(kv.value.toString()) as unknown
  }

  async keys(prefix: string): Promise<string[]> {
    await this.#read()
    const scopes = ['shared', `of/${this.#o.node}`]
    const { parts } = await this.#started.client.ranges(scopes.map((scope) => all(this.#keys.value(scope, prefix), { keysOnly: true })))
    return parts.flatMap(({ kvs }, i) => kvs.map(({ key }) => key.slice(this.#keys.value(scopes[i]!, '').length))).sort()
  }

  /** As of the last change seen; never waits. `fileBytes`: etcd's database. `lastFsyncMs`: the last group of writes, there and back. */
  stats(): Promise<JournalStats> {
    const { unfinished, finished, deadLetters, archived } = this.#mirror.counts
    return Promise.resolve({
      accepted: unfinished + finished + archived, unfinished, finished: finished + archived, deadLetters, archivedTotal: archived,
      queue: (this.#parts?.writer.waiting ?? 0) + (this.#parts?.client.waiting ?? 0), fileBytes: this.#parts?.housekeeping.dbBytes ?? 0, lastFsyncMs: this.#parts?.writer.lastMs ?? 0,
    })
  }

  /** Unfinished intents of nodes whose lease is gone: claimed by one, or accepted by one and not claimed yet. */
  async orphans(): Promise<JournalEntry[]> { return (await (await this.#read()).orphans()).map(({ entry }) => entry) }

  /** Unfinished intents that `node` accepted, whoever has claimed them. */
  async unfinishedOf(node: string): Promise<JournalEntry[]> { return (await (await this.#read()).unfinished()).flatMap((found) => found.node === node ? [found.entry] : []) }

  /** Told of intents that other nodes accepted, from now on, each once. What was there before: `unfinished`. */
  watchAccepted(listener: Parameters<Followers['onAccepted']>[0]) { return this.#followers.onAccepted(listener) }
  /** Told of final states that other nodes wrote, from now on. */
  watchFinal(listener: Parameters<Followers['onFinal']>[0]) { return this.#followers.onFinal(listener) }
  /** Told when the lease of another node is gone, or is there again. */
  watchNodes(listener: Parameters<Followers['onNode']>[0]) { return this.#followers.onNode(listener) }

  /**
   * Ends the lease of a node that is known to be dead, before its time: its claims are orphans at once. Where it lives
   * after all it notices, takes a new lease, and finds its claims taken over; its devices refuse its epochs.
   */
  async expel(node: string): Promise<void> {
    const lease = this.#mirror.nodes.get(node)
    if (lease === undefined || node === this.#o.node) return
    await this.#started.client.call('/v3/lease/revoke', { ID: lease }).catch((error: unknown) => { if (toMtorError(error).code !== 'INTERNAL') throw error })
  }

  /** A fault for tests: the archive's thread ends. */
  async endArchiveForTest(): Promise<void> { await this.#started.archiver.endThreadForTest() }

  get #started() {
    if (!this.#parts) throw notStarted()
    return this.#parts
  }

  #valueKey(key: string) { return this.#keys.value(this.#o.sharedValues?.some((beginning) => key.startsWith(beginning)) ? 'shared' : `of/${this.#o.node}`, key) }

  /** What is read is not older than what was submitted before. */
  async #read(): Promise<Reader> {
    const { reader, writer } = this.#started
    await writer.settled()
    return reader
  }

  async #write<T>(operation: (context: Context) => Operation<T>): Promise<T> {
    const { writer, context } = this.#started
    return await writer.submit(this.#prepared(() => operation(context)))
  }

  #prepared<T>(make: () => T): T {
    try { return make() } catch (error) {
      if (error instanceof MtorError) throw error
      throw new MtorError('MALFORMED', `The journal takes what JSON can hold: ${String(error)}`, { cause: error })
    }
  }

  #writeProgress(id: string) {
    const progress = this.#progress.get(id)
    if (!progress || progress.writing) return
    const { clock, progressMs = 250 } = this.#o
    const { settled, value } = progress
    clock.clearTimeout(progress.timer)
    progress.timer = undefined
    if (value === '') { this.#progress.delete(id); return }
    Object.assign(progress, { value: '', writing: true, settled: Promise.withResolvers() })
    progress.settled.promise.catch(() => {})
    this.#write((context) => progressOperation(context, id, value)).then(settled.resolve, settled.reject).finally(() => {
      progress.writing = false
      progress.timer = clock.setTimeout(() => { this.#writeProgress(id) }, progressMs)
    })
  }

  #committed(step: Step, revision: number) {
    for (const { kind, key } of step.effects ?? []) this.#mirror.apply({ kind, kv: { key, value: Buffer.alloc(0), createRevision: revision, modRevision: revision, lease: '0' } })
    this.#parts?.watch.expect(revision)
    if (step.effects?.length) this.#parts?.housekeeping.look()
  }

  #event(event: SystemEventInput) { this.#o.onEvent?.(event) }
}

/** Writes the node's own key, and nothing else. */
const nothing: Operation<void> = { plan: () => ({ writes: [], txn: { compare: [], success: [], failure: [] } }), settle: () => ({ value: undefined }) }

function assertSize(bytes: number, what: string) {
  if (bytes > VALUE_MAX_BYTES) throw new MtorError('TOO_LARGE', `${what}: expected at most ${VALUE_MAX_BYTES} bytes, got ${bytes}`)
}

const notStarted = () => new MtorError('JOURNAL_UNAVAILABLE', 'The journal is not started')
