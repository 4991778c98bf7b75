import test from 'ava'
import { realmConfig, startFlows, until } from '../../lib/testing.ts'
import { startNodeRed } from '../../lib/testing-node-red.ts'
import stop from './index.ts'

const tab = { id: 'tab', type: 'tab', label: 'test' }
const node = (more: Record<string, unknown> = {}) => ({ id: 'stop', z: 'tab', x: 1, y: 1, type: 'mtor-stop', realm: 'realm', reason: 'button', wires: [['sent']], ...more })
const sent = { id: 'sent', z: 'tab', x: 1, y: 1, type: 'helper' }

test.serial('a message stops everything by a connection of its own, and goes on once the appliance has it', async (t) => {
  const bench = await startFlows(t)
  await bench.load([stop], [tab, node(), sent])
  await bench.status('stop', (text) => text === 'status.ready')
  const done = bench.next('sent')
  bench.helper.getNode('stop').receive({ payload: 'pressed' })
  t.is((await done).payload, 'pressed')
  t.deepEqual(bench.stops, ['MQTT client flows-test-stop-stop'])
})

test.serial('a stop that finds no connection is sent with the next one', async (t) => {
  const bench = await startFlows(t)
  await bench.load([stop], [tab, node(), sent])
  await bench.status('stop', (text) => text === 'status.ready')
  const lost = bench.status('stop', (text) => text === 'common.status.notConnected')
  const rival = await bench.client({ clientId: 'flows-test-stop-stop' })
  await lost
  const done = bench.next('sent')
  bench.helper.getNode('stop').receive({ payload: 'pressed' })
  rival.end(true)
  await done
  t.true(bench.stops.length >= 1)
})

// Node-RED is a process of its own here: the bus must go on while its event loop stands still.
const flow = (port: number, stopNode: Record<string, unknown>) => [
  realmConfig(port, { clientId: 'flows-far' }), tab, node({ id: 'stopper', ...stopNode }),
  { id: 'begin', z: 'tab', x: 1, y: 1, type: 'http in', url: '/begin', method: 'get', wires: [['answer', 'loop']] },
  { id: 'answer', z: 'tab', x: 1, y: 1, type: 'http response', wires: [] },
  { id: 'loop', z: 'tab', x: 1, y: 1, type: 'function', func: 'const end = Date.now() + 60000\nwhile (Date.now() < end) {}', outputs: 0, wires: [] },
]

test.serial('with a dead man an endless loop in a function stops everything, once', async (t) => {
  const bench = await startFlows(t)
  const nodeRed = await startNodeRed(t)
  await nodeRed.deploy(flow(bench.port, { deadMan: true, deadManMs: 400 }))
  await until(() => bench.bus.stats().clients === 2)
  await new Promise((done) => setTimeout(done, 1200))
  t.deepEqual(bench.stops, [])
  await fetch(`${nodeRed.url}/begin`).catch(() => {})
  await until(() => bench.stops.length > 0)
  await new Promise((done) => setTimeout(done, 1000))
  t.deepEqual(bench.stops, ['MQTT client flows-far-stop-stopper'])
})

test.serial('with a dead man the end of the whole process is one', async (t) => {
  const bench = await startFlows(t)
  const nodeRed = await startNodeRed(t)
  await nodeRed.deploy(flow(bench.port, { deadMan: true, deadManMs: 60_000 }))
  await until(() => bench.bus.stats().clients === 2)
  await nodeRed.kill('SIGKILL')
  await until(() => bench.stops.length > 0)
  t.is(bench.stops.length, 1)
})

test.serial('a deploy or an orderly end of Node-RED stops nothing', async (t) => {
  const bench = await startFlows(t)
  const nodeRed = await startNodeRed(t)
  for (let deploys = 0; deploys < 2; deploys++) {
    await nodeRed.deploy(flow(bench.port, { deadMan: true, deadManMs: 2000 }))
    await until(() => bench.bus.stats().clients === 2)
  }
  await nodeRed.kill('SIGTERM')
  await until(() => bench.bus.stats().clients === 0)
  t.deepEqual(bench.stops, [])
})
