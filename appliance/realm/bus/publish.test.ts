import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import mqtt from 'mqtt'
import type { Heard } from '../../bus/index.ts'
import { uuidv7 } from '../../contracts/ids.ts'
import { becomes, Proxy, startNode } from '../testing.ts'
import { app, heard, isMet, threeBuses, topics, withBus, type BusNode } from './testing.ts'

const numbers = (count: number) => Array.from({ length: count }, (_, i) => String(i))

test('what a client publishes at one node reaches the subscribers of all nodes once, in order', async (t) => {
  const nodes = await threeBuses(t)
  const [a] = nodes
  const subscribers = await Promise.all(nodes.map(async (node) => heard(await node.client(), app('#'))))
  const publisher = await a.client()
  const sent = numbers(500)
  for (const text of sent) publisher.publish(app('x'), text, { qos: 1 })
  await publisher.publishAsync(app('last'), 'last', { qos: 1 })
  await becomes('all have the last', () => subscribers.every((one) => one.got.some(({ topic }) => topic === app('last'))))
  for (const one of subscribers) t.deepEqual(one.texts(app('x')), sent)
})

test('QoS 0 and payloads of any bytes are carried as they are, to the limit of a packet', async (t) => {
  const [a, b] = await threeBuses(t)
  const client = await b.client()
  const payloads = [Buffer.alloc(0), Buffer.from([0, 255, 1, 254]), Buffer.alloc(65_000, 7)]
  const got: Buffer[] = []
  client.on('message', (_, payload) => { got.push(payload) })
  await client.subscribeAsync(app('bytes'), { qos: 0 })
  const publisher = await a.client()
  for (const payload of payloads) await publisher.publishAsync(app('bytes'), payload, { qos: 0 })
  await becomes('all have come', () => got.length === payloads.length)
  t.deepEqual(got.map((payload) => payload.toString('hex')), payloads.map((payload) => payload.toString('hex')))
})

test('submissions, stops and what a node says under a common name stay at the node; receipts and events go everywhere', async (t) => {
  const [a, b] = await threeBuses(t)
  const { got } = await heard(await b.client(), '#')
  const client = await a.client()
  const id = uuidv7()
  await client.publishAsync(topics.submit, JSON.stringify({ id }), { qos: 1 })
  a.bus.publish(topics.catalogue, { of: 'a' })
  a.bus.publish(topics.inferenceProvider('m'), { of: 'a' })
  a.bus.publish(topics.handlerReceipt('h'), { of: 'a' })
  a.hub.system({ severity: 'info', component: 'bus', name: 'of.a' })
  await client.publishAsync(app('marker'), '', { qos: 1 })
  await becomes('the marker has come', () => got.some(({ topic }) => topic === app('marker')))
  const names = got.map(({ topic }) => topic)
  t.true(names.includes(topics.receipt(id)))
  t.true(got.some(({ topic, text }) => topic === topics.event('info', 'bus') && (JSON.parse(text) as { node: string; name: string }).node === 'a'))
  for (const topic of [topics.submit, topics.catalogue, topics.inferenceProvider('m'), topics.handlerReceipt('h')]) t.false(names.includes(topic), topic)
  t.is(got.filter(({ topic, text }) => topic === topics.realmNodes && (JSON.parse(text) as { node: string }).node !== 'b').length, 0)
})

test('an intent event raised at one node is heard by the hubs of the others, once, and by their clients, once', async (t) => {
  const [a, b, c] = await threeBuses(t)
  const told: Record<string, string[]> = { a: [], b: [], c: [] }
  for (const { node, hub } of [a, b, c]) hub.onIntent((event) => { told[node]!.push(`${event.node} ${event.state}`) })
  const { got } = await heard(await b.client(), [topics.intentEvent('+'), app('marker')])
  a.hub.intent({ id: uuidv7(), type: 'help', state: 'started' })
  a.hub.intent({ id: uuidv7(), type: 'help', state: 'succeeded' })
  a.bus.publish(app('marker'), '', { qos: 1 })
  await becomes('the marker has come', () => got.some(({ topic }) => topic === app('marker')))
  await becomes('c has them', () => told.c!.length >= 2)
  for (const node of ['a', 'b', 'c']) t.deepEqual(told[node], ['a started', 'a succeeded'], node)
  t.is(got.length, 3)
})

test('a listener of the core hears clients of other nodes only where it asked for them, and who they are', async (t) => {
  const [a, b] = await threeBuses(t, { config: { clients: [], anonymousRole: 'flow' } })
  const [here, realm]: [Heard[], Heard[]] = [[], []]
  b.bus.subscribe(app('#'), (message) => { here.push(message) })
  b.bus.subscribe(app('#'), (message) => { realm.push(message) }, { realm: true })
  await (await a.client({ clientId: 'asks' })).publishAsync(app('ask'), 'what', { qos: 1 })
  await becomes('it is heard', () => realm.length > 0)
  t.like(realm[0], { topic: app('ask'), identity: { client: 'asks', role: 'flow' } })
  t.is(realm[0]!.payload.toString(), 'what')
  t.is(here.length, 0)
})

