import type { Clock, Timer } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import type { SystemEventInput } from '../../contracts/events.ts'
import type { JournalEntry } from '../port.ts'
import { ArchiveClient } from './archive-client.ts'
import type { EtcdClient } from './client.ts'
import { EtcdError } from './errors.ts'
import type { Keys } from './keys.ts'
import { idBytes, idOf, packIds, unpackIds } from './known-ids.ts'
import type { Mirror } from './mirror.ts'
import type { Reader } from './reader.ts'
import { acceptedHead, json, rowOf } from './records.ts'
import type { Watch } from './watch.ts'
import { between, one, put, remove, removeAll, unchanged, type RequestOp } from './wire.ts'
import type { Operation, Writer } from './writer.ts'

export interface ArchiverOptions {
  file: string
  maxBytes: number
  /** Finished intents that stay in etcd. */
  maxFinished: number
  client: EtcdClient
  keys: Keys
  reader: Reader
  mirror: Mirror
  writer: Writer
  clock: Clock
  onEvent(event: SystemEventInput): void
}

interface Head { segment: number; total: number }
/** A segment whose intents are still to be copied from etcd's history. */
interface Uncopied { n: number; revision: number; ids: string[] }

/** Intents archived in one step: two deletions each, of the 128 operations that a transaction takes. */
const STEP = 50
/** A dead letter needs a third. */
const DEAD_STEP = 33
/** The ids of archived intents that are kept, so that a replay is still known: a million, 32 MB in etcd. */
const KEPT_SEGMENTS = 20_000
const PAGE = 250
const RETRY_MS = 5_000

/**
 * Keeps etcd small. Finished intents beyond the limit are taken out in steps; of each step a segment stays in etcd,
 * with the ids and the checksums of their contents, and every node copies the intents from etcd's history into its own
 * archive. A node that was away for longer than the history lasts has their ids, not their contents.
 */
export class Archiver {
  readonly #o: ArchiverOptions
  readonly #thread: ArchiveClient
  #head: Head = { segment: 0, total: 0 }
  #last = 0
  #learning: Promise<void> | undefined
  #uncopied: Uncopied[] = []
  #copying: Promise<void> | undefined
  #stepping = false
  #retry: Timer | undefined
  #stopped = true
  /** The revision of the head that is known here. */
  revision = 0

  constructor(options: ArchiverOptions) {
    this.#o = options
    this.#thread = new ArchiveClient({ file: options.file, maxBytes: options.maxBytes, clock: options.clock, onEvent: (event) => options.onEvent(event) })
  }

