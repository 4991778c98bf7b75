import test from 'ava'
import { once } from 'node:events'
import { uuidv7 } from '../contracts/ids.ts'
import { ManualClock } from '../contracts/clock.ts'
import type { Receipt } from '../contracts/envelope.ts'
import { connectPacket, envelope, inbox, json, packet, publishPacket, receiptOf, startBus, topics } from './testing.ts'

test('a QoS 1 submission is acknowledged only after submit has resolved, and its receipt comes on the topic of its id', async (t) => {
  let release!: () => void
  const durable = new Promise<void>((resolve) => { release = resolve })
  const order: string[] = []
  const b = await startBus(t, {}, { submit: async (e) => { order.push('submit'); await durable; order.push('durable'); return receiptOf(b.hub, (e as { id: string }).id) } })
  const client = await b.client({ clientId: 'one' })
  const e = envelope(b.hub)
  const receipts = await inbox(client, topics.receipt(e.id))
  const acknowledged = client.publishAsync(topics.submit, JSON.stringify(e), { qos: 1 }).then(() => order.push('puback'))
  // A ping that is answered shows that the broker has had time to acknowledge, and did not.
  const other = await b.client()
  await other.publishAsync(`${topics.root}/app/x`, 'x', { qos: 1 })
  t.deepEqual(order, ['submit'])
  release()
  await acknowledged
  t.deepEqual(order, ['submit', 'durable', 'puback'])
  t.like(json(await receipts.next()), { id: e.id, accepted: true })
})

for (const qos of [0, 1, 2] as const) test(`a submission with QoS ${qos}, and the same again, is each answered with its receipt`, async (t) => {
  const b = await startBus(t)
  const client = await b.client({ clientId: 'one', username: undefined })
  const e = envelope(b.hub)
  const receipts = await inbox(client, topics.receipt(e.id))
  for (let i = 0; i < 2; i++) {
    await client.publishAsync(topics.submit, JSON.stringify(e), { qos })
    t.is(json(await receipts.next()).id, e.id)
  }
  t.deepEqual(b.submitted.map((s) => s.envelope), [e, e])
  t.deepEqual(b.submitted[0]!.identity, { client: 'one', role: 'operator', kind: 'mqtt' })
})

test('over WebSocket the same submission is known to come from there', async (t) => {
  const b = await startBus(t)
  const client = await b.client({ protocol: 'ws', port: b.wsPort, clientId: 'browser' })
  const e = envelope(b.hub)
  const receipts = await inbox(client, topics.receipt(e.id))
  await client.publishAsync(topics.submit, JSON.stringify(e), { qos: 1 })
  t.true(json(await receipts.next()).accepted)
  t.is(b.submitted[0]!.identity.kind, 'websocket')
})

test('a receipt without id, and a submit that throws, are answered on the client\'s own topic', async (t) => {
  const b = await startBus(t, {}, { submit: async (e) => { if ((e as { boom?: boolean }).boom) throw new RangeError('boom'); return receiptOf(b.hub, null, { accepted: false, code: 'INVALID_ENVELOPE', message: 'no id' }) } })
  const client = await b.client({ clientId: 'one' })
  const answers = await inbox(client, topics.clientReceipt('one'))
  await client.publishAsync(topics.submit, '{}', { qos: 1 })
  t.like(json(await answers.next()), { accepted: false, id: null, code: 'INVALID_ENVELOPE' })
  await client.publishAsync(topics.submit, '{"boom":true}', { qos: 1 })
  t.like(json(await answers.next()), { accepted: false, code: 'INTERNAL' })
  t.like(await b.event('submission.rejected'), { code: 'INVALID_ENVELOPE', data: { client: 'one' } })
})

