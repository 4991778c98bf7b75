import type { Clock } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import type { EtcdClient } from '../../journal/etcd/index.ts'
import { members, removeMember, type EtcdMember } from '../etcd/index.ts'

/** `nodes`: all that are in the realm. */
export interface Newcomer { node: string; peerUrl: string; nodes: readonly string[] }

/**
 * Members that were let in and have never started, and are none of these nodes, because all of them have. etcd takes one
 * newcomer at a time: one that never comes would keep out all others.
 */
export const strays = (all: readonly EtcdMember[], nodes: readonly string[]): EtcdMember[] => nodes.every((node) => all.some(({ name }) => name === node)) ? all.filter(({ name }) => name === '') : []

/**
 * Adds a node that brings no data, first as a learner: a voter that has not started yet would cost a cluster of one its
 * majority. A member of that name from before is removed, its disk is gone. Asking again is fine.
 * @see https://etcd.io/docs/v3.4/learning/design-learner/
 */
export async function addLearner(client: EtcdClient, clock: Clock, { node, peerUrl, nodes }: Newcomer): Promise<EtcdMember[]> {
  const before = await members(client)
  if (before.some((member) => member.name === '' && member.peerUrls.includes(peerUrl))) return before
  const gone = strays(before, nodes.filter((one) => one !== node))
  for (const old of before.filter((member) => member.name === node || member.peerUrls.includes(peerUrl) || gone.includes(member))) await removeMember(client, clock, old.id)
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
