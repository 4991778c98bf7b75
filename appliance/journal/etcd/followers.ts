import type { FinalState } from '../../contracts/events.ts'
import type { JournalEntry } from '../port.ts'
import type { Keys } from './keys.ts'
import { parseKey } from './keys.ts'
import type { Mirror } from './mirror.ts'
import type { Reader, Snapshot } from './reader.ts'
import { foundOf, json, type FinalRecord } from './records.ts'
import type { WatchEvent } from './watch.ts'
import type { Kv } from './wire.ts'

/** An intent that another node accepted. */
export interface AcceptedElsewhere { entry: JournalEntry; node: string }
/** A final state that another node wrote. */
export interface EndedElsewhere extends Pick<FinalRecord, 'code' | 'message' | 'say' | 'data'> { id: string; state: FinalState; node: string }

/** What the journal itself must do on what it sees. */
export interface OwnFollower { onFinal(id: string): void; onArchived(): void }

/** Keeps the mirror by what is watched, and tells who asked to be told what other nodes did. */
export class Followers {
  readonly #keys: Keys
  readonly #mirror: Mirror
  readonly #node: string
  readonly #accepted = new Set<(accepted: AcceptedElsewhere) => void>()
  readonly #final = new Set<(ended: EndedElsewhere) => void>()
  readonly #nodes = new Set<(node: string, alive: boolean) => void>()
  #own: OwnFollower = { onFinal() {}, onArchived() {} }

  constructor(keys: Keys, mirror: Mirror, node: string) { this.#keys = keys; this.#mirror = mirror; this.#node = node }

  onAccepted(listener: (accepted: AcceptedElsewhere) => void) { return added(this.#accepted, listener) }
  onFinal(listener: (ended: EndedElsewhere) => void) { return added(this.#final, listener) }
  onNode(listener: (node: string, alive: boolean) => void) { return added(this.#nodes, listener) }

  /** Reads the present state, tells nobody, and resolves with its revision. */
  async begin(reader: Reader, own: OwnFollower): Promise<number> {
    this.#own = own
    const snapshot = await reader.snapshot()
    this.#mirror.clear()
    this.#fill(snapshot)
    return snapshot.revision
  }

  take(events: readonly WatchEvent[]) {
    for (const event of events) {
      const of = parseKey(this.#keys, event.kv.key)
      const { fresh } = this.#mirror.apply(event)
      if (of?.kind === 'archive') this.#own.onArchived()
      if (of?.kind === 'final' && event.kind === 'put') this.#own.onFinal(of.name)
      if (!of || !fresh) continue
      if (of.kind === 'node' && of.name !== this.#node) for (const listener of this.#nodes) listener(of.name, event.kind === 'put')
      if (event.kind !== 'put') continue
      if (of.kind === 'accepted') this.#tellAccepted(event.kv)
      if (of.kind === 'final') this.#tellFinal(of.name, json<FinalRecord>(event.kv))
    }
  }

  /** History was compacted while the watch was cut off: what happened meanwhile is found by comparing. */
  async resync(reader: Reader): Promise<number> {
    const before = { open: new Set([...this.#mirror.intents()].flatMap(([id, { open }]) => open ? [id] : [])), nodes: new Set(this.#mirror.nodes.keys()) }
    const known = new Set([...this.#mirror.intents()].map(([id]) => id))
    const snapshot = await reader.snapshot()
    const changed = [...[...snapshot.open].filter((id) => !known.has(id)), ...[...before.open].filter((id) => !snapshot.open.has(id))]
    const found = await reader.many(changed)
    this.#mirror.clear()
    this.#fill(snapshot)
    this.#own.onArchived()
    for (const { entry, node } of found) {
      const { id } = entry.envelope
      if (!known.has(id) && node !== this.#node) for (const listener of this.#accepted) listener({ entry, node })
      if (snapshot.open.has(id)) continue
      this.#own.onFinal(id)
      const { state, final } = entry
      if (final && state !== 'accepted' && state !== 'claimed') for (const listener of this.#final) listener({ id, state, node: entry.claim?.node ?? node, ...final })
    }
    for (const node of new Set([...before.nodes, ...this.#mirror.nodes.keys()])) {
      const alive = this.#mirror.nodes.has(node)
      if (node !== this.#node && alive !== before.nodes.has(node)) for (const listener of this.#nodes) listener(node, alive)
    }
    return snapshot.revision
  }

  #fill({ revision, accepted, open, dead, nodes, archive }: Snapshot) {
    const { acceptedAll } = this.#keys
    const change = (kind: 'put' | 'delete', key: string) => this.#mirror.apply({ kind, kv: { key, value: Buffer.alloc(0), createRevision: revision, modRevision: revision, lease: '0' } })
    for (const kv of accepted) {
      const id = kv.key.slice(acceptedAll.length)
      this.#mirror.apply({ kind: 'put', kv })
      if (!open.has(id)) change('put', this.#keys.final(id))
      if (dead.has(id)) change('put', this.#keys.dead(id))
    }
    for (const kv of nodes) this.#mirror.apply({ kind: 'put', kv })
    if (archive) this.#mirror.apply({ kind: 'put', kv: archive })
  }

  #tellAccepted(kv: Kv) {
    let found
    // A damaged one is told to whoever reads it; the others must not wait for it.
    try { found = foundOf(this.#keys, kv, [], false) } catch { return }
    const { entry, node } = found
    if (node !== this.#node) for (const listener of this.#accepted) listener({ entry, node })
  }

  #tellFinal(id: string, { state, code, message, say, data, node }: FinalRecord) {
    if (node === this.#node) return
    const told = { code, message, say, data }
    for (const listener of this.#final) listener({ id, state, node, ...Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined)) })
  }
}

function added<T>(set: Set<T>, listener: T): () => void {
  set.add(listener)
  return () => { set.delete(listener) }
}