for (const [what, topic, payload, code] of [
  ['text that is not JSON', topics.submit, 'drive!', 'MALFORMED'],
  ['nothing', topics.submit, '', 'MALFORMED'],
  ['bytes that are not UTF-8', topics.submit, Buffer.from([0x22, 0xff, 0x22]), 'MALFORMED'],
  ['an unknown topic of the realm', `${topics.root}/nowhere`, 'x', 'UNKNOWN_TOPIC'],
  ['a topic outside the realm', 'homeassistant/x', 'x', 'UNKNOWN_TOPIC'],
  ['a topic of 150 levels', `${topics.root}/app${'/x'.repeat(146)}`, 'x', 'UNKNOWN_TOPIC'],
  ['a topic of 600 bytes', `${topics.root}/app/${'x'.repeat(600)}`, 'x', 'UNKNOWN_TOPIC'],
  ['what only the appliance says', topics.event('info', 'bus'), '{}', 'UNAUTHORISED'],
  ['$SYS', '$SYS/x', 'x', 'UNAUTHORISED'],
  ['a device command where none are taken', topics.deviceCommand('rover'), '{}', 'NOT_FITTED'],
] as const) for (const qos of [0, 1, 2] as const) test(`${what} with QoS ${qos} is answered ${code}, raises an event, and the client stays`, async (t) => {
  const b = await startBus(t)
  const client = await b.client({ clientId: 'one' })
  const answers = await inbox(client, [topics.clientReceipt('one'), `${topics.root}/app/#`])
  const watcher = await inbox(await b.client(), '#')
  await client.publishAsync(topic, payload as string, { qos })
  const answer = json(await answers.next()) as Receipt
  t.like(answer, { accepted: false, id: null, code })
  t.truthy(answer.say && answer.hint && answer.message)
  t.like(await b.event('message.rejected', code), { component: 'bus', severity: 'warning', data: { client: 'one' } })
  await client.publishAsync(`${topics.root}/app/ok`, 'still here', { qos })
  t.is((await answers.next()).payload.toString(), 'still here')
  for (;;) {
    const seen = (await watcher.next()).topic
    t.not(seen, topic)
    if (seen === `${topics.root}/app/ok`) break
  }
})

test('a worker speaks for its own node with a will; a wrong state, and that of the broker\'s node, are refused', async (t) => {
  const b = await startBus(t, { anonymousRole: 'worker' })
  const offline = { v: 1, node: 'remote', online: false }
  const worker = await b.client({ clientId: 'remote', will: { topic: topics.nodeState('remote'), payload: Buffer.from(JSON.stringify(offline)), qos: 1, retain: true } })
  const answers = await inbox(worker, topics.clientReceipt('remote'))
  const watcher = await inbox(await b.client(), topics.nodeState('remote'))
  await worker.publishAsync(topics.nodeState('remote'), JSON.stringify({ ...offline, online: 'yes' }), { qos: 1 })
  t.is(json(await answers.next()).code, 'INVALID_ENVELOPE')
  await worker.publishAsync(topics.nodeState('remote'), JSON.stringify({ ...offline, node: 'other' }), { qos: 1 })
  t.is(json(await answers.next()).code, 'INVALID_ENVELOPE')
  await worker.publishAsync(topics.nodeState('base'), JSON.stringify(offline), { qos: 1 })
  t.is(json(await answers.next()).code, 'UNAUTHORISED')
  await worker.publishAsync(topics.nodeState('remote'), JSON.stringify({ ...offline, online: true }), { qos: 1, retain: true })
  t.true(json(await watcher.next()).online)
  worker.stream.destroy()
  t.deepEqual(json(await watcher.next()), offline)
  const late = await inbox(await b.client(), topics.nodeState('remote'))
  const retained = await late.next()
  t.true(retained.retain)
  t.false(json(retained).online)
})

test('a will on a topic the client may not publish on is not published', async (t) => {
  const b = await startBus(t)
  const client = await b.client({ clientId: 'one', will: { topic: topics.nodeState('base'), payload: Buffer.from('{"online":false}'), qos: 1, retain: true } })
  const watcher = await inbox(await b.client(), topics.nodeState('base'))
  t.true(json(await watcher.next()).online)
  client.stream.destroy()
  t.is((await b.event('message.rejected')).code, 'UNAUTHORISED')
  t.is(watcher.waiting(), 0)
})

