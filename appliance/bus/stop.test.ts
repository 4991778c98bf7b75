import { once } from 'node:events'
import type { Socket } from 'node:net'
import test from 'ava'
import { connectPacket, envelope, inbox, json, publishPacket, startBus, subscribePacket, topics, type Bench } from './testing.ts'

const app = `${topics.root}/app/flood`
const turn = () => new Promise((resolve) => setImmediate(resolve))

/** A subscriber that has stopped reading, with its TCP window and the broker's buffer full, so that the broker waits for it. */
async function frozenSubscriber(b: Bench, flooder: Socket) {
  const frozen = await b.raw()
  frozen.write(Buffer.concat([connectPacket('frozen'), subscribePacket(app)]))
  await once(frozen, 'data')
  frozen.pause()
  flooder.write(connectPacket('flooder'))
  await once(flooder, 'data')
  const message = publishPacket(app, Buffer.alloc(60_000, 0x61))
  // While everything is read, what is written goes away; once the broker waits for the frozen one, it stays.
  for (;;) {
    if (flooder.write(message)) { await turn(); continue }
    const drained = once(flooder, 'drain').then(() => true)
    if (!await Promise.race([drained, new Promise((resolve) => setTimeout(resolve, 50, false))])) break
  }
  return frozen
}

test('a stop is carried out at once while another subscriber is frozen with its window full', async (t) => {
  const during: number[] = []
  const b: Bench = await startBus(t, { drainTimeoutMs: 500 }, { emergencyStop: () => { during.push(b.bus.stats().clients) } })
  const client = await b.client({ clientId: 'hand' })
  await frozenSubscriber(b, await b.raw())
  await client.publishAsync(topics.stop, '', { qos: 1 })
  // Three: the frozen one had not been dropped yet, so it was not the drop that let the stop through.
  t.deepEqual(during, [3])
  t.truthy(await b.event('client.frozen'))
})

test('a stop behind a submission that the journal keeps waiting, on the same connection, is carried out', async (t) => {
  const never = new Promise<never>(() => {})
  const stopped = Promise.withResolvers<string>()
  const b = await startBus(t, {}, { submit: () => never, emergencyStop: (reason) => stopped.resolve(reason) })
  const socket = await b.raw()
  socket.write(connectPacket('hand'))
  await once(socket, 'data')
  for (let i = 1; i <= 64; i++) socket.write(publishPacket(topics.submit, JSON.stringify(envelope(b.hub)), 1, i))
  await turn()
  await turn()
  socket.write(publishPacket(topics.stop, 'now'))
  t.regex(await stopped.promise, /hand/)
  t.is(b.bus.stats().stops, 1)
})

test('a stop in the same write as CONNECT is carried out once, and reaches who subscribed to it, never retained', async (t) => {
  const b = await startBus(t)
  const got = await inbox(await b.client(), topics.stop)
  const socket = await b.raw()
  const stop = publishPacket(topics.stop, 'now')
  stop[0]! |= 1
  socket.write(Buffer.concat([connectPacket('hasty'), stop]))
  t.is((await got.next()).payload.toString(), 'now')
  t.is(b.stops.length, 1)
  socket.write(Buffer.concat([stop, stop]))
  await got.next()
  await got.next()
  t.is(b.stops.length, 3)
  const late = await inbox(await b.client(), [topics.stop, topics.nodeState('base')])
  t.is((await late.next()).topic, topics.nodeState('base'))
  t.is(late.waiting(), 0)
})

test('a stop is not held back by the message rate', async (t) => {
  const b = await startBus(t, { limits: { messagesPerSecond: 1, burst: 1 } })
  const client = await b.client()
  for (let i = 0; i < 5; i++) await client.publishAsync(topics.stop, '', { qos: 1 })
  t.is(b.stops.length, 5)
})

test('an observer cannot stop, and is told so; a stop that fails is an event, not a crash', async (t) => {
  const watching = await startBus(t, { anonymousRole: 'observer' })
  const observer = await watching.client({ clientId: 'eve' })
  const answers = await inbox(observer, topics.clientReceipt('eve'))
  await observer.publishAsync(topics.stop, '', { qos: 1 })
  t.is(json(await answers.next()).code, 'UNAUTHORISED')
  t.is(watching.stops.length, 0)
  const failing = await startBus(t, {}, { emergencyStop: () => { throw new RangeError('no driver') } })
  const client = await failing.client()
  await client.publishAsync(topics.stop, '', { qos: 1 })
  t.is((await failing.event('stop.failed')).severity, 'critical')
})

test('a frozen subscriber does not hold back topics it did not subscribe to', async (t) => {
  const b = await startBus(t, { drainTimeoutMs: 500 })
  const client = await b.client({ clientId: 'hand' })
  const other = await inbox(client, `${topics.root}/app/other`)
  await frozenSubscriber(b, await b.raw())
  await client.publishAsync(`${topics.root}/app/other`, 'x', { qos: 1 })
  await other.next()
  t.is(b.bus.stats().clients, 3)
})

test('a will on the stop topic is the dead man\'s switch of a client', async (t) => {
  const stopped = Promise.withResolvers<string>()
  const b = await startBus(t, {}, { emergencyStop: (reason) => stopped.resolve(reason) })
  const client = await b.client({ clientId: 'hand', will: { topic: topics.stop, payload: Buffer.from('gone'), qos: 0, retain: false } })
  client.stream.destroy()
  t.regex(await stopped.promise, /hand/)
})
