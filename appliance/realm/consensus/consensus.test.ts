import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { freePort } from '../../contracts/free-port.ts'
import { makeConfig } from '../../config/load.ts'
import { systemClock as clock } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import { EtcdClient } from '../../journal/etcd/index.ts'
import { one, put } from '../../journal/etcd/wire.ts'
import { members } from '../etcd/index.ts'
import { becomes, startNode, type NodeOptions, type TestNode } from '../testing.ts'
import { Consensus } from './index.ts'

interface Member extends TestNode { consensus: Consensus; client: EtcdClient; ports: { clientPort: number; peerPort: number } }

async function consensusOf(t: ExecutionContext, base: TestNode, ports = { clientPort: 0, peerPort: 0 }, etcd: Record<string, unknown> = {}): Promise<Member> {
  const own = ports.clientPort ? ports : { clientPort: await freePort(), peerPort: await freePort() }
  const consensus = new Consensus({ membership: base.membership, peers: base.peers, config: makeConfig({ realmMode: { etcd: { ...own, ...etcd } } }).realmMode, host: '127.0.0.1', clock, hub: base.hub })
  t.teardown(() => consensus.stop())
  await consensus.start()
  const client = new EtcdClient({ endpoints: [consensus.endpoints[0]!], tls: consensus.tls, clock })
  t.teardown(() => { client.close() })
  return { ...base, consensus, client, ports: own }
}

const member = async (t: ExecutionContext, node: string, options: NodeOptions) => await consensusOf(t, await startNode(t, node, options))
const well = (one: Member) => becomes(`etcd of ${one.node} works`, () => one.consensus.health === 'ok', 60_000)
const names = async (of: Member) => (await members(of.client)).map(({ name, learner }) => learner ? `${name} (learner)` : name).sort()

async function three(t: ExecutionContext): Promise<[Member, Member, Member]> {
  const realm = `c${randomUUID().slice(0, 8)}`
  const a = await member(t, 'a', { realm })
  await well(a)
  const b = await member(t, 'b', { realm, at: a })
  const w = await member(t, 'w', { realm, at: a, role: 'witness' })
  for (const one of [b, w]) await well(one)
  return [a, b, w]
}

test.serial('the first node founds the cluster, the others join over their links and get a vote; everything goes over TLS with certificates of the realm', async (t) => {
  const [a, b, w] = await three(t)
  t.deepEqual(await names(b), ['a', 'b', 'w'])
  await a.client.txn({ compare: [], success: [put('k', 'v')], failure: [] })
  t.is((await w.client.range(one('k'))).kvs[0]?.value.toString(), 'v')
  await becomes('all know who leads', () => [a, b, w].every(({ consensus }) => consensus.leader !== undefined), 20_000)
  t.is(new Set([a, b, w].map(({ consensus }) => consensus.leader)).size, 1)
  t.is(b.consensus.endpoints[0], `https://127.0.0.1:${b.ports.clientPort}`)
  t.deepEqual([...b.consensus.endpoints].sort(), [a, b, w].map(({ ports }) => `https://127.0.0.1:${ports.clientPort}`).sort())
  const stranger = new EtcdClient({ endpoints: [a.consensus.endpoints[0]!], tls: { ca: a.membership.credentials.caCertPem }, clock, timeoutMs: 1_000 })
  t.teardown(() => { stranger.close() })
  await t.throwsAsync(stranger.range(one('k')), { instanceOf: MtorError }, 'who has no certificate of the realm gets no answer')
})

test.serial('a node whose disk was wiped joins anew under its name, with everything that the others have', async (t) => {
  const [a, b, w] = await three(t)
  await a.client.txn({ compare: [], success: [put('k', 'v')], failure: [] })
  await b.consensus.stop()
  rmSync(join(b.folder.path, 'etcd'), { recursive: true })
  const again = await consensusOf(t, b, b.ports)
  await well(again)
  t.deepEqual(await names(w), ['a', 'b', 'w'])
  t.is((await again.client.range(one('k'))).kvs[0]?.value.toString(), 'v')
})

test.serial('a node that is no member of the realm any more loses its vote', async (t) => {
  const [a, b, w] = await three(t)
  const { serials } = a.membership.member('b')!
  await b.consensus.stop()
  await b.peers.stop()
  await a.membership.change({ revoke: serials.map((serial) => ({ serial, node: 'b', why: 'left' })) })
  for (let left = await names(w); left.includes('b'); left = await names(w)) await new Promise((resolve) => { setTimeout(resolve, 100) })
  t.deepEqual(await names(a), ['a', 'w'])
  t.is(a.named('etcd.member-removed').length + w.named('etcd.member-removed').length, 1)
})

test.serial('no etcd is told before anything starts, with what to do', async (t) => {
  const base = await startNode(t, 'a', { realm: `c${randomUUID().slice(0, 8)}` })
  const error = await t.throwsAsync(consensusOf(t, base, undefined, { binary: '/nonexistent/etcd' }), { instanceOf: MtorError })
  t.is(error?.code, 'NOT_FITTED')
  t.regex(error!.hint, /apt-get install etcd-server/)
})