  get total(): number { return this.#head.total }
  /** History from here on is still needed; undefined when nothing is. */
  get neededFrom(): number | undefined { return this.#uncopied.length ? Math.min(...this.#uncopied.map(({ revision }) => revision - 1)) : undefined }

  /** Opens the archive and learns what the other nodes have archived meanwhile. */
  async start(): Promise<void> {
    this.#stopped = false
    this.#uncopied = []
    this.revision = 0
    this.#last = await this.#thread.start()
    const before = this.#last
    const uncopied = await this.#thread.uncopied()
    await this.learn()
    for (const n of uncopied.filter((n) => n <= before)) this.#toCopy((await this.#o.client.range(one(this.#o.keys.segment(n)))).kvs)
    this.#copyLater()
  }

  /** A fault for tests: the thread is gone. */
  async endThreadForTest(): Promise<void> { await this.#thread.stop() }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#o.clock.clearTimeout(this.#retry)
    await this.#copying
    await this.#thread.stop()
  }

  /** Takes up the segments that were added since. Calls at one time share the work; one that comes late learns again. */
  async learn(): Promise<void> {
    if (this.#learning) await this.#learning.catch(() => {})
    this.#learning ??= this.#learn().finally(() => { this.#learning = undefined })
    await this.#learning
  }

  async #learn(): Promise<void> {
    const { client, keys, mirror } = this.#o
    if (!this.#thread.open) await this.#reopen()
    for (let more = true; more;) {
      const { parts: [head, segments] } = await client.ranges([one(keys.archive), between(keys.segment(this.#last + 1), `${keys.segmentsAll}~`, { limit: PAGE })])
      const kvs = segments!.kvs
      const numbered = kvs.map((kv) => ({ n: this.#numberOf(kv.key), packed: new Uint8Array(kv.value) }))
      for (const { packed } of numbered) for (const { id } of unpackIds(packed)) this.#thread.known.add(id)
      if (numbered.length) {
        await this.#thread.segments(numbered, numbered.at(-1)!.n - KEPT_SEGMENTS + 1)
        this.#last = numbered.at(-1)!.n
        this.#toCopy(kvs)
      }
      more = segments!.more
      const kv = head!.kvs[0]
      if (!more && kv) {
        this.#head = json<Head>(kv)
        this.revision = kv.modRevision
        mirror.archived(this.#head.total)
      }
    }
    this.#copyLater()
  }

  /** Its thread had died: a new one has what the old one had made durable. */
  async #reopen() {
    this.#last = await this.#thread.start()
    this.#uncopied = []
  }

  /** The checksum of what an archived id was accepted with, as far as is known here. */
  async hash(id: string): Promise<string | undefined> {
    if (!this.#thread.known.mayHave(idBytes(id))) return undefined
    if (!this.#thread.open) await this.learn()
    return await this.#thread.hash(id)
  }

  async get(id: string): Promise<JournalEntry | undefined> {
    const bytes = idBytes(id)
    if (!this.#thread.known.mayHave(bytes)) return undefined
    if (this.#uncopied.some(({ ids }) => ids.includes(id))) await this.#copying
    return await this.#thread.get(id)
  }

  /** Archives what is over the limit. One node does it at a time; two at once would only refuse each other. */
  async step(watch: Watch, goOn: () => boolean): Promise<void> {
    if (this.#stepping || this.#stopped) return
    this.#stepping = true
    try { while (goOn() && await this.#archive(watch)); } finally { this.#stepping = false }
  }

  get #stepSize() { return Math.max(1, Math.min(STEP, Math.floor(this.#o.maxFinished / 4))) }

  async #archive(watch: Watch): Promise<boolean> {
    const { client, keys, mirror, writer } = this.#o
    const over = mirror.counts.finished - this.#o.maxFinished
    if (over < this.#stepSize) return false
    const plain: string[] = []
    const dead: string[] = []
    for (const [id, known] of mirror.intents()) {
      if (known.open || known.revision > watch.revision) continue
      if (known.dead) { if (dead.length < Math.min(DEAD_STEP, this.#stepSize)) dead.push(id) } else plain.push(id)
      if (plain.length >= this.#stepSize) break
    }
    const chosen = plain.length ? plain : dead
    if (!chosen.length) return false
    const { parts } = await client.ranges(chosen.map((id) => one(keys.accepted(id))))
    const ids = parts.flatMap(({ kvs: [kv] }) => kv ? [{ id: kv.key.slice(keys.acceptedAll.length), hash: acceptedHead(kv).head.hash }] : [])
    // Gone already: another node was faster, and the watch has not told yet.
    if (!ids.length) return false
    const done = await writer.submit(archiveOperation(keys, this.revision, this.#head, ids, plain.length === 0))
    await this.learn()
    // What was taken out now must not be chosen again.
    await watch.reached(this.revision)
    return done
  }

  #numberOf(key: string) { return Number(key.slice(this.#o.keys.segmentsAll.length)) }

  #toCopy(kvs: { key: string; value: Buffer; modRevision: number }[]) {
    for (const { key, value, modRevision } of kvs) this.#uncopied.push({ n: this.#numberOf(key), revision: modRevision, ids: [...unpackIds(value)].map(({ id }) => idOf(id)) })
  }

  #copyLater() {
    if (this.#copying || this.#stopped || !this.#uncopied.length) return
    this.#copying = this.#copy().finally(() => {
      this.#copying = undefined
      if (this.#uncopied.length && !this.#stopped) this.#retry = this.#o.clock.setTimeout(() => { this.#copyLater() }, RETRY_MS)
    })
  }

  /** Newest first: where history ends, it ends for all that are older. Ends early where the disk or etcd fails. */
  async #copy(): Promise<void> {
    let missed = 0
    let historyFrom = 0
    while (this.#uncopied.length && !this.#stopped) {
      const next = this.#uncopied.reduce((a, b) => b.revision > a.revision ? b : a)
      try {
        const rows = next.revision <= historyFrom ? [] : (await this.#o.reader.many(next.ids, next.revision - 1)).map(({ entry }) => rowOf(entry))
        if (!await this.#thread.copy(next.n, rows)) return
        if (!rows.length) missed += next.ids.length
      } catch (error) {
        if (!(error instanceof EtcdError && error.compacted)) return
        historyFrom = next.revision
        continue
      }
      this.#uncopied = this.#uncopied.filter((segment) => segment !== next)
    }
    if (missed) this.#o.onEvent({ severity: 'info', component: 'journal', name: 'journal.archive-missed', message: `${missed} intents had been archived by other nodes while this one was away: their ids are known here, their contents are not` })
  }
}

function archiveOperation(keys: Keys, revision: number, head: Head, ids: readonly { id: string; hash: string }[], dead: boolean): Operation<boolean> {
  const segment = head.segment + 1
  const success: RequestOp[] = [
    put(keys.archive, JSON.stringify({ segment, total: head.total + ids.length } satisfies Head)), put(keys.segment(segment), packIds(ids)),
    ...(segment > KEPT_SEGMENTS ? [remove(keys.segment(segment - KEPT_SEGMENTS))] : []),
    ...ids.flatMap(({ id }) => [remove(keys.accepted(id)), removeAll(keys.intent(id)), ...(dead ? [remove(keys.dead(id))] : [])]),
  ]
  const writes = [keys.archive, ...ids.flatMap(({ id }) => [keys.accepted(id), keys.claim(id), keys.progress(id), keys.final(id), keys.dead(id)])]
  return {
    plan: () => ({ writes, txn: { compare: [unchanged(keys.archive, revision)], success, failure: [] } }),
    settle: ({ succeeded }) => ({ value: succeeded }),
    lost() { throw new MtorError('JOURNAL_UNAVAILABLE', 'The answer of etcd was lost') },
  }
}
