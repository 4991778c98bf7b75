import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import mqtt from 'mqtt'
import { Appliance } from '../../../../hil-tests/resources/appliance.ts'
import { envelope, inbox, json, startBus, topics } from '../../../bus/testing.ts'
import { ManualClock } from '../../../contracts/clock.ts'
import { MtorError } from '../../../contracts/errors.ts'
import type { RoverState } from '../../../contracts/telemetry.ts'
import { topicMatches, topicsOf } from '../../../contracts/topics.ts'
import { discoveryMessages, homeTopics, type About } from './discovery.ts'
import { HomeAssistant } from './index.ts'

const about: About = { prefix: 'homeassistant', realm: 'home', node: 'base', version: '1', topics, devices: [{ id: 'rover', driver: 'rover' }], speech: true, camera: true }
const COUNT = discoveryMessages(about).length
const OF_ROVER = COUNT - discoveryMessages({ ...about, devices: [] }).length

/** A broker that has just started, as after each start of the core, and what the core has in its journal. */
async function start(t: ExecutionContext, journal: Map<string, unknown>, enabled: boolean, changed: Partial<About> = {}) {
  const bench = await startBus(t, {}, { foreign: ['homeassistant/#'] })
  const clock = new ManualClock()
  const never = () => { throw new MtorError('INTERNAL', 'nothing is asked for here') }
  const home = new HomeAssistant({
    hub: bench.hub, clock, topics, bus: bench.bus, enabled, service: { envelope: never, run: never }, conversation: { hear: never }, understander: { match: never }, expectAnswer: never,
    values: { read: async (key) => journal.get(key), put: async (key, value) => { if (value === undefined) journal.delete(key); else journal.set(key, structuredClone(value)) } },
    about: { ...about, ...changed },
  })
  t.teardown(() => home.stop())
  await home.prepare()
  await home.start()
  return { bench, home, clock }
}

/** Home Assistant as it comes: finds what is retained, says that it is there (twice, as it does), and has what the box then says. */
async function comes({ bench, clock }: Awaited<ReturnType<typeof start>>, expected: { before: number; told: number }) {
  const client = await bench.client()
  const told = new Map<string, string>()
  let look = () => {}
  client.on('message', (topic, payload) => { if (topic.endsWith('/config')) told.set(topic, payload.toString()); look() })
  const has = (count: number) => new Promise<void>((resolve) => { look = () => { if (told.size >= count) resolve() }; look() })
  await client.subscribeAsync('homeassistant/#', { qos: 1 })
  await has(expected.before)
  const before = new Map(told)
  told.clear()
  for (let i = 0; i < 2; i++) await client.publishAsync('homeassistant/status', 'online', { qos: 1 })
  await clock.advance(500)
  await has(expected.told)
  return { before, told }
}
const ids = (told: Map<string, string>) => [...told.keys()].map((topic) => topic.split('/').at(-2)!)

test('what there is was told before Home Assistant came, retained, and is told again when it says that it is there', async (t) => {
  const box = await start(t, new Map(), true)
  const { before, told } = await comes(box, { before: COUNT, told: COUNT })
  t.true(ids(before).includes('rover-battery') && ids(before).includes('stop'))
  t.deepEqual(ids(told).toSorted(), ids(before).toSorted())
  t.like(JSON.parse(told.get('homeassistant/sensor/mtor_home_base/rover-battery/config')!), { unique_id: 'mtor_home_base_rover-battery', device: { via_device: 'mtor_home_base' } })
})

test('what has gone since the last start is taken back once Home Assistant is there, and then forgotten', async (t) => {
  const journal = new Map<string, unknown>()
  await start(t, journal, true)
  const without = await start(t, journal, true, { devices: [] })
  const { told } = await comes(without, { before: 0, told: COUNT })
  t.is(told.get('homeassistant/sensor/mtor_home_base/rover-battery/config'), '')
  t.regex(told.get('homeassistant/button/mtor_home_base/stop/config')!, /stop/)
  const again = await start(t, journal, true, { devices: [] })
  t.false(ids((await comes(again, { before: COUNT - OF_ROVER, told: COUNT - OF_ROVER })).told).includes('rover-battery'))
})

test('the dialect switched off takes everything back, after that it is quite away', async (t) => {
  const journal = new Map<string, unknown>()
  await start(t, journal, true)
  const off = await start(t, journal, false)
  t.deepEqual(off.home.foreign, ['homeassistant/#', 'homeassistant/status'])
  const { told } = await comes(off, { before: 0, told: COUNT })
  t.true([...told.values()].every((payload) => payload === ''))
  const { home } = await start(t, journal, false)
  t.deepEqual({ active: home.active, foreign: home.foreign, remembered: [...journal.keys()] }, { active: false, foreign: [], remembered: [] })
})

test('what the ears hear is told: the last sentence, and words as events', async (t) => {
  const { bench } = await start(t, new Map(), true)
  const { heard, word } = homeTopics(topics, 'base')
  const got = await inbox(await bench.client(), [heard, word])
  bench.hub.system({ severity: 'debug', component: 'speech', name: 'wake', data: { confidence: 0.9 } })
  t.deepEqual(json(await got.next()), { event_type: 'wake', confidence: 0.9 })
  bench.hub.system({ severity: 'info', component: 'speech', name: 'keyword', data: { word: 'red alert', confidence: 0.8 } })
  t.deepEqual(json(await got.next()), { event_type: 'keyword', word: 'red alert', confidence: 0.8 })
  bench.hub.system({ severity: 'info', component: 'speech', name: 'heard', message: 'not in the grammar: hm', data: { how: 'rejected' } })
  bench.hub.system({ severity: 'info', component: 'speech', name: 'heard', message: 'lights on', data: { how: 'command' } })
  t.is((await got.next()).payload.toString(), 'lights on')
})

