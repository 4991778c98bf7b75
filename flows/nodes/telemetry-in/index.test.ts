import test from 'ava'
import type { Message } from '../../lib/red.ts'
import { startFlows, until } from '../../lib/testing.ts'
import telemetryIn from './index.ts'

const STATE = 'mtor/1/home/device/rover/state'
const node = (more: Record<string, unknown> = {}) => ({ id: 'telemetry', type: 'mtor-telemetry-in', realm: 'realm', source: 'device', device: 'rover', property: 'batteryV', emit: 'change', wires: [['got']], ...more })

async function collect(bench: Awaited<ReturnType<typeof startFlows>>, more: Record<string, unknown>): Promise<Message[]> {
  await bench.load([telemetryIn], [node(more), { id: 'got', type: 'helper' }])
  const got: Message[] = []
  bench.helper.getNode('got').on('input', (msg: Message) => { got.push(msg) })
  await bench.connected()
  return got
}

test.serial('a value is sent when it has changed, and not at all where it could not be read', async (t) => {
  const bench = await startFlows(t)
  const got = await collect(bench, {})
  for (const state of [{ batteryV: 12.1 }, { batteryV: 12.1 }, { connected: false }, { batteryV: 11.9 }]) bench.bus.publish(STATE, state)
  await until(() => got.length === 2)
  t.deepEqual(got.map(({ topic, payload }) => ({ topic, payload })), [{ topic: 'rover/batteryV', payload: 12.1 }, { topic: 'rover/batteryV', payload: 11.9 }])
  t.deepEqual(got[1]!.state, { batteryV: 11.9 })
})

test.serial('every value is sent where that is asked for', async (t) => {
  const bench = await startFlows(t)
  const got = await collect(bench, { emit: 'every' })
  for (const batteryV of [12, 12, 12]) bench.bus.publish(STATE, { batteryV })
  await until(() => got.length === 3)
  t.deepEqual(got.map(({ payload }) => payload), [12, 12, 12])
})

test.serial('the last known state comes at once after the deploy', async (t) => {
  const bench = await startFlows(t)
  bench.bus.publish(STATE, { batteryV: 10.5 }, { retain: true, qos: 1 })
  const got = await collect(bench, {})
  await until(() => got.length === 1)
  t.is(got[0]!.payload, 10.5)
})

test.serial('the telemetry of any node is sent with its name, whole where no value is chosen', async (t) => {
  const bench = await startFlows(t)
  const got = await collect(bench, { source: 'node', device: '', node: '', packet: 'node', property: '' })
  bench.bus.publish('mtor/1/home/node/base/telemetry/node', { load1: 0.5 })
  await until(() => got.length === 1)
  t.like(got[0], { topic: 'base', payload: { load1: 0.5 } })
})
