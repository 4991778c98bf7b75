import { once } from 'node:events'
import test from 'ava'
import { ManualClock } from '../contracts/clock.ts'
import { connectPacket, envelope, inbox, json, publishPacket, startBus, topics } from './testing.ts'

test('a connection too many is refused with "server unavailable" and an event; when one leaves there is room again', async (t) => {
  const b = await startBus(t, { limits: { maxConnections: 2 } })
  const first = await b.client()
  await b.client({ protocol: 'ws', port: b.wsPort })
  const error = await t.throwsAsync(b.client())
  t.is((error as { code?: unknown }).code, 3)
  t.is((await b.event('connection.refused')).code, 'BUSY')
  await first.endAsync()
  while (b.bus.stats().connections > 1) await new Promise((resolve) => setImmediate(resolve))
  await b.client()
})

for (const protocol of ['mqtt', 'ws'] as const) test(`over ${protocol} a packet over the limit is answered TOO_LARGE, raises an event and ends the connection; one at the limit passes`, async (t) => {
  const b = await startBus(t, { limits: { maxPacketBytes: 1000 } })
  const client = await b.client({ protocol, port: protocol === 'ws' ? b.wsPort : b.port, clientId: 'big' })
  const topic = `${topics.root}/app/x`
  const got = await inbox(client, [topics.clientReceipt('big'), topic])
  const fitting = 1000 - publishPacket(topic, '', 1).length - 1
  await client.publishAsync(topic, 'x'.repeat(fitting), { qos: 1 })
  t.is((await got.next()).payload.length, fitting)
  const closed = new Promise<void>((resolve) => client.once('close', () => resolve()))
  client.publish(topic, 'x'.repeat(fitting + 1), { qos: 1 })
  t.like(json(await got.next()), { accepted: false, code: 'TOO_LARGE' })
  await closed
  t.is((await b.event('client.refused')).code, 'TOO_LARGE')
})

test('a packet that claims to be 200 megabytes is refused by its header, also in CONNECT', async (t) => {
  const b = await startBus(t)
  for (const first of [0x10, 0x30]) {
    const socket = await b.raw()
    socket.write(Buffer.from([first, 0x80, 0x80, 0x80, 0x64]))
    await once(socket, 'close')
  }
  t.is((await b.event('client.refused')).code, 'TOO_LARGE')
})

for (const qos of [0, 1, 2] as const) test(`messages beyond the rate with QoS ${qos} are acknowledged, not processed, and answered TOO_FAST with their number`, async (t) => {
  const clock = new ManualClock()
  const b = await startBus(t, { limits: { messagesPerSecond: 1, burst: 10 } }, { clock })
  const client = await b.client({ clientId: 'fast' })
  const answers = await inbox(client, topics.clientReceipt('fast')) // one token
  const receipts = await inbox(await b.client(), [topics.receipt('+'), topics.clientReceipt('fast')])
  const sent = Array.from({ length: 30 }, () => envelope(b.hub))
  await Promise.all(sent.map((e) => client.publishAsync(topics.submit, JSON.stringify(e), { qos })))
  const first = json(await answers.next())
  t.like(first, { accepted: false, code: 'TOO_FAST' })
  t.regex(first.message, /: 1$/)
  while (b.bus.stats().tooFast < 21) await new Promise((resolve) => setImmediate(resolve))
  t.is(b.submitted.length, 9)
  // Each submission that was dropped is answered by its own id too.
  const byId = new Map<string | null, string>()
  while (byId.size < 31) { const r = json(await receipts.next()); byId.set(r.id, r.accepted ? 'accepted' : r.code) }
  t.deepEqual(sent.map((e) => byId.get(e.id)), sent.map((_, i) => i < 9 ? 'accepted' : 'TOO_FAST'))
  await clock.advance(1000)
  t.regex(json(await answers.next()).message, /: 20$/)
  t.is((await b.event('message.rejected', 'TOO_FAST')).data?.client, 'fast')
  await client.publishAsync(topics.submit, JSON.stringify(envelope(b.hub)), { qos })
  while (b.submitted.length < 10) await new Promise((resolve) => setImmediate(resolve))
})

test('one client that is too fast costs the others nothing', async (t) => {
  const b = await startBus(t, { limits: { messagesPerSecond: 1, burst: 5 } }, { clock: new ManualClock() })
  const fast = await b.client()
  const calm = await b.client()
  for (let i = 0; i < 20; i++) await fast.publishAsync(`${topics.root}/app/x`, 'x', { qos: 1 })
  const got = await inbox(calm, `${topics.root}/app/calm`)
  await calm.publishAsync(`${topics.root}/app/calm`, 'x', { qos: 1 })
  await got.next()
  t.is(b.bus.stats().tooFast, 15)
})

test('a flood of control packets ends the connection with TOO_FAST', async (t) => {
  const b = await startBus(t, { limits: { messagesPerSecond: 1, burst: 50 } }, { clock: new ManualClock() })
  const socket = await b.raw()
  socket.write(connectPacket('ping'))
  await once(socket, 'data')
  socket.resume()
  socket.write(Buffer.alloc(400, Buffer.from([0xc0, 0])))
  await once(socket, 'close')
  t.is((await b.event('client.refused')).code, 'TOO_FAST')
})

test('a flood of rubbish is answered message by message but raises few events, which tell how many were left out', async (t) => {
  const clock = new ManualClock()
  const b = await startBus(t, {}, { clock })
  const client = await b.client({ clientId: 'noise' })
  const answers = await inbox(client, topics.clientReceipt('noise'))
  for (let i = 0; i < 100; i++) client.publish('nowhere', 'x', { qos: 1 })
  for (let i = 0; i < 100; i++) t.is(json(await answers.next()).code, 'UNKNOWN_TOPIC')
  t.is(b.events.filter((e) => e.name === 'message.rejected').length, 5)
  await clock.advance(1000)
  await client.publishAsync('nowhere', 'x', { qos: 1 })
  t.is(b.events.findLast((e) => e.name === 'message.rejected')?.data?.leftOut, 95)
})
