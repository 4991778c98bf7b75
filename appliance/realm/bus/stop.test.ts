import { once } from 'node:events'
import { connect } from 'node:net'
import test from 'ava'
import { connectPacket, publishPacket, subscribePacket } from '../../bus/testing.ts'
import { becomes, Proxy, startNode } from '../testing.ts'
import { app, heard, isMet, threeBuses, topics, withBus } from './testing.ts'

test('a stop at one node stops all, each once, and is confirmed', async (t) => {
  const [a, b, c] = await threeBuses(t)
  a.stopPath.trigger('key')
  await becomes('both have confirmed', () => a.named('stop.confirmed').length === 2)
  for (const node of [a, b, c]) t.is(node.stops.length, 1)
  t.is(b.stops[0]!.reason, 'key, at node a')
  b.stopPath.trigger('second')
  await becomes('all have stopped again', () => [a, b, c].every(({ stops }) => stops.length === 2))
})

test('a stop over MQTT at one node is heard by the clients of the others, who are stopped once', async (t) => {
  const [a, b, c] = await threeBuses(t)
  const atC = await heard(await c.client(), topics.stop)
  await (await a.client({ clientId: 'hand' })).publishAsync(topics.stop, 'now', { qos: 1 })
  await becomes('it is heard', () => atC.got.length > 0)
  t.like(JSON.parse(atC.texts()[0]!), { node: 'a' })
  await becomes('all have stopped', () => [a, b, c].every(({ stops }) => stops.length === 1))
  t.is(atC.got.length, 1)
})

test('a stop gets through while the brokers of both nodes are held up and the queue between them is full', async (t) => {
  const [a, b] = await threeBuses(t, { config: { drainTimeoutMs: 500 }, bus: { submit: () => new Promise<never>(() => {}) } })
  // A subscriber at b that has stopped reading, and more for it than the window between the nodes holds.
  const frozen = connect({ host: '127.0.0.1', port: b.mqttPort(), noDelay: true })
  t.teardown(() => { frozen.destroy() })
  frozen.write(Buffer.concat([connectPacket('frozen'), subscribePacket(app('flood'))]))
  await once(frozen, 'data')
  frozen.pause()
  const submitter = connect({ host: '127.0.0.1', port: a.mqttPort(), noDelay: true })
  t.teardown(() => { submitter.destroy() })
  submitter.write(connectPacket('hand'))
  await once(submitter, 'data')
  for (let i = 1; i <= 64; i++) submitter.write(publishPacket(topics.submit, '{}', 1, i))
  for (let i = 0; i < 400; i++) a.bus.publish(app('flood'), Buffer.alloc(60_000, 0x61), { qos: 1 })
  await becomes('b does not take it as it comes', () => a.oneBus.stats().some(({ node, waiting }) => node === 'b' && waiting > 0))
  submitter.write(publishPacket(topics.stop, 'now'))
  await becomes('b has stopped', () => b.stops.length === 1)
  t.true(a.oneBus.stats().some(({ node, waiting }) => node === 'b' && waiting > 0), 'the queue was still full')
})

test('a stop reaches a node that only a third one can reach', async (t) => {
  const [toC, fromC] = [new Proxy(() => ports.c!), new Proxy(() => ports.a!)]
  const ports: Record<string, number> = {}
  const [portToC, portToA] = [await toC.start(t), await fromC.start(t)]
  const nodeA = await startNode(t, 'a', { addressOf: (node) => node === 'c' ? { host: '127.0.0.1', port: portToC } : undefined })
  const nodeB = await startNode(t, 'b', { at: nodeA })
  const nodeC = await startNode(t, 'c', { at: nodeA, addressOf: (node) => node === 'a' ? { host: '127.0.0.1', port: portToA } : undefined })
  Object.assign(ports, { a: nodeA.port, c: nodeC.port })
  const [a, b, c] = [await withBus(t, nodeA), await withBus(t, nodeB), await withBus(t, nodeC)]
  await becomes('all have met', () => [a, b, c].every((node) => isMet(node)))
  toC.cut = { there: true, back: true }
  fromC.cut = { there: true, back: true }
  await becomes('a and c do not hear each other', () => !a.online().includes('c') && !c.online().includes('a'))
  a.stopPath.trigger('key')
  await becomes('c has stopped', () => c.stops.length === 1)
  t.is(b.stops.length, 1)
  await becomes('a says that c did not confirm', () => a.named('stop.unconfirmed').length === 1)
  t.like(a.named('stop.unconfirmed')[0], { severity: 'warning', data: { node: 'c' } })
})

test('a stop that was triggered while a link was down for a moment gets through when it is back', async (t) => {
  const [a, b] = await threeBuses(t)
  await b.peers.stop()
  await becomes('b is offline', () => !a.online().includes('b'))
  a.stopPath.trigger('key')
  await b.peers.start()
  await becomes('b has stopped', () => b.stops.length > 0)
  t.is(b.stops.length, 1)
})

test('the dead man\'s switch of a client stops the realm when its node is lost', async (t) => {
  const [a, b, c] = await threeBuses(t)
  await c.client({ clientId: 'hand', will: { topic: topics.stop, payload: Buffer.from('gone'), qos: 0, retain: false } })
  const marker = await heard(await a.client(), app('marker'))
  await (await c.client()).publishAsync(app('marker'), '', { qos: 1 })
  await becomes('a knows what c knew', () => marker.got.length > 0)
  await c.peers.stop()
  await becomes('a and b have stopped', () => a.stops.length > 0 && b.stops.length > 0)
  t.regex(a.stops[0]!.reason, /hand/)
})
