import { createRequire } from 'node:module'
import test from 'ava'
import { uuidv7 } from '../../../appliance/contracts/ids.ts'
import type { Red } from '../../lib/red.ts'
import { startFlows } from '../../lib/testing.ts'
import intentResult from '../intent-result/index.ts'
import intentIn from './index.ts'

const require = createRequire(import.meta.url)
const functionNode = require('@node-red/nodes/core/function/10-function.js') as (red: Red) => void
const TYPE = 'airlock.open'

const input = (more: Record<string, unknown> = {}) => ({ id: 'in', z: 'tab', type: 'mtor-intent-in', realm: 'realm', intentType: TYPE, wires: [['work'], ['lost']], ...more })
const result = { id: 'result', z: 'tab', type: 'mtor-intent-result', outcome: 'succeeded', say: 'The airlock is open.', sayType: 'str', data: 'payload', dataType: 'msg', wires: [] }
const work = { id: 'work', z: 'tab', type: 'helper' }, lost = { id: 'lost', z: 'tab', type: 'helper' }
const tab = { id: 'tab', type: 'tab', label: 'test' }

test.serial('an intent of its type is claimed, sent on with its slots, and ends as intent result says', async (t) => {
  const bench = await startFlows(t)
  await bench.load([intentIn, intentResult], [input({ wires: [['result', 'work'], ['lost']] }), result, work, lost])
  const message = bench.next('work')
  const ended = await bench.carryOut(TYPE, { side: 'port' })
  t.is(ended.say, 'The airlock is open.')
  t.deepEqual(ended.data, { side: 'port' })
  const { payload, intent, deadline } = await message as { payload: unknown; intent: Record<string, unknown>; deadline: number }
  t.deepEqual(payload, { side: 'port' })
  t.like(intent, { type: TYPE, attempt: 1, source: { kind: 'voice' } })
  t.true(deadline > Date.now())
})

test.serial('at its limit it leaves intents to others, and takes the next when it is free', async (t) => {
  const bench = await startFlows(t)
  await bench.load([intentIn, intentResult], [input(), result, work, lost])
  const first = bench.next('work')
  const endOfFirst = bench.carryOut(TYPE, { n: 1 })
  const begun = await first
  const second = bench.next('work')
  const endOfSecond = bench.carryOut(TYPE, { n: 2 })
  const early = await Promise.race([second.then(() => 'begun'), new Promise((resolve) => setTimeout(() => resolve('waits'), 700))])
  t.is(early, 'waits')
  bench.helper.getNode('result').receive(begun)
  t.deepEqual((await endOfFirst).data, { n: 1 })
  bench.helper.getNode('result').receive(await second)
  t.deepEqual((await endOfSecond).data, { n: 2 })
})

test.serial('with room for two, two are carried out at once', async (t) => {
  const bench = await startFlows(t)
  await bench.load([intentIn, intentResult], [input({ concurrent: 2 }), result, work, lost])
  const first = bench.next('work')
  const ends = [bench.carryOut(TYPE, { n: 1 })]
  const begun = [await first]
  const second = bench.next('work')
  ends.push(bench.carryOut(TYPE, { n: 2 }))
  begun.push(await second)
  for (const msg of begun) bench.helper.getNode('result').receive(msg)
  t.deepEqual((await Promise.all(ends)).map(({ data }) => data), [{ n: 1 }, { n: 2 }])
})

test.serial('what is stopped meanwhile is told on the second output, and a result of it is ALREADY_FINAL', async (t) => {
  const bench = await startFlows(t)
  await bench.load([intentIn, intentResult], [tab, input(), result, work, lost, { id: 'catcher', z: 'tab', type: 'catch', scope: ['result'], wires: [['caught']] }, { id: 'caught', z: 'tab', type: 'helper' }])
  const stop = new AbortController(), id = uuidv7()
  const ended = bench.carryOut(TYPE, {}, { signal: stop.signal, id }).catch(() => 'stopped')
  const begun = await bench.next('work')
  const told = bench.next('lost')
  stop.abort(new TypeError('stop'))
  bench.hub.intent({ id, type: TYPE, state: 'aborted', code: 'STOPPED' })
  t.like((await told).payload, { state: 'aborted', code: 'STOPPED' })
  t.is(await ended, 'stopped')
  const caught = bench.next('caught')
  bench.helper.getNode('result').receive(begun)
  t.like((await caught).error, { code: 'ALREADY_FINAL' })
})

const thrower = { id: 'thrower', z: 'tab', type: 'function', func: 'throw new Error("the hinge is rusty")', outputs: 1, libs: [], wires: [[]] }

test.serial('a function behind it that throws fails the intent, and the message says which and why', async (t) => {
  const bench = await startFlows(t)
  await bench.load([intentIn, functionNode], [tab, input({ wires: [['thrower'], []] }), thrower])
  const error = await t.throwsAsync(bench.carryOut(TYPE))
  t.like(error, { code: 'FLOW_INVALID' })
  t.regex(error!.message, /hinge is rusty/)
})

test.serial('where a catch node looks after the function, the flow itself says what becomes of the intent', async (t) => {
  const bench = await startFlows(t)
  const failing = { ...result, id: 'failing', outcome: 'failed', code: 'DEVICE_REFUSED', say: 'The airlock is stuck.', data: '' }
  await bench.load([intentIn, functionNode, intentResult], [tab, input({ wires: [['thrower'], []] }), thrower, { id: 'catcher', z: 'tab', type: 'catch', scope: null, wires: [['failing']] }, failing])
  const error = await t.throwsAsync(bench.carryOut(TYPE)) as Error & { say?: string; code?: string }
  t.is(error.code, 'DEVICE_REFUSED')
  t.is(error.say, 'The airlock is stuck.')
  t.regex(error.message, /hinge is rusty/)
})

test.serial('a message that a function made anew still belongs to its intent', async (t) => {
  const bench = await startFlows(t)
  const anew = { id: 'anew', z: 'tab', type: 'function', func: 'return { payload: { opened: true } }', outputs: 1, libs: [], wires: [['result']] }
  await bench.load([intentIn, functionNode, intentResult], [tab, input({ wires: [['anew'], []] }), anew, result])
  t.deepEqual((await bench.carryOut(TYPE)).data, { opened: true })
})

test.serial('a deploy that takes the node away ends what it was carrying out with INTERRUPTED', async (t) => {
  const bench = await startFlows(t)
  await bench.load([intentIn, intentResult], [tab, input(), work, lost])
  const ended = t.throwsAsync(bench.carryOut(TYPE))
  await bench.next('work')
  await bench.helper.setFlows([{ ...bench.realmConfig }, tab, work, lost], 'nodes')
  t.like(await ended, { code: 'INTERRUPTED' })
})

test.serial('without a realm it says so and claims nothing', async (t) => {
  const bench = await startFlows(t)
  await bench.load([intentIn], [input({ realm: '' }), work, lost])
  t.deepEqual(bench.handlers.status(), [])
})

test.serial('a type that the appliance carries out itself is said to be taken', async (t) => {
  const bench = await startFlows(t)
  await bench.load([intentIn], [input({ intentType: 'drive.move' }), work, lost])
  const status = await bench.status('in', (text) => text.startsWith('TYPE_TAKEN'))
  t.regex(status, /carried out by the appliance itself/)
})
