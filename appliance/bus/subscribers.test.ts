import test from 'ava'
import { inbox, json, startBus, topics } from './testing.ts'

/** Lets everything that a client has sent be looked at: its next message is answered only then. */
const settle = async (client: Awaited<ReturnType<Awaited<ReturnType<typeof startBus>>['client']>>) => { await client.publishAsync(`${topics.root}/app/settled`, '', { qos: 1 }) }

for (const qos of [0, 1, 2] as const) test(`the core hears what a client publishes with QoS ${qos}, once, with the identity of the connection`, async (t) => {
  const b = await startBus(t)
  const heard: unknown[] = []
  b.bus.subscribe(`${topics.root}/app/lamp/+`, ({ topic, payload, identity }) => { heard.push([topic, payload.toString(), identity]) })
  const client = await b.client({ clientId: 'one' })
  await client.publishAsync(`${topics.root}/app/lamp/set`, 'on', { qos })
  await client.publishAsync(`${topics.root}/app/other`, 'on', { qos })
  await settle(client)
  t.deepEqual(heard, [[`${topics.root}/app/lamp/set`, 'on', { client: 'one', role: 'operator', kind: 'mqtt' }]])
})

test('who has stopped listening hears nothing more, and a listener that throws keeps nothing from the others', async (t) => {
  const b = await startBus(t)
  const heard: string[] = []
  const off = b.bus.subscribe('mtor/#', ({ payload }) => { heard.push(`first ${payload}`) })
  b.bus.subscribe('mtor/#', () => { throw new TypeError('cannot') })
  b.bus.subscribe('mtor/#', ({ payload }) => { heard.push(`last ${payload}`) })
  const client = await b.client()
  await client.publishAsync(`${topics.root}/app/x`, '1', { qos: 1 })
  off()
  await client.publishAsync(`${topics.root}/app/x`, '2', { qos: 1 })
  await settle(client)
  t.deepEqual(heard, ['first 1', 'last 1', 'last 2', 'last '])
  t.like(await b.event('listener.failed'), { component: 'bus', code: 'INTERNAL' })
})

test('what was refused, and what the appliance itself says, is not heard', async (t) => {
  const b = await startBus(t, { anonymousRole: 'observer' }, { foreign: ['homeassistant/#'] })
  const heard: string[] = []
  b.bus.subscribe('#', ({ topic }) => { heard.push(topic) })
  const watcher = await b.client()
  await watcher.publishAsync('homeassistant/status', 'online', { qos: 1 })
  b.bus.publish('homeassistant/sensor/x/config', { name: 'x' }, { retain: true })
  await settle(watcher)
  t.deepEqual(heard, [])
})

test('topics of a dialect are open to who may act while it is on, to watch for observers, and unknown while it is off', async (t) => {
  const on = await startBus(t, {}, { foreign: ['homeassistant/#', 'hermes/tts/#'] })
  const client = await on.client({ clientId: 'home' })
  const got = await inbox(client, ['homeassistant/#', 'hermes/#', topics.clientReceipt('home')])
  t.deepEqual(got.granted.map(({ qos }) => qos), [1, 1, 1])
  await client.publishAsync('homeassistant/status', 'online', { qos: 1 })
  t.is((await got.next()).topic, 'homeassistant/status')
  await client.publishAsync('hermes/audioServer/default/audioFrame', Buffer.alloc(64), { qos: 1 })
  t.like(json(await got.next()), { accepted: false, code: 'UNKNOWN_TOPIC' })

  const off = await startBus(t)
  const other = await off.client({ clientId: 'home' })
  const answers = await inbox(other, topics.clientReceipt('home'))
  await other.publishAsync('homeassistant/status', 'online', { qos: 1 })
  t.like(json(await answers.next()), { accepted: false, code: 'UNKNOWN_TOPIC' })
})
