import test from 'ava'
import { startFlows, until } from '../../lib/testing.ts'
import intentDefine from './index.ts'

const tab = { id: 'tab', type: 'tab', label: 'test' }
const define = (more: Record<string, unknown> = {}) => ({
  id: 'define', z: 'tab', type: 'mtor-intent-define', realm: 'realm', intentType: 'airlock.open', title: 'Open the airlock', sentences: ['open [the] {side} airlock', ' '],
  slots: [{ name: 'side', kind: 'choice', required: true, values: 'port, starboard', question: 'Which side?' }], actuates: false, hazardous: true, repeatable: false, deadlineS: '20', wires: [], ...more,
})
const DECLARED = {
  type: 'airlock.open', title: 'Open the airlock', sentences: ['open [the] {side} airlock'], slots: [{ name: 'side', kind: 'choice', required: true, values: ['port', 'starboard'], question: 'Which side?' }],
  actuates: false, hazardous: true, repeatable: false, deadlineMs: 20_000,
} as const

test.serial('what it declares is offered and learned, and its status says so', async (t) => {
  const bench = await startFlows(t)
  await bench.load([intentDefine], [tab, define()])
  await bench.status('define', (text) => text === 'status.learned')
  t.deepEqual(bench.learned.at(-1)!.declares, [DECLARED])
})

test.serial('one offer holds what all nodes of a deploy declare', async (t) => {
  const bench = await startFlows(t)
  await bench.load([intentDefine], [tab, define(), define({ id: 'other', intentType: 'airlock.close', sentences: ['close the airlock'], slots: [] })])
  await bench.status('other', (text) => text === 'status.learned')
  t.deepEqual(bench.learned.map(({ declares }) => declares.map(({ type }) => type)), [['airlock.open', 'airlock.close']])
})

test.serial('what the appliance refuses is said in the status of the node it is of', async (t) => {
  const bench = await startFlows(t)
  bench.problems.push({ type: 'airlock.open', code: 'SENTENCE_TAKEN', message: '"open the port airlock" is drive.move already' })
  await bench.load([intentDefine], [tab, define(), define({ id: 'other', intentType: 'airlock.close', sentences: ['close the airlock'], slots: [] })])
  const [refused] = await Promise.all([bench.status('define', (text) => text.startsWith('SENTENCE_TAKEN')), bench.status('other', (text) => text === 'status.learned')])
  t.regex(refused, /drive\.move already/)
})

test.serial('a second node that declares the same type is told TYPE_TAKEN', async (t) => {
  const bench = await startFlows(t)
  await bench.load([intentDefine], [tab, define(), define({ id: 'again' })])
  await Promise.all([bench.status('define', (text) => text === 'status.learned'), bench.status('again', (text) => text.startsWith('TYPE_TAKEN'))])
  t.is(bench.learned.at(-1)!.declares.length, 1)
})

test.serial('a declaration that no appliance could read is not offered, so the others are learned', async (t) => {
  const bench = await startFlows(t)
  await bench.load([intentDefine], [tab, define({ id: 'broken', intentType: 'Airlock Open' }), define()])
  await bench.status('define', (text) => text === 'status.learned')
  t.deepEqual(bench.learned.at(-1)!.declares.map(({ type }) => type), ['airlock.open'])
})

test.serial('a deploy without the node makes the appliance forget its sentences', async (t) => {
  const bench = await startFlows(t)
  await bench.load([intentDefine], [tab, define()])
  await bench.status('define', (text) => text === 'status.learned')
  await bench.helper.setFlows([bench.realmConfig, tab], 'nodes')
  await until(() => bench.learned.at(-1)!.declares.length === 0)
  t.deepEqual(bench.handlers.status()[0]!.declares, [])
})
