import { kvOf } from '../../journal/etcd/wire.ts'

export type Kv = ReturnType<typeof kvOf>
export interface RegistryEvent { kind: 'put' | 'delete'; kv: Kv }

/** Who commands a device: a node, under a lease of its own, with an epoch that no other ever had. */
export interface Owner { device: string; node: string; epoch: number; lease: string; revision: number }

/**
 * Where devices stand in etcd. The owner and whether a line works hang on the lease of their node and vanish with it;
 * which nodes a device is wired to stays, so that one can say which node is missed.
 */
export interface RegistryKeys { root: string; owner(device: string): string; wired(device: string, node: string): string; line(device: string, node: string): string }

export function registryKeys(realm: string): RegistryKeys {
  const root = `/mtor/1/${realm}/devices/`
  return { root, owner: (device) => `${root}o/${device}`, wired: (device, node) => `${root}w/${device}/${node}`, line: (device, node) => `${root}l/${device}/${node}` }
}

/** What the devices' keys say, as of the last change seen. */
export class Registry {
  readonly #keys: RegistryKeys
  /** The latest change of every key, also of those that are gone: what comes late changes nothing. */
  readonly #latest = new Map<string, { revision: number; kv?: Kv }>()

  constructor(keys: RegistryKeys) { this.#keys = keys }

  /** Takes the place of everything that was known up to `revision`. */
  reset(kvs: readonly Kv[], revision: number) {
    const there = new Set(kvs.map(({ key }) => key))
    for (const [key, { revision: seen, kv }] of this.#latest) if (kv && seen <= revision && !there.has(key)) this.#latest.set(key, { revision })
    for (const kv of kvs) this.apply({ kind: 'put', kv })
  }

  apply({ kind, kv }: RegistryEvent) {
    if ((this.#latest.get(kv.key)?.revision ?? 0) > kv.modRevision) return
    this.#latest.set(kv.key, { revision: kv.modRevision, ...(kind === 'put' ? { kv } : {}) })
  }

  owner(device: string): Owner | undefined {
    const kv = this.#latest.get(this.#keys.owner(device))?.kv
    return kv && ownerOf(device, kv)
  }

  /** Nodes that have the device in their configuration, with its kind. */
  wired(device: string): Map<string, string> { return new Map(this.#under(`w/${device}/`).map(([node, kv]) => [node, (JSON.parse(kv.value.toString()) as { kind: string }).kind])) }

  /** Living nodes with a line to the device that works. */
  lines(device: string): string[] { return this.#under(`l/${device}/`).filter(([, kv]) => (JSON.parse(kv.value.toString()) as { connected: boolean }).connected).map(([node]) => node) }

  get devices(): string[] { return [...new Set(this.#under('w/').map(([rest]) => rest.split('/')[0]!))].sort() }

  #under(path: string): [string, Kv][] {
    const prefix = this.#keys.root + path
    return [...this.#latest].flatMap(([key, { kv }]): [string, Kv][] => kv && key.startsWith(prefix) ? [[key.slice(prefix.length), kv]] : []).sort(([a], [b]) => a < b ? -1 : 1)
  }
}

export interface OwnerRecord { node: string; epoch: number; token: string }
export function ownerOf(device: string, kv: Kv): Owner {
  const { node, epoch } = JSON.parse(kv.value.toString()) as OwnerRecord
  return { device, node, epoch, lease: kv.lease, revision: kv.modRevision }
}
