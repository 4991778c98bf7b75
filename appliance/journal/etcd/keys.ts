/**
 * Version of the records of the shared journal. A node reads those of the version before and of the one after: a field
 * that it does not know is let through, a key that it does not know is passed over.
 */
export const JOURNAL_SCHEMA = 1

/**
 * Where the journal keeps what in etcd. What belongs to one intent and changes lies in keys of its own, so that a claim
 * or a final state does not write the envelope again, and can be guarded by what it depends on.
 */
export interface Keys {
  /** Everything of this journal. */
  root: string
  /** The intent as it was accepted; never changed. */
  accepted(id: string): string
  acceptedAll: string
  /** There while the intent has no final state. */
  open(id: string): string
  openAll: string
  /** What has become of an intent: claim, progress, final state. */
  intent(id: string): string
  claim(id: string): string
  progress(id: string): string
  final(id: string): string
  dead(id: string): string
  deadAll: string
  /** Under the node's lease: there while the node lives. Its value names the last write of the node. */
  node(node: string): string
  nodesAll: string
  device(device: string): string
  /** Small values of other parts. */
  value(scope: string, key: string): string
  boots: string
  boot(node: string): string
  /** How much has been archived, and the ids of it in segments. */
  archive: string
  segment(n: number): string
  segmentsAll: string
}

/** What a changed key says. */
export type KeyOf = { kind: 'accepted' | 'open' | 'final' | 'claim' | 'dead' | 'node'; name: string } | { kind: 'archive' } | undefined

export function keysOf(realm: string): Keys {
  const root = `/mtor/1/${realm}/journal/`
  return {
    root,
    accepted: (id) => `${root}a/${id}`, acceptedAll: `${root}a/`,
    open: (id) => `${root}o/${id}`, openAll: `${root}o/`,
    intent: (id) => `${root}i/${id}/`, claim: (id) => `${root}i/${id}/c`, progress: (id) => `${root}i/${id}/p`, final: (id) => `${root}i/${id}/f`,
    dead: (id) => `${root}d/${id}`, deadAll: `${root}d/`,
    node: (node) => `${root}n/${node}`, nodesAll: `${root}n/`,
    device: (device) => `${root}e/${device}`,
    value: (scope, key) => `${root}v/${scope}/${key}`,
    boots: `${root}b`, boot: (node) => `${root}b/${node}`,
    archive: `${root}z`, segment: (n) => `${root}s/${String(n).padStart(10, '0')}`, segmentsAll: `${root}s/`,
  }
}

const SIMPLE = { a: 'accepted', o: 'open', d: 'dead', n: 'node' } as const

/** Reads a key of this journal back. */
export function parseKey({ root }: Keys, key: string): KeyOf {
  const [kind = '', name = '', part] = key.slice(root.length).split('/')
  if (kind in SIMPLE) return { kind: SIMPLE[kind as keyof typeof SIMPLE], name }
  if (kind === 'i' && part === 'f') return { kind: 'final', name }
  if (kind === 'i' && part === 'c') return { kind: 'claim', name }
  if (kind === 'z') return { kind: 'archive' }
  return undefined
}
