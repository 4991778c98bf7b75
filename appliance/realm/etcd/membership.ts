import type { Clock } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import type { EtcdClient } from '../../journal/etcd/client.ts'
import { EtcdError } from '../../journal/etcd/errors.ts'
import type { ClusterMember } from './flags.ts'

/** A voter of the cluster. `name` is empty until it has started for the first time. */
export interface EtcdMember { id: string; name: string; peerUrls: string[]; clientUrls: string[]; learner: boolean }

interface RawMember { ID: string; name?: string; peerURLs?: string[]; clientURLs?: string[]; isLearner?: boolean }

const memberOf = ({ ID, name = '', peerURLs = [], clientURLs = [], isLearner = false }: RawMember): EtcdMember => ({ id: ID, name, peerUrls: peerURLs, clientUrls: clientURLs, learner: isLearner })

/** All members, as a majority knows them from 3.5 on, and as the asked member knows them in 3.4. */
export async function members(client: EtcdClient): Promise<EtcdMember[]> {
  const { members: raw = [] } = await client.call('/v3/cluster/member/list', {}) as { members?: RawMember[] }
  return raw.map(memberOf)
}

const TIMEOUT_MS = 5_000
/** etcd changes members only when all it has have been connected for five seconds, ms. */
const SETTLE_MS = 15_000
const RETRY_MS = 500

/** Asks once, and again only where etcd has refused because its members have not been connected for long enough. */
async function change(client: EtcdClient, clock: Clock, path: string, body: unknown): Promise<unknown> {
  const untilMs = clock.monoMs() + SETTLE_MS
  for (;;) {
    try { return await client.call(path, body, { repeat: false, timeoutMs: TIMEOUT_MS }) } catch (error) {
      if (!(error instanceof EtcdError && error.trouble === 'refused' && /unhealthy cluster/.test(error.message)) || clock.monoMs() >= untilMs) throw error
      await new Promise<void>((resolve) => { clock.setTimeout(resolve, RETRY_MS) })
    }
  }
}

/**
 * Adds a voter, before it is started with `state: 'existing'` and the returned cluster. Asked again it finds the member
 * that it had added. A member of this name that has lost its data cannot go on as itself: it is removed first.
 * etcd refuses what would cost it the majority, with a reason.
 */
export async function addMember(client: EtcdClient, clock: Clock, { name, url }: ClusterMember): Promise<{ id: string; initialCluster: ClusterMember[] }> {
  const before = await members(client)
  const waiting = before.find((member) => member.name === '' && member.peerUrls.includes(url))
  const former = before.find((member) => member !== waiting && (member.name === name || member.peerUrls.includes(url)))
  if (former) await removeMember(client, clock, former.id)
  let id = waiting?.id
  if (id === undefined) {
    const { member } = await change(client, clock, '/v3/cluster/member/add', { peerURLs: [url] }) as { member: RawMember }
    id = member.ID
  }
  const initialCluster = (await members(client)).map((member) => ({ name: member.id === id ? name : member.name, url: member.peerUrls[0] ?? '' }))
  if (!initialCluster.some((member) => member.name === name)) throw new MtorError('JOURNAL_UNAVAILABLE', `${name} was added, and the member that was asked does not know of it yet`)
  return { id, initialCluster }
}

/** Says where the others reach a member from now on. */
export async function moveMember(client: EtcdClient, clock: Clock, id: string, peerUrl: string): Promise<void> {
  await change(client, clock, '/v3/cluster/member/update', { ID: id, peerURLs: [peerUrl] })
}

/** Removes a voter for good: its process ends, and its data is of no more use. Not being there is fine. */
export async function removeMember(client: EtcdClient, clock: Clock, id: string): Promise<void> {
  if (!(await members(client)).some((member) => member.id === id)) return
  await change(client, clock, '/v3/cluster/member/remove', { ID: id })
}
