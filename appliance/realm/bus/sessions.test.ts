import test from 'ava'
import { connect, type MqttClient } from 'mqtt'
import { setTimeout as pause } from 'node:timers/promises'
import { hashPassword } from '../../bus/password.ts'
import { becomes } from '../testing.ts'
import { app, heard, isMet, threeBuses, type BusNode } from './testing.ts'

/** As `node.client`, but hears from the first byte on. */
async function comesBack(node: BusNode, clientId: string): Promise<{ client: MqttClient; got: string[]; sessionPresent: boolean }> {
  const got: string[] = []
  const client = connect({ protocol: 'mqtt', host: '127.0.0.1', port: node.mqttPort(), reconnectPeriod: 0, clientId, clean: false })
  client.on('error', () => {})
  client.on('message', (_, payload) => { got.push(payload.toString()) })
  const sessionPresent = await new Promise<boolean>((resolve, reject) => { client.once('connect', (connack) => resolve(connack.sessionPresent)); client.once('close', () => reject(new TypeError('refused'))) })
  return { client, got, sessionPresent }
}
const numbers = (from: number, count: number) => Array.from({ length: count }, (_, i) => String(from + i))
const knows = (node: BusNode, client: string, check: (entry: { online: boolean; node: string; subs: unknown[] }) => boolean) => () => { const entry = node.mesh.client(client); return entry !== undefined && check(entry) }

test('a client that reconnects to another node keeps its subscriptions and gets what was published while it was away', async (t) => {
  const [a, b, c] = await threeBuses(t)
  const { client } = await comesBack(a, 'rover')
  await client.subscribeAsync(app('x'), { qos: 1 })
  await becomes('b knows its subscription', knows(b, 'rover', ({ subs }) => subs.length === 1))
  await client.endAsync()
  await becomes('b knows that it is away', knows(b, 'rover', ({ online }) => !online))
  const publisher = await c.client()
  for (const text of numbers(0, 20)) await publisher.publishAsync(app('x'), text, { qos: 1 })
  const back = await comesBack(b, 'rover')
  t.teardown(() => back.client.end(true))
  t.true(back.sessionPresent)
  await becomes('it has them all', () => back.got.length >= 20)
  t.deepEqual(back.got, numbers(0, 20))
  await publisher.publishAsync(app('x'), 'live', { qos: 1 })
  await becomes('it is subscribed', () => back.got.at(-1) === 'live')
})

test('what a client has acknowledged at one node does not come again at another', async (t) => {
  const [a, b] = await threeBuses(t)
  const first = await comesBack(a, 'rover')
  await first.client.subscribeAsync(app('x'), { qos: 1 })
  await becomes('b knows its subscription', knows(b, 'rover', ({ subs }) => subs.length === 1))
  const publisher = await b.client()
  for (const text of numbers(0, 50)) await publisher.publishAsync(app('x'), text, { qos: 1 })
  await becomes('it has them', () => first.got.length >= 50)
  t.deepEqual(first.got, numbers(0, 50))
  await becomes('b keeps none of them', () => b.bus.queuedFor('rover') === 0)
  await first.client.endAsync()
  await publisher.publishAsync(app('x'), 'while away', { qos: 1 })
  const back = await comesBack(b, 'rover')
  t.teardown(() => back.client.end(true))
  await becomes('it has the new one', () => back.got.length > 0)
  t.deepEqual(back.got, ['while away'])
})

test('what is on its way while another node hands over what it keeps comes once', async (t) => {
  const [a, b] = await threeBuses(t)
  const publisher = await b.client()
  let sent = 0, isOver = false
  const publishing = (async () => { while (!isOver) { await publisher.publishAsync(app('x'), String(sent), { qos: 1 }); sent += 1 } })()
  const clients: Awaited<ReturnType<typeof comesBack>>[] = []
  for (let i = 0; i < 10; i++) {
    const one = await comesBack(a, `rover${i}`)
    await one.client.subscribeAsync(app('x'), { qos: 1 })
    clients.push(one)
    await pause(20)
  }
  // Each is handed over what is kept for it 0.3 s after it has come.
  await pause(600)
  isOver = true
  await publishing
  for (const { got, client } of clients) {
    await becomes('the last has come', () => got.at(-1) === String(sent - 1))
    t.deepEqual(got, numbers(Number(got[0]), sent - Number(got[0])))
    client.end(true)
  }
})

test('where several subscriptions of a client fit, a message waits once, until the client has acknowledged it', async (t) => {
  const [a, b] = await threeBuses(t)
  const acks: (() => void)[] = []
  const { client, got } = await comesBack(a, 'rover')
  client.handleMessage = (_, done) => { acks.push(() => { done() }) }
  t.teardown(() => client.end(true))
  await client.subscribeAsync({ [app('#')]: { qos: 1 }, [app('x')]: { qos: 1 } })
  await becomes('b knows its subscriptions', knows(b, 'rover', ({ subs }) => subs.length === 2))
  const publisher = await b.client()
  await publisher.publishAsync(app('x'), 'hello', { qos: 1 })
  await becomes('it has come', () => acks.length > 0)
  // In case that it comes again, or that somebody takes it for acknowledged.
  await pause(200)
  t.is(acks.length, 1)
  t.deepEqual([a.bus.queuedFor('rover'), b.bus.queuedFor('rover')], [1, 1])
  acks[0]!()
  await becomes('nobody keeps it', () => a.bus.queuedFor('rover') === 0 && b.bus.queuedFor('rover') === 0)
  t.deepEqual(got, ['hello'])
})

