import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { ManualClock, systemClock } from '../../contracts/clock.ts'
import type { Item } from '../../bus/mesh/index.ts'
import { sampleInput } from '../../journal/contract.ts'
import { TestEtcd } from '../../journal/etcd/harness.ts'
import { EtcdClient } from '../../journal/etcd/index.ts'
import { keysOf } from '../../journal/etcd/keys.ts'
import { acceptedHead, json } from '../../journal/etcd/records.ts'
import { one, put } from '../../journal/etcd/wire.ts'
import { BusLink } from '../bus/link.ts'
import { Arbiter, ARBITRATION_MS } from '../ear/arbiter.ts'
import { fakeNet } from '../ear/testing.ts'
import { becomes, startNode } from '../testing.ts'
import { Steward } from '../steward.ts'

// What a node of this release makes of what the next one says: more fields, and kinds that it does not know.
let etcd: TestEtcd
test.before(async () => { etcd = await TestEtcd.make(1) })
test.after.always(async () => { await etcd.dispose() })

test('the journal takes records with further fields and keys of further kinds: what they say is seen, claimed and finished', async (t) => {
  const realm = `newer-${process.hrtime.bigint()}`
  const [a, b] = await Promise.all(['a', 'b'].map((node) => etcd.journal({ realm, node })))
  t.teardown(async () => { await Promise.all([a!.dispose(), b!.dispose()]) })
  const keys = keysOf(realm)
  const client = new EtcdClient({ endpoints: etcd.endpoints, clock: systemClock })
  t.teardown(() => client.close())
  const write = (key: string, value: string) => client.txn({ compare: [], success: [put(key, value)], failure: [] })
  const richer = async (key: string) => { const { kvs: [kv] } = await client.range(one(key)); await write(key, JSON.stringify({ ...json<object>(kv!), more: { of: 'the next version' } })) }
  const seen: string[] = [], ended: string[] = []
  b!.journal.watchAccepted(({ entry }) => { seen.push(entry.envelope.id) })
  b!.journal.watchFinal(({ id, state }) => { ended.push(`${id} ${state}`) })

  // The newer node's words: the head of what was accepted, a claim and a final state with more in them, and keys beside them.
  const input = sampleInput({ more: 'the next version' } as never)
  const { envelope: { id } } = input
  await a!.journal.accept(input)
  const { kvs: [accepted] } = await client.range(one(keys.accepted(id)))
  const { head, text } = acceptedHead(accepted!)
  await write(keys.accepted(id), `${JSON.stringify({ ...head, more: 1 })}\n${text}`)
  await a!.journal.claim(id, { node: 'a' })
  await richer(keys.claim(id))
  await write(`${keys.intent(id)}x`, '{"of":"the next version"}')
  await write(`${keys.root}y/z`, 'not even JSON')
  t.like(await b!.journal.get(id), { state: 'claimed', envelope: input.envelope, claim: { node: 'a', attempt: 1 } })
  t.deepEqual((await b!.journal.unfinished()).map(({ envelope }) => envelope), [input.envelope], 'the envelope is kept whole, what is not known here too')
  await a!.journal.finish(id, { state: 'succeeded', data: { n: 1 } })
  await richer(keys.final(id))
  t.like(await b!.journal.get(id), { state: 'succeeded', final: { data: { n: 1 } } })
  while (ended.length === 0) await sleep(10)
  t.deepEqual([seen, ended], [[id], [`${id} succeeded`]])

  // And this node goes on with what the newer one has begun to write.
  const next = sampleInput()
  await a!.journal.nextEpoch('rover')
  await richer(keys.device('rover'))
  t.is(await b!.journal.nextEpoch('rover'), 2)
  await a!.journal.accept(next)
  t.like(await b!.journal.claim(next.envelope.id, { node: 'b', device: 'rover' }), { ticket: { epoch: 2, sequence: 1 } })
  t.true(await b!.journal.finish(next.envelope.id, { state: 'succeeded' }))
  t.deepEqual([...a!.events, ...b!.events].filter(({ severity }) => severity === 'error' || severity === 'critical'), [])
})

test('the bus passes over operations, items and addresses of further kinds, and takes what it knows', (t) => {
  const reported: string[] = [], got: string[] = []
  const link = new BusLink({
    self: 'a', node: 'b', clock: new ManualClock(0), maxQueueBytes: 1 << 20, session: () => 'a'.repeat(16), nowUs: () => 1, addresses: () => [], send: () => {},
    snapshot: () => ({ clients: [], retained: [] }), onMet: () => {}, onItem: (item: Item, done) => { if (item.kind === 'publish') got.push(item.topic); done() }, report: (name) => { reported.push(name) },
  })
  const address = { kind: 'tcp', host: '192.0.2.1', port: 1883, tls: false }
  link.take({ op: 'hi', session: 'b'.repeat(16), answers: true, timeUs: 1, more: true, addresses: [{ ...address, more: 1 }, { kind: 'quic', host: '192.0.2.1', port: 1, tls: true }] })
  t.true(link.isUp)
  t.deepEqual(link.addresses as unknown, [address])
  link.take({ op: 'of the next version', any: 1 })
  link.take({ op: 'data', stream: '0'.repeat(16), seq: 1, more: 1, items: [['z', 1, 2], ['p', 5, '', 'x', 1, 0, -1, 'more']], who: [] })
  t.deepEqual(got, ['x'])
  t.deepEqual(reported, [])
})

test('the one ear passes over messages of further kinds, and takes a claim that says more', async (t) => {
  const { nodes, base } = fakeNet(['a', 'b'], { delayMs: () => 1 })
  const [a, b] = nodes
  const arbiter = new Arbiter({ peers: b!.peers, clock: b!.clock, run: 'r', onAbdicated: () => { t.fail() } })
  arbiter.start()
  a!.peers.send('b', 'ear', { op: 'of the next version', id: '1', node: 'a', reach: ['b'] })
  a!.peers.send('b', 'ear', { op: 'claim', id: '2', node: 'a', reach: ['b'], claim: 'c', merit: -10, wordAgeMs: 300, claimAgeMs: 0, more: 1 })
  await base.advance(5)
  const nowMs = b!.clock.monoMs()
  const contest = arbiter.enter({ merit: -30, heardMs: nowMs, wordEndMs: nowMs - 305 })
  await base.advance(ARBITRATION_MS)
  t.is(contest.mine, false)
  arbiter.stop()
})

test('what members say to each other may be of a further kind: it is passed over, without an event', async (t) => {
  const a = await startNode(t, 'a')
  const b = await startNode(t, 'b', { at: a })
  await becomes('linked', () => a.online().length === 1 && b.online().length === 1)
  const reports: string[] = []
  const steward = new Steward({ membership: a.membership, peers: a.peers, clock: systemClock, report: ({ name }) => { reports.push(name) }, address: { port: a.port } })
  steward.start()
  t.teardown(() => steward.stop())
  b.peers.send('a', 'realm', { op: 'of the next version', x: 1 })
  b.peers.send('a', 'realm', { op: 'list', list: 'none' })
  await becomes('both came', () => reports.length > 0)
  t.deepEqual(reports, ['list.refused'])
})
