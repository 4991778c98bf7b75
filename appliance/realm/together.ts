import { join } from 'node:path'
import type { Driver } from '../../drivers/port.ts'
import { idOf, type Mesh } from '../bus/mesh/index.ts'
import type { Config } from '../config/schema.ts'
import { bootId, type Clock } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'
import type { Hub } from '../contracts/hub.ts'
import { intentPolicy } from '../contracts/intents.ts'
import { judge, type Dispatcher, type Elsewhere } from '../dispatch/index.ts'
import type { RealmDevices } from '../gateway/device-states.ts'
import { EtcdJournal } from '../journal/etcd/index.ts'
import type { Journal } from '../journal/port.ts'
import { Consensus } from './consensus/index.ts'
import type { Realm } from './index.ts'
import { DeviceOwnership, type DeviceView } from './ownership/index.ts'
import { Reaper } from './ownership/reaper.ts'
import { VersionRegister } from './upgrade/register.ts'
import { RealmJournal, Work } from './work/index.ts'

export interface TogetherOptions {
  realm: Realm
  config: Config
  clock: Clock
  hub: Hub
  /** This node's own journal, not started. */
  local: Journal
}

/** What a node does as one of several: the shared journal, who commands which device, and who carries out what. */
export class Together {
  readonly consensus: Consensus
  readonly journal: RealmJournal
  readonly ownership: DeviceOwnership
  readonly versions: VersionRegister
  readonly #o: TogetherOptions
  readonly #reaper: Reaper
  #dispatcher: Dispatcher | undefined
  #work: Work | undefined

  constructor(options: TogetherOptions) {
    const { realm, config, clock, hub, local } = options
    const { membership, peers } = realm
    const { node } = membership
    this.#o = options
    const consensus = this.consensus = new Consensus({ membership, peers, config: config.realmMode, host: config.peers.host, clock, hub })
    realm.useLeader(() => consensus.leader)
    this.versions = new VersionRegister({ realm: membership.realm, node, own: realm.versions, clock, etcd: () => ({ endpoints: consensus.endpoints, tls: consensus.tls }), members: () => membership.list.members.map((member) => member.node) })
    const journal = this.journal = new RealmJournal({
      admit: () => this.versions.enter(),
      local, clock, startWaitMs: config.realmMode.startWaitMs, onEvent: (event) => hub.system(event),
      make: (onEvent) => new EtcdJournal({
        etcd: { endpoints: consensus.endpoints, tls: consensus.tls }, realm: membership.realm, node, clock, onEvent,
        archiveFile: join(config.stateDir, 'realm-archive', 'index.sqlite'), archiveMaxBytes: config.journal.archiveMaxBytes, leaseTtlS: config.realmMode.leaseTtlS,
      }),
    })
    this.ownership = new DeviceOwnership({
      realm: membership.realm, node, clock, hub, config: config.realmMode, peers,
      busy: { idle: async (device, policy, timeoutMs) => await this.#dispatcher?.idle(device, timeoutMs, policy === 'stop' ? new MtorError('CANCELLED', `${device} was handed over`) : undefined) ?? true },
      onCommand: (device) => { void this.#work?.commands(device) },
      localEpoch: (device, above) => local.nextEpoch(device, above),
    })
    journal.onUp(async (etcd) => { hub.boot = await etcd.boot(bootId()) })
    consensus.onEndpoints = (urls) => { journal.etcd?.client.add(urls) }
    journal.onUp((etcd) => { etcd.client.add(consensus.endpoints) })
    journal.onUp((etcd) => this.ownership.attach(etcd))
    this.#reaper = new Reaper({ peers, clock, hub, expel: async (gone) => { await journal.etcd?.expel(gone) } })
  }

  /** For who tells how devices are. */
  devices(mesh: Pick<Mesh, 'last'>): RealmDevices & { list(): DeviceView[] } {
    const { ownership } = this
    return {
      ids: () => ownership.list().map(({ device }) => device), list: () => ownership.list(), mayCommand: (device) => ownership.mayCommand(device),
      online: () => this.#o.realm.peers.list().flatMap(({ node, online }) => online ? [node] : []),
      last: (topic) => { const said = mesh.last(topic); return said && { id: idOf(said.version), node: said.version.n, payload: said.payload } },
    }
  }

  /** Undefined until `begin`. */
  get work(): Work { return this.#work! }

  /** For the service, which is made before this begins. */
  get elsewhere(): Elsewhere {
    const work = () => this.work
    return {
      takes: (envelope) => work().takes(envelope), watch: (envelope, expiresMonoMs) => work().watch(envelope, expiresMonoMs), cancel: (id, reason) => work().cancel(id, reason),
      get waiting() { return work().waiting },
    }
  }

  /** The rest of this node is there: what waits in the journals is taken up. */
  begin({ dispatcher, drivers }: { dispatcher: Dispatcher; drivers: readonly Driver[] }): void {
    const { realm: { membership: { node }, peers }, clock, hub } = this.#o
    this.#dispatcher = dispatcher
    const work = this.#work = new Work({ node, journal: this.journal, ownership: this.ownership, dispatcher, drivers, peers, hub, clock })
    this.journal.standsAlone = (envelope) => work.standsAlone(envelope)
    work.start()
    this.#reaper.start()
    void this.#settleLocal(dispatcher, drivers)
  }

  stop(): void {
    this.#reaper.stop()
    this.#work?.stop()
  }

  /**
   * What this node's own journal still has, of before it joined or of when it stood alone. Tickets of that time are worth
   * nothing in the realm, so what commands a device is not begun again.
   */
  async #settleLocal(dispatcher: Dispatcher, drivers: readonly Driver[]): Promise<void> {
    const { clock, hub } = this.#o
    for (const entry of await this.journal.local.unfinished()) {
      const { envelope } = entry
      const policy = intentPolicy(envelope.type)
      const commands = entry.claim?.ticket !== undefined || policy?.deviceKind !== undefined || policy?.deviceSlot !== undefined
      const verdict = commands ? { finish: { state: 'failed', code: 'INTERRUPTED', message: 'it was accepted before this node worked in its realm', deadLetter: true } as const } : await judge(entry, { dispatcher, drivers, hub, clock, reachable: () => Promise.resolve(false) })
      if ('run' in verdict) dispatcher.enqueue(verdict.run)
      else await dispatcher.finish({ id: envelope.id, envelope }, verdict.finish)
    }
  }
}
