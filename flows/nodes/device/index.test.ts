import test from 'ava'
import type { Message } from '../../lib/red.ts'
import { startFlows, until } from '../../lib/testing.ts'
import device from './index.ts'

const STATE = 'mtor/1/home/device/rover/state'
const tab = { id: 'tab', type: 'tab', label: 'test' }
const node = (more: Record<string, unknown> = {}) => ({ id: 'node', z: 'tab', type: 'mtor-device', realm: 'realm', mode: 'command', device: 'rover', command: 'lights', argsFrom: 'fields', args: [{ name: 'brightness', value: 'payload', valueType: 'msg' }], wires: [['result'], ['state']], ...more })
const nodes = [{ id: 'result', z: 'tab', type: 'helper' }, { id: 'state', z: 'tab', type: 'helper' }, { id: 'catcher', z: 'tab', type: 'catch', scope: ['node'], wires: [['caught']] }, { id: 'caught', z: 'tab', type: 'helper' }]

test.serial('a command goes as an intent, and what the device measured comes back', async (t) => {
  const bench = await startFlows(t)
  bench.onSubmit(() => ({ state: 'succeeded', data: { brightness: 0.5 } }))
  await bench.load([device], [tab, node(), ...nodes])
  await bench.connected()
  const result = bench.next('result')
  bench.helper.getNode('node').receive({ payload: 0.5 })
  t.like(await result, { topic: 'rover', payload: { brightness: 0.5 }, event: { state: 'succeeded' } })
  t.like(bench.submitted[0]!.envelope, { type: 'device.command', slots: { device: 'rover', command: 'lights', args: { brightness: 0.5 } } })
})

test.serial('a command that fails is an error with its code', async (t) => {
  const bench = await startFlows(t)
  bench.onSubmit(() => ({ state: 'aborted', code: 'STOPPED' }))
  await bench.load([device], [tab, node(), ...nodes])
  await bench.connected()
  const caught = bench.next('caught')
  bench.helper.getNode('node').receive({ payload: 1 })
  t.like((await caught).error, { code: 'STOPPED' })
})

test.serial('its state is sent when it changes; its age alone is no change', async (t) => {
  const bench = await startFlows(t)
  await bench.load([device], [tab, node(), ...nodes])
  const got: unknown[] = []
  bench.helper.getNode('state').on('input', (msg: Message) => { got.push(msg.payload) })
  await bench.connected()
  for (const state of [{ connected: true, ageMs: 10 }, { connected: true, ageMs: 30 }, { connected: false }]) bench.bus.publish(STATE, state)
  await until(() => got.length === 2)
  t.deepEqual(got, [{ connected: true, ageMs: 10 }, { connected: false }])
})

test.serial('asked for its state it gives the last known, and DEVICE_UNREACHABLE where none is', async (t) => {
  const bench = await startFlows(t)
  await bench.load([device], [tab, node({ mode: 'state' }), ...nodes])
  await bench.connected()
  const caught = bench.next('caught')
  bench.helper.getNode('node').receive({})
  t.like((await caught).error, { code: 'DEVICE_UNREACHABLE' })
  const heard = bench.next('state')
  bench.bus.publish(STATE, { connected: true, batteryV: 12 }, { retain: true, qos: 1 })
  await heard
  const result = bench.next('result')
  bench.helper.getNode('node').receive({})
  t.like((await result).payload, { batteryV: 12 })
})
