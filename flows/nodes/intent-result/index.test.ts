import test from 'ava'
import { uuidv7 } from '../../../appliance/contracts/ids.ts'
import { startFlows } from '../../lib/testing.ts'
import intentIn from '../intent-in/index.ts'
import intentResult from './index.ts'

const TYPE = 'airlock.open'
const input = { id: 'in', z: 'tab', type: 'mtor-intent-in', realm: 'realm', intentType: TYPE, wires: [['work'], []] }
const work = { id: 'work', z: 'tab', type: 'helper' }
const tab = { id: 'tab', type: 'tab', label: 'test' }
const catcher = { id: 'catcher', z: 'tab', type: 'catch', scope: ['result'], wires: [['caught']] }
const caughtHere = { id: 'caught', z: 'tab', type: 'helper' }
const result = (more: Record<string, unknown>) => ({ id: 'result', z: 'tab', type: 'mtor-intent-result', outcome: 'succeeded', wires: [], ...more })

test.serial('failed ends the intent with its code, its message and its sentence', async (t) => {
  const bench = await startFlows(t)
  await bench.load([intentIn, intentResult], [tab, input, work, result({ outcome: 'failed', code: 'NOT_FOUND', message: 'no such side', messageType: 'str', say: 'There is no such airlock.', sayType: 'str' })])
  const ended = t.throwsAsync(bench.carryOut(TYPE))
  bench.helper.getNode('result').receive(await bench.next('work'))
  t.like(await ended, { code: 'NOT_FOUND', message: 'no such side', say: 'There is no such airlock.' })
})

test.serial('progress is told, and the intent goes on until a result', async (t) => {
  const bench = await startFlows(t)
  await bench.load([intentIn, intentResult], [tab, input, work, result({ outcome: 'progress', data: 'payload', dataType: 'msg' }), { ...result({ data: 'payload', dataType: 'msg' }), id: 'done' }])
  const told: unknown[] = []
  const ended = bench.carryOut(TYPE, {}, { progress: (data) => { told.push(data); if (told.length === 2) bench.helper.getNode('done').receive({ ...begun, payload: 'open' }) } })
  const begun = await bench.next('work')
  bench.helper.getNode('result').receive({ ...begun, payload: { fraction: 0.5 } })
  bench.helper.getNode('result').receive({ ...begun, payload: { fraction: 0.9 } })
  t.deepEqual((await ended).data, { value: 'open' })
  t.deepEqual(told, [{ fraction: 0.5 }, { fraction: 0.9 }])
})

test.serial('a second result for the same intent is an error with its code, and changes nothing', async (t) => {
  const bench = await startFlows(t)
  await bench.load([intentIn, intentResult], [tab, input, work, result({ say: 'payload', sayType: 'msg' }), catcher, caughtHere])
  const ended = bench.carryOut(TYPE)
  const begun = await bench.next('work')
  const caught = bench.next('caught')
  bench.helper.getNode('result').receive({ ...begun, payload: 'First.' })
  bench.helper.getNode('result').receive({ ...begun, payload: 'Second.' })
  t.is((await ended).say, 'First.')
  t.like((await caught).error, { code: 'ALREADY_FINAL' })
})

test.serial('a message that is of no intent is an error that says what is missing', async (t) => {
  const bench = await startFlows(t)
  await bench.load([intentIn, intentResult], [tab, input, work, result({}), catcher, caughtHere])
  const caught = bench.next('caught')
  bench.helper.getNode('result').receive({ payload: 1, intent: { id: uuidv7() } })
  const { error } = await caught as { error: { code: string; message: string } }
  t.is(error.code, 'NOT_FOUND')
  t.regex(error.message, /msg\._mtor/)
})

test.serial('data that is too large for the appliance is an error, and the intent can still be ended', async (t) => {
  const bench = await startFlows(t)
  await bench.load([intentIn, intentResult], [tab, input, work, result({ data: 'payload', dataType: 'msg' }), catcher, caughtHere])
  const ended = bench.carryOut(TYPE)
  const begun = await bench.next('work')
  const caught = bench.next('caught')
  bench.helper.getNode('result').receive({ ...begun, payload: { picture: 'x'.repeat(70_000) } })
  t.like((await caught).error, { code: 'TOO_LARGE' })
  bench.helper.getNode('result').receive({ ...begun, payload: { file: 'airlock.jpg' } })
  t.deepEqual((await ended).data, { file: 'airlock.jpg' })
})
