import test from 'ava'
import { startFlows, until } from '../../lib/testing.ts'
import ask from './index.ts'

const tab = { id: 'tab', type: 'tab', label: 'test' }
const node = (more: Record<string, unknown> = {}) => ({ id: 'ask', z: 'tab', type: 'mtor-ask', realm: 'realm', question: 'Which side?', questionType: 'str', answerKind: 'choice', values: 'Port, starboard', timeoutS: 8, wires: [['answer'], ['none']], ...more })
const nodes = [{ id: 'answer', z: 'tab', type: 'helper' }, { id: 'none', z: 'tab', type: 'helper' }]

test.serial('the answer comes on the first output, with what was heard', async (t) => {
  const bench = await startFlows(t)
  bench.onSubmit(() => ({ state: 'succeeded', data: { answer: 'port', text: 'port please' } }))
  await bench.load([ask], [tab, node(), ...nodes])
  await bench.connected()
  const answer = bench.next('answer')
  bench.helper.getNode('ask').receive({})
  t.like(await answer, { payload: 'port', text: 'port please' })
  t.like(bench.submitted[0]!.envelope, { type: 'speech.ask', slots: { question: 'Which side?', kind: 'choice', values: ['port', 'starboard'], timeoutS: 8 } })
})

test.serial('no answer comes on the second output, with its code', async (t) => {
  const bench = await startFlows(t)
  bench.onSubmit(() => ({ state: 'failed' as const, code: 'NO_ANSWER' as const }))
  await bench.load([ask], [tab, node({ answerKind: 'confirm' }), ...nodes])
  await bench.connected()
  const none = bench.next('none')
  bench.helper.getNode('ask').receive({})
  t.like(await none, { error: { code: 'NO_ANSWER' }, payload: { state: 'failed' } })
  t.deepEqual((bench.submitted[0]!.envelope as { slots: unknown }).slots, { question: 'Which side?', kind: 'confirm', timeoutS: 8 })
})

test.serial('the words of a choice are offered to the ears', async (t) => {
  const bench = await startFlows(t)
  await bench.load([ask], [tab, node(), ...nodes])
  await until(() => bench.learned.length > 0)
  t.deepEqual(bench.learned.at(-1)!.answers, ['port', 'starboard'])
})
