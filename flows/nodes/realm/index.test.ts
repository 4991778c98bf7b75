import test from 'ava'
import { realmConfig, startFlows, until } from '../../lib/testing.ts'
import { settingsOf } from '../../lib/settings.ts'
import type { RealmNode } from '../../lib/node.ts'
import intentIn from '../intent-in/index.ts'

const ENV = { MTOR_REALM_URL: 'mqtt://127.0.0.1:2883', MTOR_REALM_NAME: 'mars', MTOR_REALM_USER: 'flows', MTOR_REALM_PASSWORD: 'secret', MTOR_REALM_CLIENT: 'flows-base' }

test('empty fields are what the appliance gives to its own Node-RED', (t) => {
  const { url, realm, clientId, options } = settingsOf({ id: 'n1' }, {}, undefined, ENV)
  t.deepEqual({ url, realm, clientId }, { url: 'mqtt://127.0.0.1:2883', realm: 'mars', clientId: 'flows-base' })
  t.like(options, { username: 'flows', password: 'secret', clientId: 'flows-base' })
})

test('another broker is not told the password of this one', (t) => {
  const { clientId, options } = settingsOf({ id: 'n1', url: 'mqtts://rover.local:8883' }, {}, undefined, ENV)
  t.is(options.password, undefined)
  t.is(options.username, undefined)
  t.not(clientId, 'flows-base')
  t.true(clientId.endsWith('-n1'))
})

for (const [what, fields] of [['a URL that is none', { url: 'rover.local' }], ['another protocol', { url: 'https://rover.local' }], ['a realm with a slash', { realm: 'a/b' }], ['a client id with a plus', { clientId: 'a+b' }]] as const) {
  test(`${what} is CONFIG_INVALID`, (t) => { t.throws(() => settingsOf({ id: 'n1', ...fields }, {}, undefined, {}), { code: 'CONFIG_INVALID' }) })
}

test.serial('realm nodes with the same settings share one connection, so none throws the other out', async (t) => {
  const bench = await startFlows(t)
  const node = (id: string, realm: string, intentType: string) => ({ id, type: 'mtor-intent-in', realm, intentType, wires: [[], []] })
  await bench.load([intentIn], [realmConfig(bench.port, { id: 'second' }), node('a', 'realm', 'airlock.open'), node('b', 'second', 'airlock.close')])
  const realmOf = (id: string) => (bench.helper.getNode(id) as unknown as RealmNode).realm
  t.is(realmOf('realm'), realmOf('second'))
  await until(() => bench.handlers.status()[0]?.handles.length === 2)
  t.is(bench.bus.stats().clients, 1)
})

test.serial('the editor is given what the appliance offers to choose from', async (t) => {
  const bench = await startFlows(t)
  await bench.load([], [])
  await bench.connected()
  const empty = await bench.helper.request().get('/mtor-appliance/catalogue?realm=realm')
  t.is(empty.status, 404)
  const catalogue = { v: 1, node: 'base', types: [{ type: 'drive.move', title: 'Drive a distance' }], devices: [], components: [] }
  bench.bus.publish('mtor/1/home/catalogue', catalogue, { retain: true, qos: 1 })
  await until(() => (bench.helper.getNode('realm') as unknown as RealmNode).realm?.catalogue !== undefined)
  for (const id of ['realm', 'not-deployed-yet']) t.like((await bench.helper.request().get(`/mtor-appliance/catalogue?realm=${id}`)).body as object, catalogue)
})

test.serial('a realm that cannot be reached is tried again until it is there', async (t) => {
  const bench = await startFlows(t)
  await bench.load([intentIn], [{ id: 'a', type: 'mtor-intent-in', realm: 'realm', intentType: 'airlock.open', wires: [[], []] }])
  await bench.connected()
  const { connection } = (bench.helper.getNode('realm') as unknown as RealmNode).realm!
  const rival = await bench.client({ clientId: 'flows-test', reconnectPeriod: 0 })
  await until(() => !connection.ready)
  rival.end(true)
  await bench.connected()
  await until(() => bench.handlers.status()[0]?.online === true)
  t.deepEqual(bench.handlers.status()[0]!.handles, ['airlock.open'])
})