test('the node says online when it starts and offline when it stops, retained; stopping twice is fine', async (t) => {
  const b = await startBus(t)
  const client = await b.client()
  const states = await inbox(client, topics.nodeState('base'))
  const first = await states.next()
  t.true(first.retain)
  t.like(json(first), { v: 1, node: 'base', online: true })
  const closed = new Promise<void>((resolve) => client.once('close', resolve))
  await Promise.all([b.bus.stop(), b.bus.stop()])
  t.false(json(await states.next()).online)
  await closed
  await b.bus.stop()
  t.deepEqual(b.bus.addresses(), [])
  b.bus.publish(topics.nodeState('base'), {})
})

test('a bus that was stopped can be started again', async (t) => {
  const b = await startBus(t)
  await b.bus.stop()
  await b.bus.start()
  const client = await b.client({ port: b.bus.addresses()[0]!.port })
  t.true(json(await (await inbox(client, topics.nodeState('base'))).next()).online)
})

test('intent events and system events of the hub reach the subscribers', async (t) => {
  const b = await startBus(t)
  const id = uuidv7()
  const got = await inbox(await b.client(), [topics.intentEvent('+'), `${topics.root}/event/#`])
  b.hub.intent({ id, type: 'time.tell', state: 'started' })
  const first = await got.next()
  t.is(first.topic, topics.intentEvent(id))
  t.like(json(first), { id, state: 'started', node: 'base' })
  b.hub.system({ severity: 'error', component: 'journal', name: 'x.y' })
  t.is((await got.next()).topic, topics.event('error', 'journal'))
})

test('messages of different QoS, sent one right after the other, all arrive', async (t) => {
  const b = await startBus(t)
  const got = await inbox(await b.client(), `${topics.root}/app/#`)
  for (let i = 0; i < 50; i++) {
    b.bus.publish(`${topics.root}/app/r${i}`, i, { qos: 1, retain: true })
    b.bus.publish(`${topics.root}/app/a${i}`, i, { qos: 1 })
    b.bus.publish(`${topics.root}/app/b${i}`, i)
  }
  const topicsSeen = new Set<string>()
  for (let i = 0; i < 150; i++) topicsSeen.add((await got.next()).topic)
  t.is(topicsSeen.size, 150)
})

test('a client that may not subscribe is told so in SUBACK, on its receipt topic and by an event, and gets nothing, also when it comes back', async (t) => {
  const b = await startBus(t, { anonymousRole: 'device' })
  const options = { clientId: 'pump', clean: false }
  const first = await b.client(options)
  const answers = await inbox(first, topics.clientReceipt('pump'))
  const granted = await new Promise<number[]>((resolve) => { first.subscribe([topics.stop, topics.deviceCommand('rover'), 'nowhere'], { qos: 1 }, (_error, _granted, suback) => resolve(suback?.granted as number[])) })
  t.deepEqual(granted, [1, 128, 128])
  t.is(json(await answers.next()).code, 'UNAUTHORISED')
  t.is(json(await answers.next()).code, 'UNKNOWN_TOPIC')
  await first.endAsync()
  b.bus.publish(topics.deviceCommand('rover'), { secret: true }, { qos: 1 })
  b.bus.publish(topics.clientReceipt('pump'), { kept: true }, { qos: 1 })
  const again = await b.client({ ...options, autoResubscribe: false } as object)
  const kept = await new Promise<string>((resolve) => { again.on('message', (topic) => resolve(topic)) })
  t.is(kept, topics.clientReceipt('pump'))
})

test('a client that is away with clean=false gets its receipts later, the last thousand of them', async (t) => {
  const b = await startBus(t)
  const first = await b.client({ clientId: 'later', clean: false })
  await first.subscribeAsync(`${topics.root}/app/#`, { qos: 1 })
  await first.endAsync()
  for (let i = 0; i < 1100; i++) b.bus.publish(`${topics.root}/app/n`, i, { qos: 1 })
  t.is((await b.event('queue.overflow')).data?.client, 'later')
  const numbers: number[] = []
  const again = b.client({ clientId: 'later', clean: false })
  await new Promise<void>((resolve) => { void again.then((client) => client.on('message', (_topic, payload) => { numbers.push(Number(payload)); if (numbers.length === 1000) resolve() })) })
  t.deepEqual(numbers, Array.from({ length: 1000 }, (_, i) => i + 100))
  await (await again).endAsync()
  const third = await b.client({ clientId: 'later', clean: false })
  const more: number[] = []
  third.on('message', (_topic, payload) => more.push(Number(payload)))
  await third.publishAsync(`${topics.root}/app/other`, '1', { qos: 1 })
  await new Promise<void>((resolve) => third.on('message', () => { if (more.includes(1)) resolve() }))
  t.deepEqual(more, [1])
})

