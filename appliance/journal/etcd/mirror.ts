import type { Keys } from './keys.ts'
import { parseKey } from './keys.ts'
import type { WatchEvent } from './watch.ts'

/** What is remembered of an intent that etcd holds. */
export interface Known { open: boolean; dead: boolean; revision: number; createRevision: number }

/** Numbers of what etcd holds, as of the last change seen. */
export interface Counts { unfinished: number; finished: number; deadLetters: number; archived: number }

/**
 * Which intents etcd holds and which nodes live, followed by watching. It answers only what may be a little late
 * (statistics, whom to tell, what to archive next); every decision is made by etcd itself.
 * Our own writes are applied when they are acknowledged; the watch brings them again, which changes nothing.
 */
export class Mirror {
  readonly #keys: Keys
  readonly #intents = new Map<string, Known>()
  readonly #nodes = new Map<string, string>()
  #counts: Counts = { unfinished: 0, finished: 0, deadLetters: 0, archived: 0 }

  constructor(keys: Keys) { this.#keys = keys }

  get counts(): Readonly<Counts> { return this.#counts }
  /** Living nodes and the ids of their leases. */
  get nodes(): ReadonlyMap<string, string> { return this.#nodes }
  has(id: string): boolean { return this.#intents.has(id) }
  intents(): IterableIterator<[string, Known]> { return this.#intents.entries() }

  archived(total: number) { this.#counts.archived = Math.max(this.#counts.archived, total) }

  clear() {
    this.#intents.clear()
    this.#nodes.clear()
    this.#counts = { ...this.#counts, unfinished: 0, finished: 0, deadLetters: 0 }
  }

  /** Applies one change. `fresh`: it was not known before. */
  apply({ kind: what, kv }: WatchEvent): { fresh: boolean } {
    const of = parseKey(this.#keys, kv.key)
    if (!of) return { fresh: true }
    if (of.kind === 'archive') {
      if (what === 'put') this.archived((JSON.parse(kv.value.toString('utf8')) as { total: number }).total)
      return { fresh: true }
    }
    if (of.kind === 'node') {
      const fresh = this.#nodes.has(of.name) !== (what === 'put')
      if (what === 'put') this.#nodes.set(of.name, kv.lease); else this.#nodes.delete(of.name)
      return { fresh }
    }
    const known = this.#intents.get(of.name)
    if (known && kv.modRevision < known.revision) return { fresh: false }
    if (of.kind === 'accepted') return { fresh: what === 'put' ? this.#add(of.name, kv.createRevision, known) : this.#drop(of.name, known) }
    if (!known) return { fresh: false }
    known.revision = kv.modRevision
    if (of.kind === 'final') return { fresh: this.#set(known, 'open', false) }
    if (of.kind === 'dead') return { fresh: this.#set(known, 'dead', what === 'put') }
    return { fresh: true }
  }

  #add(id: string, createRevision: number, known: Known | undefined): boolean {
    if (known) return false
    this.#intents.set(id, { open: true, dead: false, revision: createRevision, createRevision })
    this.#counts.unfinished += 1
    return true
  }

  #drop(id: string, known: Known | undefined): boolean {
    if (!known) return false
    this.#set(known, 'open', false)
    this.#set(known, 'dead', false)
    this.#counts.finished -= 1
    return this.#intents.delete(id)
  }

  #set(known: Known, what: 'open' | 'dead', value: boolean): boolean {
    if (known[what] === value) return false
    known[what] = value
    if (what === 'dead') this.#counts.deadLetters += value ? 1 : -1
    else { this.#counts.unfinished -= 1; this.#counts.finished += 1 }
    return true
  }
}
