import test from 'ava'
import type { Envelope } from '../../../appliance/contracts/envelope.ts'
import { uuidv7 } from '../../../appliance/contracts/ids.ts'
import { cableTo, realmConfig, startFlows } from '../../lib/testing.ts'
import intentIn from '../intent-in/index.ts'
import intentOut from './index.ts'

const tab = { id: 'tab', type: 'tab', label: 'test' }
const out = (more: Record<string, unknown> = {}) => ({ id: 'out', z: 'tab', type: 'mtor-intent-out', realm: 'realm', intentType: 'drive.move', slotsFrom: 'payload', wires: [['receipt'], ['result']], ...more })
const nodes = [{ id: 'receipt', z: 'tab', type: 'helper' }, { id: 'result', z: 'tab', type: 'helper' }, { id: 'catcher', z: 'tab', type: 'catch', scope: ['out'], wires: [['caught']] }, { id: 'caught', z: 'tab', type: 'helper' }]

test.serial('what it submits is answered with the receipt, then with how it ended', async (t) => {
  const bench = await startFlows(t)
  bench.onSubmit(() => ({ state: 'succeeded', say: 'I moved 2 metres.', data: { distanceM: 2.01 } }))
  await bench.load([intentOut], [tab, out(), ...nodes])
  await bench.connected()
  const receipt = bench.next('receipt'), result = bench.next('result')
  bench.helper.getNode('out').receive({ payload: { distanceM: 2 }, kept: 'yes' })
  const first = await receipt, second = await result
  t.like(first, { payload: { accepted: true }, kept: 'yes' })
  t.like(second, { payload: { state: 'succeeded', say: 'I moved 2 metres.', data: { distanceM: 2.01 } }, kept: 'yes', intentId: first.intentId })
  t.is(second.error, undefined)
  t.like(bench.submitted[0]!.envelope, { v: 1, type: 'drive.move', slots: { distanceM: 2 }, source: { kind: 'flow' }, priority: 5 })
})

test.serial('behind intent in it is a step of that intent, also where a function made the message anew; elsewhere of none', async (t) => {
  const bench = await startFlows(t)
  bench.onSubmit(() => ({ state: 'succeeded' }))
  await bench.load([intentIn, intentOut], [tab, { id: 'in', z: 'tab', type: 'mtor-intent-in', realm: 'realm', intentType: 'patrol.square', wires: [['work'], []] }, { id: 'work', z: 'tab', type: 'helper' }, out(), ...nodes])
  await bench.connected()
  const work = bench.next('work'), end = new AbortController(), id = uuidv7()
  const carried = bench.carryOut('patrol.square', {}, { id, signal: end.signal }).catch(() => 'ended')
  const msg = await work
  for (const given of [msg, { _msgid: msg._msgid! }, {}]) {
    const result = bench.next('result')
    bench.helper.getNode('out').receive({ ...given, payload: { distanceM: 1 } })
    await result
  }
  t.deepEqual(bench.submitted.map(({ envelope }) => (envelope as Envelope).parent), [id, id, undefined])
  end.abort(new TypeError('over'))
  t.is(await carried, 'ended')
})

test.serial('what did not succeed has its code and a hint in msg.error', async (t) => {
  const bench = await startFlows(t)
  bench.onSubmit(() => ({ state: 'aborted', code: 'STOPPED' }))
  await bench.load([intentOut], [tab, out(), ...nodes])
  await bench.connected()
  const result = bench.next('result')
  bench.helper.getNode('out').receive({ payload: { distanceM: 2 } })
  t.like((await result).error, { code: 'STOPPED', hint: 'An emergency stop ended it.' })
})

test.serial('what the appliance rejects is an error with its code', async (t) => {
  const bench = await startFlows(t)
  await bench.load([intentOut], [tab, out({ intentType: 'drive.fly' }), ...nodes])
  await bench.connected()
  const caught = bench.next('caught')
  bench.helper.getNode('out').receive({ payload: {} })
  t.like((await caught).error, { code: 'UNKNOWN_TYPE' })
})

test.serial('slots come from the fields of the form, those without a value are left out', async (t) => {
  const bench = await startFlows(t)
  bench.onSubmit(() => ({ state: 'succeeded' }))
  const slots = [{ name: 'distanceM', value: 'payload.far', valueType: 'msg' }, { name: 'speedMps', value: '0.5', valueType: 'num' }, { name: 'left', value: '', valueType: 'str' }]
  await bench.load([intentOut], [tab, out({ slotsFrom: 'fields', slots, ttlS: 3 }), ...nodes])
  await bench.connected()
  const result = bench.next('result')
  bench.helper.getNode('out').receive({ payload: { far: -1 } })
  await result
  t.like(bench.submitted[0]!.envelope, { slots: { distanceM: -1, speedMps: 0.5 }, ttlMs: 3000 })
})

test.serial('no result in time is DEADLINE, and the receipt was there', async (t) => {
  const bench = await startFlows(t)
  bench.onSubmit(() => ({ state: 'started' }))
  await bench.load([intentOut], [tab, out({ resultS: 0.1 }), ...nodes])
  await bench.connected()
  const receipt = bench.next('receipt'), caught = bench.next('caught')
  bench.helper.getNode('out').receive({ payload: { distanceM: 2 } })
  t.like((await receipt).payload, { accepted: true })
  t.like((await caught).error, { code: 'DEADLINE' })
})

test.serial('without a connection it fails at once with NOT_RUNNING, instead of acting later', async (t) => {
  const bench = await startFlows(t)
  await bench.load([intentOut], [tab, out({ realm: 'elsewhere' }), ...nodes, realmConfig(1, { id: 'elsewhere', clientId: 'flows-elsewhere' })])
  const caught = bench.next('caught')
  bench.helper.getNode('out').receive({ payload: { distanceM: 2 } })
  t.like((await caught).error, { code: 'NOT_RUNNING' })
})

test.serial('a result that falls into a break of the connection is brought by the next one', async (t) => {
  const bench = await startFlows(t)
  const cable = await cableTo(t, bench.port)
  bench.onSubmit(() => ({ state: 'started' }))
  await bench.load([intentOut], [tab, out({ realm: 'far' }), ...nodes, realmConfig(cable.port, { id: 'far', clientId: 'flows-far' })])
  await bench.connected('far')
  const receipt = bench.next('receipt'), result = bench.next('result')
  bench.helper.getNode('out').receive({ payload: { distanceM: 2 } })
  const { intentId } = await receipt as { intentId: string }
  cable.pull()
  bench.hub.intent({ id: intentId, type: 'drive.move', state: 'succeeded', say: 'I moved.' })
  t.like((await result).payload, { state: 'succeeded', say: 'I moved.' })
})

test.serial('it says that it was confirmed where its box is ticked or msg.confirmed is true, and only there', async (t) => {
  const bench = await startFlows(t)
  bench.onSubmit(() => ({ state: 'succeeded' }))
  await bench.load([intentOut], [tab, out({ intentType: 'sequence.run' }), out({ id: 'ticked', intentType: 'sequence.run', confirmed: true }), ...nodes])
  await bench.connected()
  for (const [id, msg] of [['out', {}], ['out', { confirmed: 'true' }], ['out', { confirmed: true }], ['ticked', {}]] as const) {
    const result = bench.next('result')
    bench.helper.getNode(id).receive({ ...msg, payload: { name: 'square' } })
    await result
  }
  t.deepEqual(bench.submitted.map(({ envelope }) => (envelope as Envelope).confirmed), [undefined, undefined, true, true])
})
