import type { JournalEntry } from '../port.ts'
import type { EtcdClient } from './client.ts'
import { EtcdError } from './errors.ts'
import type { Keys } from './keys.ts'
import { foundOf, inOrder, type Found } from './records.ts'
import { all, one, type Kv } from './wire.ts'

/** Intents read in one request: three ranges each, of 128. */
const CHUNK = 40
const AT_ONCE = 4
const LIST_DEFAULT = 100
const LIST_MAX = 10_000
const PAGE = 256
/** More than a group of writes holds: those of one revision never fill a page. */
const GROUP_MAX = 130

/** Everything of the journal at one revision that the mirror is made from. */
export interface Snapshot { revision: number; accepted: Kv[]; open: Set<string>; dead: Set<string>; nodes: Kv[]; archive: Kv | undefined }

/** Linearizable reads of intents, each at one revision. */
export class Reader {
  readonly #client: EtcdClient
  readonly #keys: Keys

  constructor(client: EtcdClient, keys: Keys) { this.#client = client; this.#keys = keys }

  async get(id: string): Promise<Found | undefined> { return (await this.many([id]))[0] }

  /** Those of `ids` that etcd holds, as they were at `revision`; now, where that is left out. */
  async many(ids: readonly string[], revision?: number): Promise<Found[]> {
    const { accepted, intent, dead } = this.#keys
    const found: Found[] = []
    const chunks = Array.from({ length: Math.ceil(ids.length / CHUNK) }, (_, i) => ids.slice(i * CHUNK, (i + 1) * CHUNK))
    const read = async (chunk: readonly string[]) => {
      const { parts } = await this.#client.ranges(chunk.flatMap((id) => [one(accepted(id), { revision }), all(intent(id), { revision }), one(dead(id), { revision })]))
      chunk.forEach((_, i) => {
        const [kept, changes, letter] = parts.slice(i * 3, i * 3 + 3)
        if (kept!.kvs[0]) found.push(foundOf(this.#keys, kept!.kvs[0], changes!.kvs, letter!.kvs.length > 0))
      })
    }
    for (let i = 0; i < chunks.length; i += AT_ONCE) await Promise.all(chunks.slice(i, i + AT_ONCE).map(read))
    return found
  }

  /** In order of acceptance. */
  async unfinished(): Promise<Found[]> {
    return await this.#atOneRevision(async () => {
      const { kvs, revision } = await this.#client.range(all(this.#keys.openAll, { keysOnly: true }))
      return (await this.many(kvs.map((kv) => kv.key.slice(this.#keys.openAll.length)), revision)).sort(inOrder)
    })
  }

  /** Unfinished intents of nodes that are gone: claimed by one, or accepted by one and claimed by none. */
  async orphans(): Promise<Found[]> {
    const { openAll, nodesAll } = this.#keys
    return await this.#atOneRevision(async () => {
      const { parts: [open, nodes], revision } = await this.#client.ranges([all(openAll, { keysOnly: true }), all(nodesAll, { keysOnly: true })])
      const alive = new Set(nodes!.kvs.map((kv) => kv.key.slice(nodesAll.length)))
      const found = await this.many(open!.kvs.map((kv) => kv.key.slice(openAll.length)), revision)
      return found.filter(({ entry, node }) => !alive.has(entry.claim?.node ?? node)).sort(inOrder)
    })
  }

  /** Newest first. */
  async list({ state, deadLetter, limit = LIST_DEFAULT }: { state?: JournalEntry['state']; deadLetter?: boolean; limit?: number } = {}): Promise<JournalEntry[]> {
    const wanted = Math.max(0, Math.min(Math.floor(limit), LIST_MAX))
    const fits = ({ entry }: Found) => (state === undefined || entry.state === state) && (deadLetter === undefined || entry.deadLetter === deadLetter)
    const { openAll, deadAll } = this.#keys
    // Few keys say which they are; without one all are looked at, newest first.
    const index = deadLetter ? deadAll : state === 'accepted' || state === 'claimed' ? openAll : undefined
    const found = await this.#atOneRevision(async () => {
      if (index === undefined) return await this.#newest(wanted, fits)
      const { kvs, revision } = await this.#client.range(all(index, { keysOnly: true }))
      return (await this.many(kvs.map((kv) => kv.key.slice(index.length)), revision)).filter(fits)
    })
    return found.sort((a, b) => inOrder(b, a)).slice(0, wanted).map(({ entry }) => entry)
  }

  async #newest(wanted: number, fits: (found: Found) => boolean): Promise<Found[]> {
    const { acceptedAll } = this.#keys
    const found = new Map<string, Found>()
    const limit = Math.min(PAGE, wanted + GROUP_MAX)
    let revision: number | undefined
    let below: number | undefined
    for (;;) {
      const page = await this.#client.range(all(acceptedAll, { keysOnly: true, order: 'newest', limit, revision, maxCreateRevision: below }))
      revision ??= page.revision
      for (const each of await this.many(page.kvs.map((kv) => kv.key.slice(acceptedAll.length)), revision)) if (fits(each)) found.set(each.entry.envelope.id, each)
      if (page.kvs.length < limit) return [...found.values()]
      // The page may end within a group: what is newer is whole, and the next page begins with all of the group.
      below = page.kvs.at(-1)!.createRevision
      const whole = [...found.values()].filter((each) => each.revision > below!)
      if (whole.length >= wanted) return whole
    }
  }

  async snapshot(): Promise<Snapshot> {
    const { acceptedAll, openAll, deadAll, nodesAll, archive } = this.#keys
    const { parts, revision } = await this.#client.ranges([
      all(acceptedAll, { keysOnly: true, order: 'created' }), all(openAll, { keysOnly: true }), all(deadAll, { keysOnly: true }), all(nodesAll), one(archive),
    ], { timeoutMs: 5_000 })
    const names = (part: number, prefix: string) => new Set(parts[part]!.kvs.map((kv) => kv.key.slice(prefix.length)))
    return { revision, accepted: parts[0]!.kvs, open: names(1, openAll), dead: names(2, deadAll), nodes: parts[3]!.kvs, archive: parts[4]!.kvs[0] }
  }

  /** History may be compacted between the two reads of one revision: then once more. */
  async #atOneRevision<T>(read: () => Promise<T>): Promise<T> {
    try { return await read() } catch (error) {
      if (error instanceof EtcdError && error.compacted) return await read()
      throw error
    }
  }
}
