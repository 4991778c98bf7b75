import { randomUUID } from 'node:crypto'
import { networkInterfaces } from 'node:os'
import { bootId, type Clock } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'
import type { SystemEventInput } from '../contracts/events.ts'
import type { Hub } from '../contracts/hub.ts'
import type { PeersConfig } from '../config/schema.ts'
import { Admission } from './admission.ts'
import { ClockWatch } from './clock-watch.ts'
import { Discovery } from './discovery.ts'
import { RealmFolder } from './folder.ts'
import { parseAddress } from './join.ts'
import type { NodeRole } from './list.ts'
import { Membership, membershipOf } from './membership.ts'
import { TlsPeers, type Peers } from './peers/index.ts'
import { realmStatus, type RealmStatus } from './status.ts'
import { Steward } from './steward.ts'
import { Tokens } from './tokens.ts'
import type { Versions } from './upgrade/versions.ts'

export { PEER_PROTOCOL, type PeerInfo, type Peers } from './peers/index.ts'
export { realmRoutes } from './routes.ts'
export type { NodeRole } from './list.ts'
export type { RealmStatus } from './status.ts'

export interface RealmOptions { stateDir: string; config: PeersConfig; clock: Clock; hub: Hub; version: string }
/** What is printed for whoever sets up the new node. */
export interface Invitation { token: string; expiresInS: number; address: string; node?: string; role: NodeRole }

/** Realm and name that `<state>/realm` gives to this node; undefined where it is in no realm. @throws MtorError CONFIG_INVALID */
export const memberNames = (stateDir: string): { realm: string; node: string } | undefined => membershipOf(new RealmFolder(stateDir))

const ANYWHERE = new Set(['0.0.0.0', '::', ''])

/** Where the others are to reach this node: as configured, else where it listens; undefined where it listens anywhere. */
export function ownAddress({ address, host, port }: PeersConfig): { host?: string; port: number } {
  if (address !== undefined) return parseAddress(address, port)
  return ANYWHERE.has(host) ? { port } : { host, port }
}

/** Likewise, and if need be the first address that is not of this machine alone. */
export function guessedAddress(config: PeersConfig): { host: string; port: number } {
  const { host, port } = ownAddress(config)
  const outside = () => Object.values(networkInterfaces()).flatMap((all) => all ?? []).find(({ internal, family }) => !internal && family === 'IPv4')?.address
  return { host: host ?? outside() ?? '127.0.0.1', port }
}

/** This node's part in its realm: who belongs to it, links to the others, and what members do for each other. */
export class Realm {
  readonly membership: Membership
  readonly peers: Peers
  readonly #options: RealmOptions
  readonly #links: TlsPeers
  readonly #tokens: Tokens
  readonly #steward: Steward
  readonly #clocks: ClockWatch
  readonly #discovery: Discovery | undefined
  #leader: () => string | undefined = () => undefined
  #hasLeft = false

