import { randomBytes } from 'node:crypto'
import { MtorError } from '../../contracts/errors.ts'
import type { EtcdClient } from '../../journal/etcd/index.ts'
import { keysOf } from '../../journal/etcd/keys.ts'
import type { DeviceRecord } from '../../journal/etcd/records.ts'
import { all, one, put, remove, unchanged } from '../../journal/etcd/wire.ts'
import { ownerOf, type Kv, type Owner, type OwnerRecord, type RegistryKeys } from './registry.ts'

const ATTEMPTS = 16
const EPOCH_MAX = 0xffffffff

/**
 * Changes of owners, each in one transaction together with the epoch that the journal hands out tickets of: there is no
 * moment in which the owner is new and the epoch old, and what was ticketed under the old one is refused from then on.
 */
export class OwnerStore {
  readonly #client: EtcdClient
  readonly #keys: RegistryKeys
  readonly #epochKey: (device: string) => string
  readonly #instance = randomBytes(6).toString('base64url')
  #tokens = 0

  constructor(client: EtcdClient, keys: RegistryKeys, realm: string) {
    this.#client = client
    this.#keys = keys
    this.#epochKey = keysOf(realm).device
  }

  async read(): Promise<{ kvs: Kv[]; revision: number }> {
    const { kvs, revision } = await this.#client.range(all(this.#keys.root))
    return { kvs, revision }
  }

  /**
   * Makes `node` the owner, with a newer epoch (also newer than `above`), if the owner's key is as it was at `before`
   * (0: nobody's). Resolves with the new owner, or with who it is instead; undefined: nobody, and `before` is out of date.
   * Rejects where the lease is no more.
   */
  async change(device: string, before: number, { node, lease }: { node: string; lease: string }, above = 0): Promise<{ owner: Owner | undefined; made: boolean }> {
    const ownerKey = this.#keys.owner(device)
    const epochKey = this.#epochKey(device)
    const token = `${this.#instance}/${++this.#tokens}`
    let known = (await this.#client.range(one(epochKey))).kvs[0]
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const epoch = Math.max(known ? (JSON.parse(known.value.toString()) as DeviceRecord).epoch : 0, above) + 1
      if (epoch > EPOCH_MAX) throw new MtorError('INTERNAL', `device ${device}: no epochs are left after ${epoch - 1}`)
      const record: OwnerRecord = { node, epoch, token }
      const { succeeded, revision, parts } = await this.#client.txn({
        compare: [unchanged(ownerKey, before), unchanged(epochKey, known?.modRevision ?? 0)],
        success: [put(ownerKey, JSON.stringify(record), lease), put(epochKey, JSON.stringify({ epoch, sequence: 0, token } satisfies DeviceRecord))],
        failure: [one(ownerKey), one(epochKey)],
      })
      if (succeeded) return { owner: { device, node, epoch, lease, revision }, made: true }
      const [there, now] = parts.map(({ kvs }) => kvs[0])
      const owner = there && ownerOf(device, there)
      // The reply of an earlier attempt was lost.
      if (there && (JSON.parse(there.value.toString()) as OwnerRecord).token === token) return { owner, made: true }
      if ((there?.modRevision ?? 0) !== before) return { owner, made: false }
      known = now
    }
    throw new MtorError('BUSY', `device ${device}: its epoch changes too often to take it`)
  }

  async wire(device: string, node: string, kind: string): Promise<void> { await this.#client.txn({ compare: [], success: [put(this.#keys.wired(device, node), JSON.stringify({ kind }))], failure: [] }) }
  async unwire(device: string, node: string): Promise<void> { await this.#client.txn({ compare: [], success: [remove(this.#keys.wired(device, node))], failure: [] }) }
  async line(device: string, node: string, connected: boolean, lease: string): Promise<void> { await this.#client.txn({ compare: [], success: [put(this.#keys.line(device, node), JSON.stringify({ connected }), lease)], failure: [] }) }
}
