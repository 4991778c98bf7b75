import test from 'ava'
import { startFlows } from '../../lib/testing.ts'
import limit from './index.ts'

const tab = { id: 'tab', type: 'tab', label: 'test' }
const out = [{ id: 'beyond', z: 'tab', type: 'helper' }, { id: 'back', z: 'tab', type: 'helper' }]
const node = (more: Record<string, unknown>) => ({ id: 'limit', z: 'tab', type: 'mtor-limit', realm: 'realm', source: 'input', property: 'payload', count: 2, hysteresis: 0, rearm: 'recovery', wires: [['beyond'], ['back']], ...more })

test.serial('values of messages are watched, each topic for itself', async (t) => {
  const bench = await startFlows(t)
  await bench.load([limit], [tab, node({ realm: '', above: 10 }), ...out])
  const beyond = bench.next('beyond'), back = bench.next('back')
  for (const [topic, payload] of [['a', 11], ['b', 12], ['a', 'broken'], ['a', 13]] as const) bench.helper.getNode('limit').receive({ topic, payload })
  t.like(await beyond, { topic: 'a', payload: 13, limit: { outcome: 'violated', above: 10, count: 2 } })
  for (const payload of [9, 8]) bench.helper.getNode('limit').receive({ topic: 'a', payload })
  t.like(await back, { topic: 'a', payload: 8 })
})

test.serial('a device over its limit submits the chosen intent by itself, once', async (t) => {
  const bench = await startFlows(t)
  bench.onSubmit(() => ({ state: 'succeeded' }))
  await bench.load([limit], [tab, node({ source: 'device', device: 'rover', property: 'batteryFraction', above: '', below: '0.2', action: true, intentType: 'mode.set', slots: [{ name: 'mode', value: 'safe', valueType: 'str' }] }), ...out])
  await bench.connected()
  const beyond = bench.next('beyond')
  // A reading that is absent is none, and does not break the row.
  for (const state of [{ batteryFraction: 0.19 }, { connected: true }, { batteryFraction: 0.18 }, { batteryFraction: 0.17 }]) bench.bus.publish('mtor/1/home/device/rover/state', state)
  t.like(await beyond, { payload: 0.18, topic: 'rover', state: { batteryFraction: 0.18 } })
  await bench.status('limit', (text) => text === '0.17')
  t.deepEqual(bench.submitted.map(({ envelope }) => (envelope as { type: string; slots: unknown })).map(({ type, slots }) => ({ type, slots })), [{ type: 'mode.set', slots: { mode: 'safe' } }])
})

test.serial('msg.reset makes the next violation told again', async (t) => {
  const bench = await startFlows(t)
  await bench.load([limit], [tab, node({ realm: '', above: 10, count: 1, rearm: 'manual' }), ...out])
  const first = bench.next('beyond')
  bench.helper.getNode('limit').receive({ payload: 11 })
  t.is((await first).payload, 11)
  const second = bench.next('beyond')
  bench.helper.getNode('limit').receive({ payload: 12 })
  bench.helper.getNode('limit').receive({ reset: true })
  bench.helper.getNode('limit').receive({ payload: 13 })
  t.is((await second).payload, 13)
})

test.serial('what it submits says that it was confirmed only where that is ticked', async (t) => {
  const bench = await startFlows(t)
  bench.onSubmit(() => ({ state: 'succeeded' }))
  const over = (more: Record<string, unknown>) => node({ above: 10, count: 1, action: true, intentType: 'sequence.run', slots: [{ name: 'name', value: 'home', valueType: 'str' }], ...more })
  await bench.load([limit], [tab, over({}), over({ id: 'ticked', confirmed: true }), ...out])
  await bench.connected()
  for (const id of ['limit', 'ticked']) {
    const submitted = bench.status(id, (text) => text === '11')
    bench.helper.getNode(id).receive({ payload: 11 })
    await submitted
  }
  while (bench.submitted.length < 2) await new Promise((resolve) => setTimeout(resolve, 10))
  t.deepEqual(bench.submitted.map(({ envelope }) => (envelope as { confirmed?: true }).confirmed), [undefined, true])
})
