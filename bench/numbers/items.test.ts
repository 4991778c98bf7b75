import test from 'ava'
import { numberItems, NUMBER_KINDS } from './items.ts'
import { isRight, judgeNumber } from './judge.ts'
import { digits, whole } from './words.ts'

const items = numberItems()
const slotsOf = (text: string) => items.find((item) => item.text === text)?.slots

test('whole numbers are said as people say them', (t) => {
  t.deepEqual(
    [0, 7, 12, 13, 20, 21, 99].map((n) => whole(n)),
    ['zero', 'seven', 'twelve', 'thirteen', 'twenty', 'twenty one', 'ninety nine'],
  )
  t.deepEqual(
    [whole(105), whole(105, { and: false }), whole(100, { a: true }), whole(250)],
    ['one hundred and five', 'one hundred five', 'a hundred', 'two hundred and fifty'],
  )
  t.is(digits('05', 'oh'), 'oh five')
})

test('there are more than two thousand sentences of every kind, none twice', (t) => {
  t.true(items.length >= 2_000)
  t.is(new Set(items.map(({ text }) => text)).size, items.length)
  for (const kind of NUMBER_KINDS) t.true(items.filter((item) => item.kind === kind).length >= 80, kind)
})

test('values are right, in SI units and with their direction', (t) => {
  t.deepEqual(slotsOf('drive forward twelve metres'), { distanceM: 12 })
  t.deepEqual(slotsOf('drive back fifty metres'), { distanceM: -50 })
  t.deepEqual(slotsOf('drive forward two point oh five metres'), { distanceM: 2.05 })
  t.deepEqual(slotsOf('go forward twenty millimetres'), { distanceM: 0.02 })
  t.deepEqual(slotsOf('drive forward one foot'), { distanceM: 0.3048 })
  t.deepEqual(slotsOf('drive forward two yards'), { distanceM: 1.8288 })
  t.deepEqual(slotsOf('turn right fourteen degrees'), { angleDeg: -14 })
  t.deepEqual(slotsOf('turn left a quarter turn'), { angleDeg: 90 })
  t.deepEqual(slotsOf('dim the lights to thirty percent'), { on: true, brightness: 0.3 })
  t.deepEqual(slotsOf('set a timer for an hour and a half'), { durationS: 5400 })
  t.deepEqual(slotsOf('set the speed to point oh five metres per second'), { speedMps: 0.05 })
})

test('a value is right within rounding, of the right type, with no other number beside it', (t) => {
  const item = { text: '', kind: 'units' as const, type: 'drive.move', slots: { distanceM: 0.3 } }
  t.true(isRight(item, { type: 'drive.move', slots: { distanceM: 0.1 + 0.2 } }))
  t.false(isRight(item, { type: 'drive.move', slots: { distanceM: 0.3001 } }))
  t.false(isRight(item, { type: 'drive.move', slots: { distanceM: -0.3 } }))
  t.false(isRight(item, { type: 'drive.turn', slots: { distanceM: 0.3 } }))
  t.false(isRight(item, { type: 'drive.move', slots: { distanceM: 0.3, speedMps: 1 } }))
  t.true(isRight(item, { type: 'drive.move', slots: { distanceM: 0.3, name: 'tea' } }))
})

test('a wrong value that is acted on, one that is asked about and none at all are told apart', (t) => {
  const item = { text: '', kind: 'teens' as const, type: 'drive.move', slots: { distanceM: 15 } }
  const act = (distanceM: number) => ({ type: 'drive.move', slots: { distanceM } })
  const nothing = { submitted: [], asked: [], heard: [], woken: true }
  const asked = [{ say: 'Did you say fifteen?', expects: 'choice' }]
  t.is(judgeNumber(item, { ...nothing, submitted: [act(15)] }), 'right')
  t.is(judgeNumber(item, { ...nothing, submitted: [act(50)] }), 'wrong')
  t.is(judgeNumber(item, { ...nothing, submitted: [act(15), act(15)] }), 'wrong')
  t.is(judgeNumber(item, { ...nothing, asked, afterYes: [act(15)] }), 'asked right')
  t.is(judgeNumber(item, { ...nothing, asked, afterYes: [act(50)] }), 'asked')
  t.is(judgeNumber(item, nothing), 'refused')
  t.is(judgeNumber(item, { ...nothing, submitted: [{ type: 'time.tell', slots: {} }] }), 'refused')
})