test('what came by a subscription of QoS 0 does not wait for one of QoS 1', async (t) => {
  const [a, b] = await threeBuses(t)
  const { client, got } = await comesBack(a, 'rover')
  t.teardown(() => client.end(true))
  await client.subscribeAsync(app('x'), { qos: 0 })
  await client.subscribeAsync(app('#'), { qos: 1 })
  await becomes('b knows its subscriptions', knows(b, 'rover', ({ subs }) => subs.length === 2))
  const publisher = await b.client()
  for (const text of numbers(0, 5)) await publisher.publishAsync(app('x'), text, { qos: 1 })
  await becomes('they have come', () => got.length >= 5)
  await becomes('nobody keeps them', () => a.bus.queuedFor('rover') === 0 && b.bus.queuedFor('rover') === 0)
  t.deepEqual(got, numbers(0, 5))
})

test('of what waits for a client, a node that was started anew is given what the others hold', async (t) => {
  const [a, b, c] = await threeBuses(t)
  const first = await comesBack(b, 'rover')
  await first.client.subscribeAsync(app('x'), { qos: 1 })
  await becomes('the others know its subscription', () => [a, c].every((node) => node.mesh.client('rover')?.subs.length === 1))
  await first.client.endAsync()
  await becomes('a knows that it is away', knows(a, 'rover', ({ online }) => !online))
  await b.bus.stop()
  const publisher = await a.client()
  await publisher.publishAsync(app('x'), 'meanwhile', { qos: 1 })
  await becomes('c holds it', () => c.bus.queuedFor('rover') === 1)
  await b.bus.start()
  await becomes('b has met the others again and knows the session', () => isMet(b) && b.mesh.client('rover') !== undefined)
  const back = await comesBack(b, 'rover')
  t.teardown(() => back.client.end(true))
  await becomes('it has it', () => back.got.length > 0)
  await becomes('nobody holds it any more', () => [a, b, c].every((node) => node.bus.queuedFor('rover') === 0))
  t.deepEqual(back.got, ['meanwhile'])
})

test('a client that connects to another node is let go by the one where it was, and its will is not done', async (t) => {
  const [a, b] = await threeBuses(t)
  const will = { topic: app('hand'), payload: Buffer.from('gone'), qos: 1 as const, retain: true }
  const first = await a.client({ clientId: 'hand', will })
  const watcher = await heard(await b.client(), app('#'))
  const closed = new Promise<void>((resolve) => { first.once('close', () => resolve()) })
  const second = await b.client({ clientId: 'hand', will })
  await closed
  await second.publishAsync(app('hand'), 'here', { qos: 1, retain: true })
  await (await a.client()).publishAsync(app('marker'), '', { qos: 1 })
  await becomes('the marker has come', () => watcher.got.some(({ topic }) => topic === app('marker')))
  t.deepEqual(watcher.texts(app('hand')), ['here'])
  t.true(second.connected)
  t.is(a.named('client.moved').length, 1)
})

test('a client id cannot be taken over at another node by another identity', async (t) => {
  const passwordHash = await hashPassword('secret', { N: 1024 })
  const clients = [{ username: 'ann', passwordHash, role: 'operator' }, { username: 'eve', passwordHash, role: 'operator' }]
  const [a, b] = await threeBuses(t, { config: { clients } })
  const ann = await a.client({ clientId: 'shared', username: 'ann', password: 'secret' })
  await becomes('b knows who it is', () => b.mesh.client('shared')?.online === true)
  const error = await t.throwsAsync(b.client({ clientId: 'shared', username: 'eve', password: 'secret' })) as { code?: unknown } | undefined
  t.is(error?.code, 2)
  t.true(ann.connected)
})

test('a session that a client ends is forgotten at every node', async (t) => {
  const [a, b, c] = await threeBuses(t)
  const { client } = await comesBack(a, 'rover')
  await client.subscribeAsync(app('x'), { qos: 1 })
  await becomes('c knows its subscription', knows(c, 'rover', ({ subs }) => subs.length === 1))
  await client.endAsync()
  await becomes('b knows that it is away', knows(b, 'rover', ({ online }) => !online))
  await (await b.client({ clientId: 'rover', clean: true })).endAsync()
  await becomes('nobody knows it', () => [a, b, c].every((node) => node.mesh.client('rover') === undefined))
  const again = await comesBack(c, 'rover')
  t.teardown(() => again.client.end(true))
  t.false(again.sessionPresent)
})
