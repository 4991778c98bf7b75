import type { Clock } from '../contracts/clock.ts'
import { fingerprintOf } from './authority.ts'
import type { NodeRole } from './list.ts'
import type { Membership } from './membership.ts'
import type { PeerInfo } from './peers/index.ts'
import type { Versions } from './upgrade/versions.ts'

/** One node, as `mtor realm status` shows it. What is not known is left out. */
export interface NodeStatus {
  node: string
  self: boolean
  role: NodeRole
  address: string
  online?: boolean
  /** Why it is offline. */
  offline?: string
  rttMs?: number
  lastHeardMs?: number
  version?: string
  protocol?: number
  /** Of the journal's records there. */
  schema?: number
  /** Its wall clock: known good there, and how far it is ahead of ours, ms. */
  clock?: { good: boolean; offsetMs?: number }
}

export interface RealmStatus {
  realm: string
  node: string
  role: NodeRole
  /** Why this node is out, when it is. */
  removed?: string
  listVersion: number
  revoked: number
  /** SHA-256 of the certificate of the realm's authority. */
  fingerprint: string
  /** True when this node holds the authority's key. */
  admits: boolean
  /** When this node's certificate ends. */
  certificateUntil: string
  /** Who leads the consensus; undefined when nobody does, or it is not known. */
  leader?: string
  /** How far our wall clock is ahead as the others see it, ms. */
  clock: { good: boolean; seenBy: Record<string, number> }
  nodes: NodeStatus[]
}

/** @param peers undefined while the daemon does not run: then only who belongs to the realm is known */
export function realmStatus({ membership, peers, own, clock, leader }: { membership: Membership; peers: readonly PeerInfo[] | undefined; own: Versions | undefined; clock: Clock; leader: string | undefined }): RealmStatus {
  const { list } = membership
  const removed = membership.ownRefusal?.message
  const wallIsGood = clock.wallMs() !== undefined
  const seenBy = Object.fromEntries((peers ?? []).flatMap(({ node, clock: its }) => its?.offsetSeenThereMs === undefined ? [] : [[node, its.offsetSeenThereMs]]))
  return {
    realm: membership.realm, node: membership.node, role: membership.role, ...(removed === undefined ? {} : { removed }),
    listVersion: list.version, revoked: list.revoked.length, fingerprint: fingerprintOf(membership.credentials.caCertPem), admits: membership.authority !== undefined,
    certificateUntil: membership.certificate.validToDate.toISOString(), ...(leader === undefined ? {} : { leader }),
    clock: { good: wallIsGood, seenBy },
    nodes: list.members.map(({ node, role, host, port }): NodeStatus => {
      const base = { node, role, self: node === membership.node, address: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}` }
      if (base.self) return { ...base, ...(peers ? { online: true, ...(own ? { version: own.software, protocol: own.protocol, schema: own.schema } : {}), clock: { good: wallIsGood } } : {}) }
      const peer = peers?.find((one) => one.node === node)
      if (!peer) return base
      return {
        ...base, online: peer.online, ...(peer.offline === undefined ? {} : { offline: peer.offline }),
        ...(peer.rttMs === undefined ? {} : { rttMs: Math.round(peer.rttMs * 100) / 100 }),
        ...(Number.isFinite(peer.lastHeardMs) ? { lastHeardMs: Math.round(peer.lastHeardMs) } : {}),
        ...(peer.versions ? { version: peer.versions.software, schema: peer.versions.schema } : {}), ...(peer.protocol === undefined ? {} : { protocol: peer.protocol }),
        ...(peer.clock ? { clock: { good: peer.clock.good, ...(peer.clock.offsetMs === undefined ? {} : { offsetMs: Math.round(peer.clock.offsetMs * 100) / 100 }) } } : {}),
      }
    }),
  }
}