test('the second client with an id takes the place of the first, and the operator is told', async (t) => {
  const b = await startBus(t)
  const first = await b.client({ clientId: 'twin' })
  const closed = new Promise<void>((resolve) => first.once('close', resolve))
  const second = await b.client({ clientId: 'twin' })
  await closed
  t.is((await b.event('client.replaced')).data?.client, 'twin')
  await second.publishAsync(`${topics.root}/app/x`, 'x', { qos: 1 })
  t.is(b.bus.stats().clients, 1)
})

test('an empty client id is welcome with clean=true and refused with clean=false', async (t) => {
  const b = await startBus(t)
  const good = await b.raw()
  good.write(connectPacket(''))
  t.deepEqual([...(await once(good, 'data'))[0]], [0x20, 2, 0, 0])
  const bad = await b.raw()
  bad.write(connectPacket('', { clean: false }))
  t.deepEqual([...(await once(bad, 'data'))[0]], [0x20, 2, 0, 2])
  await once(bad, 'close')
  t.is((await b.event('client.refused')).code, 'UNAUTHORISED')
})

for (const id of ['a/b', 'a+', '#', 'x'.repeat(129)]) test(`client id ${id.slice(0, 10)} is refused, as it cannot be a level of a topic`, async (t) => {
  const b = await startBus(t)
  const error = await t.throwsAsync(b.client({ clientId: id }))
  t.is((error as { code?: unknown } | undefined)?.code, 2)
})

test('a socket that says nothing is closed when its time is up', async (t) => {
  const clock = new ManualClock()
  const b = await startBus(t, { limits: { connectTimeoutMs: 5000 } }, { clock })
  const socket = await b.raw()
  const closed = once(socket, 'close')
  while (b.bus.stats().connections === 0) await new Promise((resolve) => setImmediate(resolve))
  const connected = await b.client()
  await clock.advance(5000)
  await closed
  t.truthy(await b.event('connection.late'))
  await connected.publishAsync(`${topics.root}/app/x`, 'x', { qos: 1 })
})

test('a device command of an operator goes to the appliance and to nobody else', async (t) => {
  const commands: unknown[] = []
  const b = await startBus(t, {}, { deviceCommand: async (device, payload, identity): Promise<Receipt> => { commands.push({ device, payload, role: identity.role }); return receiptOf(b.hub, null) } })
  const client = await b.client({ clientId: 'one' })
  const got = await inbox(client, [topics.deviceCommand('rover'), topics.clientReceipt('one'), `${topics.root}/app/#`])
  await client.publishAsync(topics.deviceCommand('rover'), '{"go":1}', { qos: 1 })
  t.deepEqual(commands, [{ device: 'rover', payload: { go: 1 }, role: 'operator' }])
  t.true(json(await got.next()).accepted)
  await client.publishAsync(topics.deviceCommand('rover'), '{', { qos: 1 })
  t.is(json(await got.next()).code, 'MALFORMED')
})

test('two listeners on one port: the start fails with a coded error and leaves nothing open', async (t) => {
  const b = await startBus(t)
  const error = await t.throwsAsync(startBus(t, { listeners: [{ kind: 'tcp', port: 0 }, { kind: 'ws', port: b.port }] }), { code: 'CONFIG_INVALID' })
  t.regex(error!.message, /EADDRINUSE/)
})

test('a client that breaks the protocol is hung up on with an event, the others do not notice', async (t) => {
  const b = await startBus(t)
  const good = await b.client()
  const bad = await b.raw()
  bad.write(Buffer.concat([connectPacket('bad'), publishPacket('x', 'x', 3)]))
  await once(bad, 'close')
  t.is((await b.event('client.refused')).code, 'MALFORMED')
  const pong = packet(good, 'puback')
  good.publish(`${topics.root}/app/x`, 'x', { qos: 1 })
  await t.notThrowsAsync(pong)
})
