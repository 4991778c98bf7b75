import { MtorError } from '../../contracts/errors.ts'
import type { EtcdClient } from '../../journal/etcd/index.ts'

/** One member of the etcd cluster. One that was added and has not started yet has no name. */
export interface ClusterMember { id: string; name: string; peerUrls: string[]; clientUrls: string[]; learner: boolean }

interface RawMember { ID: string; name?: string; peerURLs?: string[]; clientURLs?: string[]; isLearner?: boolean }
const memberOf = ({ ID, name = '', peerURLs = [], clientURLs = [], isLearner = false }: RawMember): ClusterMember => ({ id: ID, name, peerUrls: peerURLs, clientUrls: clientURLs, learner: isLearner })

/** @see https://etcd.io/docs/v3.4/dev-guide/api_reference_v3/ (service Cluster) */
export async function members(client: EtcdClient): Promise<ClusterMember[]> {
  const { members: all = [] } = await client.call('/v3/cluster/member/list', {}) as { members?: RawMember[] }
  return all.map(memberOf)
}

export async function removeMember(client: EtcdClient, id: string): Promise<void> { await client.call('/v3/cluster/member/remove', { ID: id }, { timeoutMs: 3_000 }) }

/**
 * Adds a node that brings no data, first as a learner: a voter that has not started yet would cost a cluster of one its
 * majority. A member of that name from before is removed, its disk is gone. Asking again is fine.
 */
export async function addLearner(client: EtcdClient, node: string, peerUrl: string): Promise<ClusterMember[]> {
  const before = await members(client)
  const waiting = before.find((member) => member.name === '' && member.peerUrls.includes(peerUrl))
  if (waiting) return before
  for (const old of before.filter((member) => member.name === node || member.peerUrls.includes(peerUrl))) await removeMember(client, old.id)
  await client.call('/v3/cluster/member/add', { peerURLs: [peerUrl], isLearner: true }, { timeoutMs: 3_000, repeat: false })
  return await members(client)
}

/** Gives a learner its vote. False while it has not caught up. @throws MtorError NOT_FOUND */
export async function promote(client: EtcdClient, node: string): Promise<boolean> {
  const member = (await members(client)).find(({ name }) => name === node)
  if (!member) throw new MtorError('NOT_FOUND', `etcd has no started member ${node}`)
  if (!member.learner) return true
  try { await client.call('/v3/cluster/member/promote', { ID: member.id }, { timeoutMs: 3_000 }) } catch (error) {
    if (/in sync|not learner/.test((error as Error).message)) return false
    throw error
  }
  return true
}