test('over a link that was cut and has healed, what was published meanwhile with QoS 1 arrives, once and in order', async (t) => {
  const ports: Record<string, number> = {}
  const [toB, toA] = [new Proxy(() => ports.b!), new Proxy(() => ports.a!)]
  const [portToB, portToA] = [await toB.start(t), await toA.start(t)]
  const nodeA = await startNode(t, 'a', { addressOf: () => ({ host: '127.0.0.1', port: portToB }) })
  const nodeB = await startNode(t, 'b', { at: nodeA, addressOf: () => ({ host: '127.0.0.1', port: portToA }) })
  Object.assign(ports, { a: nodeA.port, b: nodeB.port })
  const [a, b] = [await withBus(t, nodeA), await withBus(t, nodeB)]
  await becomes('they have met', () => isMet(a, 1) && isMet(b, 1))
  const { got } = await heard(await b.client(), app('x'))
  const publisher = await a.client()
  const sent = numbers(900)
  const publish = async (from: number, to: number) => { for (const text of sent.slice(from, to)) await publisher.publishAsync(app('x'), text, { qos: 1 }) }
  await publish(0, 300)
  for (const proxy of [toB, toA]) proxy.cut = { there: true, back: true }
  await publish(300, 600)
  await becomes('both have noticed', () => a.online().length === 0 && b.online().length === 0)
  await publish(600, 900)
  for (const proxy of [toB, toA]) proxy.cut = { there: false, back: false }
  await becomes('all have come', () => got.length >= sent.length, 30_000)
  t.deepEqual(got.map(({ text }) => text), sent)
})

interface Child { process: ChildProcess; said: { name: string; port?: number; reason?: string }[]; port: number }
/** Nodes a and b here, c in a process of its own. */
async function withChild(t: ExecutionContext): Promise<{ a: BusNode; b: BusNode; child: Child }> {
  const nodeA = await startNode(t, 'a')
  const nodeB = await startNode(t, 'b', { at: nodeA })
  const nodeC = await startNode(t, 'c', { at: nodeA, start: false })
  const [a, b] = [await withBus(t, nodeA, { maxQueueBytes: 256 * 1024 }), await withBus(t, nodeB)]
  const process_ = spawn(process.execPath, [join(import.meta.dirname, 'testing-child.ts'), join(nodeC.folder.path, '..'), String(nodeC.port)], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => { process_.kill('SIGKILL') })
  const said: Child['said'] = []
  createInterface({ input: process_.stdout! }).on('line', (line) => { said.push(JSON.parse(line) as Child['said'][number]) })
  await becomes('all have met', () => isMet(a) && isMet(b) && said.some(({ name }) => name === 'ready'))
  return { a, b, child: { process: process_, said, port: said.find(({ name }) => name === 'ready')!.port! } }
}

test('a frozen node holds nobody back; what waits for it is bounded, QoS 0 is dropped first, and that is told', async (t) => {
  const { a, b, child } = await withChild(t)
  const atC = mqtt.connect({ host: '127.0.0.1', port: child.port, reconnectPeriod: 0 })
  t.teardown(() => atC.end(true))
  const { got } = await heard(atC, [app('one'), app('many')])
  const atB = await heard(await b.client(), app('#'))
  child.process.kill('SIGSTOP')
  const publisher = await a.client()
  const payload = Buffer.alloc(1_000, 0x61)
  for (let i = 0; i < 100; i++) await publisher.publishAsync(app('one'), String(i), { qos: 1 })
  for (let i = 0; i < 1_000; i++) {
    publisher.publish(app('many'), payload, { qos: 0 })
    if (i % 50 === 49) await becomes('b keeps up', () => atB.got.length === 101 + i)
  }
  await publisher.publishAsync(app('last'), '', { qos: 1 })
  await becomes('b has everything', () => atB.got.length === 1_101)
  t.true(a.oneBus.stats().find(({ node }) => node === 'c')!.bytes <= 256 * 1024)
  child.process.kill('SIGCONT')
  await becomes('c has all of QoS 1', () => got.filter(({ topic }) => topic === app('one')).length >= 100)
  t.deepEqual(got.filter(({ topic }) => topic === app('one')).map(({ text }) => text), numbers(100))
  await becomes('it was told', () => a.named('peer.overflow').length > 0)
  t.true(a.named('peer.overflow')[0]!.data!.dropped as number > 0)
})

test('a node that is killed is lost to the others, and its clients find everything at another node', async (t) => {
  const { a, b, child } = await withChild(t)
  const atC = mqtt.connect({ host: '127.0.0.1', port: child.port, reconnectPeriod: 0, clientId: 'rover', clean: false })
  t.teardown(() => atC.end(true))
  atC.on('error', () => {})
  await atC.subscribeAsync(app('x'), { qos: 1 })
  await becomes('a knows its subscription', () => a.mesh.client('rover')?.subs.length === 1)
  const nodes = await heard(await a.client(), topics.realmNodes)
  child.process.kill('SIGKILL')
  await b.client().then((publisher) => publisher.publishAsync(app('x'), 'after', { qos: 1 }))
  const got: string[] = []
  const back = mqtt.connect({ host: '127.0.0.1', port: a.mqttPort(), reconnectPeriod: 0, clientId: 'rover', clean: false })
  t.teardown(() => back.end(true))
  back.on('message', (_, payload) => { got.push(payload.toString()) })
  await becomes('it has what it missed', () => got.includes('after'))
  await becomes('c is offline', () => (JSON.parse(nodes.got.at(-1)!.text) as { nodes: { node: string; online: boolean }[] }).nodes.some(({ node, online }) => node === 'c' && !online))
  t.deepEqual(got, ['after'])
})