test('a command is submitted as who sent it: the connection says so, not the message', async (t) => {
  const bench = await startBus(t, { anonymousRole: 'device' }, { foreign: ['homeassistant/#'] })
  const { promise, resolve } = Promise.withResolvers<unknown>()
  const never = () => { throw new MtorError('INTERNAL', 'nothing is asked for here') }
  const home = new HomeAssistant({
    hub: bench.hub, clock: new ManualClock(), topics, bus: bench.bus, enabled: true, about, conversation: { hear: never }, understander: { match: never }, expectAnswer: never,
    values: { read: async () => undefined, put: async () => {} },
    service: { envelope: (type, slots, source) => ({ ...envelope(bench.hub), v: 1, type, slots, source: { ...source, node: 'base' } }), run: async ({ type, slots, source }, identity) => { resolve({ type, slots, source, identity }); throw new MtorError('UNAUTHORISED', 'a device may not') } },
  })
  t.teardown(() => home.stop())
  await home.prepare()
  await home.start()
  const answers = await inbox(await bench.client(), homeTopics(topics, 'base').answer)
  await (await bench.client({ clientId: 'lamp' })).publishAsync(homeTopics(topics, 'base').command('rover-lights'), 'ON')
  t.deepEqual(await promise, { type: 'light.set', slots: { on: true }, source: { kind: 'mqtt', operator: 'lamp', node: 'base' }, identity: { client: 'lamp', role: 'device', kind: 'mqtt' } })
  t.is((await answers.next()).payload.toString(), 'You are not allowed to do that.')
})

test.serial('Home Assistant uses a running box: lights, mode, a typed command, and the stop; what is not allowed is answered with the reason', async (t) => {
  t.timeout(120_000)
  const dir = mkdtempSync(join(tmpdir(), 'mtor-home-'))
  const box = new Appliance(dir, { speech: { enabled: false }, vision: { camera: 'none' }, dialects: { homeAssistant: { enabled: true } } })
  t.teardown(async () => { await box.stop(); rmSync(dir, { recursive: true, force: true }) })
  await box.start()
  const topics = topicsOf('bench')
  const client = await mqtt.connectAsync(box.mqttUrl)
  t.teardown(() => client.endAsync())
  const waiting = new Set<() => void>(), last = new Map<string, string>()
  client.on('message', (topic, payload) => { last.set(topic, payload.toString()); for (const look of waiting) look() })
  await client.subscribeAsync([`${topics.root}/app/home-assistant/#`, topics.deviceState('rover'), topics.nodeState('bench-node'), 'homeassistant/#', topics.intentEvent('+')])
  /** Resolves with the last message of that topic once it fits. */
  const until = (filter: string, fits: (text: string) => boolean) => new Promise<string>((resolve) => {
    const look = () => { for (const [topic, text] of last) if (topicMatches(filter, topic) && fits(text)) { waiting.delete(look); resolve(text) } }
    waiting.add(look)
    look()
  })
  const rover = (fits: (state: RoverState) => boolean) => until(topics.deviceState('rover'), (text) => fits(JSON.parse(text) as RoverState))
  const discovered = async (id: string) => JSON.parse(await until(`homeassistant/+/mtor_bench_bench-node/${id}/config`, (text) => text !== '')) as Record<string, string>
  await rover(({ connected }) => connected)

  const lights = await discovered('rover-lights')
  await client.publishAsync(lights.brightness_command_topic!, '40')
  await rover(({ lightFraction }) => lightFraction !== undefined && Math.abs(lightFraction - 0.4) < 0.01)
  await client.publishAsync(lights.command_topic!, 'OFF')
  await rover(({ lightFraction }) => lightFraction === 0)

  const { command_topic: command } = await discovered('command')
  await client.publishAsync(command!, 'drive forward twenty metres')
  await rover(({ moving }) => moving === true)
  await client.publishAsync((await discovered('stop')).command_topic!, 'PRESS')
  await rover(({ moving }) => moving === false)
  t.like(JSON.parse(await until(topics.intentEvent('+'), (text) => /"type":"drive.move"/.test(text) && /"state":"aborted"/.test(text))), { code: 'STOPPED', source: { kind: 'mqtt' } })

  const { command_topic: mode, state_topic: state } = await discovered('mode')
  await client.publishAsync(mode!, 'safe')
  await until(state!, (text) => (JSON.parse(text) as { mode?: string }).mode === 'safe')
  const { answer } = homeTopics(topics, 'bench-node')
  await client.publishAsync(command!, 'drive forward one metre')
  await until(answer, (text) => /not allowed in the present mode/.test(text))
  await client.publishAsync(mode!, 'turbo')
  await until(answer, (text) => /details of that request are wrong/.test(text))
  await client.publishAsync(`${topics.root}/app/home-assistant/bench-node/oven/set`, 'ON')
  await until(answer, (text) => /topic does not exist/.test(text))
  t.false(last.has('homeassistant/button/mtor_bench_bench-node/picture/config'))
})
