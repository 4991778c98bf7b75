import test from 'ava'
import { ManualClock } from '../../contracts/clock.ts'
import { becomes } from '../testing.ts'
import { app, heard, isMet, threeBuses, topics, withBus, type BusNode } from './testing.ts'

const agree = (...nodes: BusNode[]) => becomes('all agree on what is retained', () => new Set(nodes.map((node) => node.mesh.digest())).size === 1)
/** What a client that comes to this node is given as retained. */
async function retainedAt(node: BusNode, topic: string): Promise<string | undefined> {
  const client = await node.client()
  const { got } = await heard(client, topic)
  // What is published on `done` afterwards comes after what is retained.
  await client.subscribeAsync(app('done'), { qos: 1 })
  await client.publishAsync(app('done'), '', { qos: 1 })
  await becomes('the marker has come', () => got.some((one) => one.topic === app('done')))
  client.end(true)
  return got.find((one) => one.topic === topic && one.retain)?.text
}

test('what is retained at one node is retained at all, and what is deleted at another is deleted everywhere', async (t) => {
  const [a, b, c] = await threeBuses(t)
  await (await a.client()).publishAsync(app('lamp'), 'on', { qos: 1, retain: true })
  await agree(a, b, c)
  for (const node of [a, b, c]) t.is(await retainedAt(node, app('lamp')), 'on')
  await (await c.client()).publishAsync(app('lamp'), '', { qos: 1, retain: true })
  await agree(a, b, c)
  for (const node of [a, b, c]) t.is(await retainedAt(node, app('lamp')), undefined)
})

test('writes to one topic at all nodes at once end with the same value everywhere', async (t) => {
  const nodes = await threeBuses(t)
  const clients = await Promise.all(nodes.map((node) => node.client()))
  await Promise.all(clients.flatMap((client, n) => Array.from({ length: 50 }, (_, i) => client.publishAsync(app('contended'), `${n} ${i}`, { qos: 1, retain: true }))))
  await agree(...nodes)
  const values = await Promise.all(nodes.map((node) => retainedAt(node, app('contended'))))
  t.is(new Set(values).size, 1)
  t.regex(values[0]!, / 49$/)
})

test('a node that is started anew gets everything that is retained, and brings back nothing that was deleted', async (t) => {
  const [a, b, c] = await threeBuses(t)
  const at = await a.client()
  await at.publishAsync(app('stays'), 'here', { qos: 1, retain: true })
  await at.publishAsync(app('goes'), 'away', { qos: 1, retain: true })
  await agree(a, b, c)
  await c.bus.stop()
  await at.publishAsync(app('goes'), '', { qos: 1, retain: true })
  await at.publishAsync(app('new'), 'meanwhile', { qos: 0, retain: true })
  await c.bus.start()
  await becomes('c has met the others again', () => isMet(c))
  await agree(a, b, c)
  t.is(await retainedAt(c, app('stays')), 'here')
  t.is(await retainedAt(c, app('new')), 'meanwhile')
  t.is(await retainedAt(c, app('goes')), undefined)
})

test('a board without a clock that starts late is heard all the same: what it says of itself is newer than what was remembered of it', async (t) => {
  const [a, b, c] = await threeBuses(t)
  await (await c.client()).publishAsync(app('state'), 'before', { qos: 1, retain: true })
  await agree(a, b, c)
  await c.bus.stop()
  c.oneBus.stop()
  const again = await withBus(t, c, { clock: new ManualClock(1_000, undefined) })
  // Its own time stands still at one second; said before it hears of anybody.
  again.bus.publish(app('state'), Buffer.from('after'), { retain: true, qos: 1 })
  await agree(a, b, again)
  t.is(await retainedAt(a, app('state')), 'after')
  t.is(await retainedAt(again, app('state')), 'after')
})

test('the state of a node that is lost says offline at all others, and online again when it is back', async (t) => {
  const [a, b, c] = await threeBuses(t)
  const state = async (node: BusNode) => heard(await node.client(), topics.nodeState('c'))
  const [atA, atB] = [await state(a), await state(b)]
  const last = (one: { texts(): string[] }) => JSON.parse(one.texts().at(-1) ?? '{}') as { online?: boolean }
  await becomes('c is online', () => last(atA).online === true && last(atB).online === true)
  await c.peers.stop()
  await becomes('c is offline', () => last(atA).online === false && last(atB).online === false)
  await c.peers.start()
  await becomes('c is online again', () => last(atA).online === true && last(atB).online === true)
  t.is(JSON.parse(await retainedAt(a, topics.nodeState('c')) ?? '{}').online, true)
})

test('the wills of the clients of a lost node are done by the others; what they replaced is back with the node', async (t) => {
  const [a, b, c] = await threeBuses(t)
  const client = await c.client({ clientId: 'hand', will: { topic: app('hand'), payload: Buffer.from('gone'), qos: 1, retain: true } })
  await client.publishAsync(app('hand'), 'here', { qos: 1, retain: true })
  const passing = await c.client({ clientId: 'other', will: { topic: app('passing'), payload: Buffer.from('gone'), qos: 1, retain: false } })
  const atB = await heard(await b.client(), [app('hand'), app('passing')])
  await becomes('b knows', () => atB.texts().includes('here'))
  await agree(a, b, c)
  await c.peers.stop()
  await becomes('the wills are done', () => atB.texts(app('hand')).at(-1) === 'gone' && atB.texts(app('passing')).length > 0)
  t.is(await retainedAt(a, app('hand')), 'gone')
  await c.peers.start()
  await becomes('it never went', () => atB.texts(app('hand')).at(-1) === 'here')
  t.deepEqual(atB.texts(app('passing')), ['gone'])
  t.true(client.connected && passing.connected)
})

test('a will of a lost node is the last word when the node comes back without the client', async (t) => {
  const [a, b, c] = await threeBuses(t)
  const client = await c.client({ clientId: 'hand', will: { topic: app('hand'), payload: Buffer.from('gone'), qos: 1, retain: true } })
  await client.publishAsync(app('hand'), 'here', { qos: 1, retain: true })
  await agree(a, b, c)
  await c.peers.stop()
  // As when it is killed: nothing that its broker says when it ends gets out.
  await becomes('the will is done', () => !isMet(a) && !isMet(b))
  await c.bus.stop()
  await c.bus.start()
  await c.peers.start()
  await becomes('all have met', () => [a, b, c].every((node) => isMet(node)))
  await agree(a, b, c)
  for (const node of [a, b, c]) t.is(await retainedAt(node, app('hand')), 'gone')
})

test('each node tells its own clients which nodes there are, and where to connect to them', async (t) => {
  const [a, b, c] = await threeBuses(t)
  const { got } = await heard(await a.client(), topics.realmNodes)
  const last = () => JSON.parse(got.at(-1)?.text ?? '{"nodes":[]}') as { node: string; nodes: { node: string; online: boolean; addresses: { port: number }[] }[] }
  await becomes('all nodes are listed', () => last().nodes.every(({ online, addresses }) => online && addresses.length === 1) && last().nodes.length === 3)
  t.is(last().node, 'a')
  t.deepEqual(last().nodes.map(({ node, addresses }) => [node, addresses[0]!.port]), [['a', a.mqttPort()], ['b', b.mqttPort()], ['c', c.mqttPort()]])
  await c.peers.stop()
  await becomes('c is offline', () => last().nodes.find(({ node }) => node === 'c')?.online === false)
  t.is(last().nodes.find(({ node }) => node === 'c')!.addresses.length, 1, 'where it was is still told')
})
