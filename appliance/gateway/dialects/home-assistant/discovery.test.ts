import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import test from 'ava'
import { topicsOf } from '../../../contracts/topics.ts'
import { pythonWith } from '../python.ts'
import { discoveryMessages, homeTopics, type About, type DiscoveryMessage } from './discovery.ts'

/** Home Assistant itself, and of what it depends on just what its MQTT integration loads. For Python 3.11 and 3.12. */
const HOME_ASSISTANT = [
  'homeassistant==2024.3.3', 'aiohappyeyeballs==2.7.1', 'aiohttp==3.9.5', 'aiohttp-fast-url-dispatcher==0.3.1', 'aiohttp-zlib-ng==0.3.1', 'aiosignal==1.4.0', 'async_interrupt==1.2.2',
  'atomicwrites-homeassistant==1.4.1', 'attrs==26.1.0', 'awesomeversion==25.8.0', 'certifi', 'cffi==2.1.1', 'ciso8601==2.4.1', 'cryptography==50.0.2', 'frozenlist==1.8.0', 'idna==3.20', 'ifaddr==0.2.0',
  'Jinja2==3.1.6', 'lru-dict==1.4.1', 'MarkupSafe==3.0.4', 'multidict==6.9.1', 'orjson==3.13.0', 'packaging==26.4', 'propcache==0.5.4', 'pycparser==3.12', 'PyJWT==2.15.1', 'python-slugify==9.2.0', 'PyYAML==6.0.4',
  'text-unidecode==1.3', 'typing_extensions==4.16.0', 'ulid-transform==2.2.9', 'voluptuous==0.16.0', 'voluptuous-serialize==2.7.0', 'yarl==1.25.1', 'zlib-ng==1.1.0',
]
const topics = topicsOf('home')
const about: About = { prefix: 'homeassistant', realm: 'home', node: 'base-1', version: '0.1.0', topics, devices: [{ id: 'rover', driver: 'rover' }, { id: 'mule', driver: 'rover' }], speech: true, camera: true }

async function homeAssistant(prefix: string, messages: readonly DiscoveryMessage[], renders: readonly { template: unknown; value: string }[] = []) {
  const python = await pythonWith('home-assistant', HOME_ASSISTANT)
  const said = execFileSync(python, [join(import.meta.dirname, 'check.py')], { input: JSON.stringify({ prefix, messages, renders }), encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] })
  return JSON.parse(said) as { problems: string[]; rendered: string[] }
}
const entity = (messages: readonly DiscoveryMessage[], id: string) => messages.find(({ topic }) => topic.endsWith(`/${id}/config`))!.payload

test("Home Assistant's own schemas take every discovery message, and know every key of it", async (t) => {
  t.timeout(180_000)
  const messages = discoveryMessages(about)
  t.deepEqual((await homeAssistant(about.prefix, messages)).problems, [])
  const elsewhere = { ...about, prefix: 'ha/discovery', speech: false, camera: false, devices: [] }
  t.deepEqual((await homeAssistant(elsewhere.prefix, discoveryMessages(elsewhere))).problems, [])
  // The judge can say no.
  const { problems } = await homeAssistant('homeassistant', [{ topic: 'homeassistant/sensor/x/y/config', payload: { name: 'x', state_topic: 'a/#/b', origin: { name: 'x' } } }])
  t.regex(problems.join(), /homeassistant\/sensor\/x\/y\/config: .*state_topic/)
})

test('its templates make of what is on the bus what Home Assistant shows; what could not be read is unknown', async (t) => {
  t.timeout(180_000)
  const messages = discoveryMessages(about)
  const rover = JSON.stringify({ connected: true, moving: false, headingDeg: -91.26, batteryV: 12.345, batteryFraction: 0.876, lightFraction: 0.4 }), nothing = JSON.stringify({ connected: false })
  const templates: [string, string, string, string][] = [
    ['rover-battery-voltage', 'value_template', rover, '12.35'], ['rover-battery', 'value_template', rover, '88.0'], ['rover-heading', 'value_template', rover, '-91.0'],
    ['rover-temperature', 'value_template', rover, 'None'], ['rover-connected', 'value_template', rover, 'ON'], ['rover-moving', 'value_template', rover, 'OFF'], ['rover-stalled', 'value_template', rover, 'None'],
    ['rover-lights', 'state_value_template', rover, 'ON'], ['rover-lights', 'brightness_value_template', rover, '40'],
    ['rover-battery', 'value_template', nothing, 'None'], ['rover-connected', 'value_template', nothing, 'OFF'], ['rover-lights', 'state_value_template', nothing, 'None'], ['rover-lights', 'brightness_value_template', nothing, ''],
    ['mode', 'value_template', '{"mode":"safe"}', 'safe'], ['mode', 'value_template', '{"online":true}', 'None'], ['armed', 'value_template', '{"armed":true}', 'ON'],
    ['core-memory', 'value_template', '{"coreRssBytes":123456789}', '123.5'], ['answer', 'value_template', 'x'.repeat(300), 'x'.repeat(255)],
  ]
  const { rendered } = await homeAssistant(about.prefix, [], templates.map(([id, key, value]) => ({ template: entity(messages, id)[key], value })))
  t.deepEqual(templates.map(([id, key], i) => `${id} ${key} ${rendered[i]}`), templates.map(([id, key, , wanted]) => `${id} ${key} ${wanted}`))
  const availability = entity(messages, 'rover-speed').availability as { topic: string; value_template: string }[]
  t.deepEqual(availability.map(({ topic }) => topic), [topics.nodeState('base-1'), topics.deviceState('rover')])
  const reached = await homeAssistant(about.prefix, [], [{ template: availability[0]!.value_template, value: '{"online":false}' }, { template: availability[1]!.value_template, value: rover }, { template: availability[1]!.value_template, value: nothing }])
  t.deepEqual(reached.rendered, ['offline', 'online', 'offline'])
})

test('every entity has an id of its own, and the same one after a restart', (t) => {
  const ids = discoveryMessages(about).map(({ payload }) => payload.unique_id)
  t.is(new Set(ids).size, ids.length)
  t.deepEqual(discoveryMessages({ ...about, version: '0.2.0' }).map(({ payload }) => payload.unique_id), ids)
  t.true(ids.includes('mtor_home_base-1_rover-battery-voltage'))
})

test('what this box does not have is not offered: no camera, no speech, no lights of a second rover', (t) => {
  const has = (changed: Partial<About>) => discoveryMessages({ ...about, ...changed }).map(({ topic }) => topic.split('/').at(-2)!)
  t.true(has({}).includes('picture') && has({}).includes('say') && has({}).includes('rover-lights'))
  t.false(has({}).includes('mule-lights'))
  t.false(has({ camera: false }).includes('picture'))
  t.false(has({ speech: false }).some((id) => id === 'say' || id === 'heard' || id === 'word'))
})

test('the stop goes to the topic of the stop, and every other command below the free topics of this node', (t) => {
  const commands = discoveryMessages(about).flatMap(({ payload }) => [payload.command_topic, payload.brightness_command_topic]).filter((topic) => typeof topic === 'string')
  t.deepEqual(commands.filter((topic) => !topic.startsWith(homeTopics(topics, 'base-1').command('x').slice(0, -6))), [topics.stop])
})
