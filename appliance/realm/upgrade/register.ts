import type { Clock } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import { EtcdClient, type EtcdClientOptions } from '../../journal/etcd/index.ts'
import { keysOf } from '../../journal/etcd/keys.ts'
import { all, put } from '../../journal/etcd/wire.ts'
import { isTooOld, mismatch, versionsValidator, type Versions } from './versions.ts'

export interface RegisterOptions {
  realm: string
  node: string
  own: Versions
  clock: Clock
  /** Asked for anew each time: addresses become known. */
  etcd(): Pick<EtcdClientOptions, 'endpoints' | 'tls'>
  /** Who belongs to the realm: what a node that was replaced has left here counts no more. */
  members(): readonly string[]
}

/**
 * Which release each node runs, or ran last, in etcd beside the journal. The links refuse a node that is too far off, but
 * its etcd would still let it into the journal, where it could take work that no stop of the others reaches. So it is
 * asked here first. And what a node that is away can read is known of it too.
 */
export class VersionRegister {
  readonly #o: RegisterOptions
  readonly #root: string

  constructor(options: RegisterOptions) {
    this.#o = options
    this.#root = `/mtor/1/${options.realm}/versions/`
  }

  get own(): Versions { return this.#o.own }

  /**
   * Registers this node, before it opens the journal. Whoever comes gives way to those that work; one that is away and too
   * old keeps nobody out, for it will be refused itself.
   * @throws MtorError VERSION_MISMATCH, NO_QUORUM, JOURNAL_UNAVAILABLE
   */
  async enter(): Promise<void> {
    const { own, node } = this.#o
    const { nodesAll } = keysOf(this.#o.realm)
    await this.#with(async (client) => {
      const { parts: [versions, nodes] } = await client.ranges([all(this.#root), all(nodesAll, { keysOnly: true })])
      const alive = new Set(nodes!.kvs.map(({ key }) => key.slice(nodesAll.length)))
      const known = this.#known(versions!.kvs)
      for (const [other, theirs] of known) {
        const why = other === node ? undefined : mismatch(own, theirs)
        if (why === undefined || (isTooOld(own, theirs) && !alive.has(other))) continue
        throw new MtorError('VERSION_MISMATCH', `${other} (${theirs.software}) has ${why}`, { data: { node: other, theirs, own } })
      }
      if (JSON.stringify(known.get(node)) !== JSON.stringify(own)) await client.txn({ compare: [], success: [put(this.#root + node, JSON.stringify(own))], failure: [] })
    })
  }

  /** Of every member that was ever in the journal. */
  async read(): Promise<Map<string, Versions>> { return await this.#with(async (client) => this.#known((await client.range(all(this.#root))).kvs)) }

  #known(kvs: readonly { key: string; value: Buffer }[]): Map<string, Versions> {
    const members = new Set(this.#o.members())
    return new Map(kvs.flatMap(({ key, value }): [string, Versions][] => {
      const node = key.slice(this.#root.length)
      const versions: unknown = JSON.parse(value.toString('utf8'))
      return members.has(node) && versionsValidator.check(versions) ? [[node, versions]] : []
    }))
  }

  async #with<T>(use: (client: EtcdClient) => Promise<T>): Promise<T> {
    const client = new EtcdClient({ ...this.#o.etcd(), clock: this.#o.clock })
    try { return await use(client) } finally { client.close() }
  }
}