  private constructor(options: RealmOptions, membership: Membership) {
    const { config, clock, hub, version } = options
    const report = (event: Omit<SystemEventInput, 'component'>) => { hub.system({ component: 'realm', ...event }) }
    this.#options = options
    this.membership = membership
    const boot = bootId()
    this.#tokens = new Tokens({ folder: membership.folder, clock, boot: boot === 'unknown' ? randomUUID() : boot })
    const admission = new Admission({ membership, tokens: this.#tokens, clock, hub })
    const links: TlsPeers = new TlsPeers({
      membership, clock, hub, version, host: config.host, port: config.port, ...config.pretend, heartbeatMs: config.heartbeatMs, offlineAfterMs: config.offlineAfterMs,
      onNewcomer: (socket) => { void admission.serve(socket) },
    })
    this.peers = this.#links = links
    this.#steward = new Steward({ membership, peers: links, clock, report, address: ownAddress(config) })
    this.#clocks = new ClockWatch({ peers: links, report })
    this.#discovery = config.discovery ? new Discovery({ report }) : undefined
  }

  /** Reads `<state>/realm`. @throws MtorError CONFIG_INVALID */
  static async open(options: RealmOptions): Promise<Realm> {
    const membership = await Membership.load(new RealmFolder(options.stateDir))
    const realm = new Realm(options, membership)
    await realm.#tokens.load()
    return realm
  }

  /** Who leads the consensus is for whoever runs it to say. */
  useLeader(leader: () => string | undefined): void { this.#leader = leader }

  /** True from the moment it has left; the daemon goes on until it is started anew. */
  get hasLeft(): boolean { return this.#hasLeft }
  /** What this node says of itself to the others. */
  get versions(): Versions { return this.#links.versions }
  get role(): NodeRole { return this.membership.role }

  async start(): Promise<void> {
    await this.#links.start()
    this.#steward.start()
    this.#clocks.start()
    const { realm, node } = this.membership
    await this.#discovery?.announce({ realm, node, role: this.role, port: this.#links.port, fingerprint: this.status().fingerprint })
  }

  /** Stopping twice is fine. */
  async stop(): Promise<void> {
    await this.#discovery?.stop()
    this.#clocks.stop()
    await this.#steward.stop()
    await this.#links.stop()
    await this.membership.settled().catch(() => {})
  }

  status(): RealmStatus {
    return realmStatus({ membership: this.membership, peers: this.peers.list(), own: this.versions, clock: this.#options.clock, leader: this.#leader() })
  }

  /** A token with which one node may join. @throws MtorError UNAUTHORISED where the authority's key is not */
  async invite({ role, minutes, node }: { role: NodeRole; minutes: number; node?: string }): Promise<Invitation> {
    const { authority, self } = this.membership
    if (!authority || !self) throw new MtorError('UNAUTHORISED', 'this node cannot admit others: it does not hold the key of the realm\'s authority', { hint: 'Run it on a full node.' })
    const made = await this.#tokens.make({ role, minutes, fingerprint: authority.fingerprint, ...(node === undefined ? {} : { node }) })
    return { ...made, role, address: self.host.includes(':') ? `[${self.host}]:${self.port}` : `${self.host}:${self.port}`, ...(node === undefined ? {} : { node }) }
  }

  /** Takes a node off the list for good, and invites a new board to its name and role. @throws MtorError NOT_FOUND, BUSY, UNAUTHORISED */
  async replace(node: string, { force = false, minutes = 15 }: { force?: boolean; minutes?: number } = {}): Promise<Invitation> {
    const { membership } = this
    const member = membership.member(node)
    if (!member) throw new MtorError('NOT_FOUND', `realm ${membership.realm} has no node ${node}`, { hint: 'See: mtor realm status' })
    if (node === membership.node) throw new MtorError('USAGE', 'a node does not replace itself', { hint: 'Run it on another full node, or leave with: mtor realm leave' })
    if (!force && this.peers.list().some((peer) => peer.node === node && peer.online)) throw new MtorError('BUSY', `${node} is online`, { hint: 'If it is to go all the same: mtor realm replace NODE --force' })
    await membership.change({ revoke: member.serials.map((serial) => ({ serial, node, why: 'replaced' })) })
    this.#options.hub.system({ severity: 'warning', component: 'realm', name: 'node.replaced', message: `${node} was taken off the member list`, data: { node } })
    return this.invite({ role: member.role, minutes, node })
  }

  /** Leaves the realm and forgets its keys. @throws MtorError NODE_UNREACHABLE when no other full node is online and it is not forced */
  async leave({ force = false }: { force?: boolean } = {}): Promise<{ realm: string; told: boolean }> {
    const { membership } = this
    const alone = membership.list.members.every(({ node }) => node === membership.node)
    let told = alone || membership.ownRefusal !== undefined
    if (!told) {
      try { await this.#steward.leave(); told = true } catch (error) { if (!force) throw error }
    }
    this.#hasLeft = true
    await this.stop()
    await membership.forget(told)
    return { realm: membership.realm, told }
  }
}
