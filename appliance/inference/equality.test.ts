import test from 'ava'
import { difference, editDistance, iou, isEqual } from './equality.ts'

const cup = { label: 'cup', score: 0.8, box: { x: 10, y: 10, width: 20, height: 20 } }
const person = { label: 'person', score: 0.9, box: { x: 100, y: 0, width: 50, height: 100 } }
const seen = (...detections: unknown[]) => ({ widthPx: 640, heightPx: 480, detections })

test('boxes overlap by intersection over union', (t) => {
  t.is(iou(cup.box, cup.box), 1)
  t.is(iou(cup.box, person.box), 0)
  t.is(iou({ x: 0, y: 0, width: 10, height: 10 }, { x: 5, y: 0, width: 10, height: 10 }), 1 / 3)
  t.is(iou({ x: 0, y: 0, width: 0, height: 10 }, { x: 0, y: 0, width: 0, height: 10 }), 0)
})

test('the same objects in another order, a little moved and a little less certain, are the same', (t) => {
  t.true(isEqual('detect', seen(cup, person), seen(person, { ...cup, score: 0.72, box: { ...cup.box, x: 13 } })))
})

test('another label, place or certainty, one too few or too many, are not', (t) => {
  t.regex(difference('detect', seen(cup), seen({ ...cup, label: 'bowl' }))!, /a cup of score 0.80 at 10,10 was expected/)
  t.false(isEqual('detect', seen(cup), seen({ ...cup, box: { ...cup.box, x: 22 } })))
  t.false(isEqual('detect', seen(cup), seen({ ...cup, score: 0.65 })))
  t.false(isEqual('detect', seen(cup, person), seen(cup)))
  t.regex(difference('detect', seen(cup), seen(cup, person))!, /a person .* was not expected/)
})

test('two of one kind at one place need two partners', (t) => {
  t.false(isEqual('detect', seen(cup, cup), seen(cup, person)))
  t.true(isEqual('detect', seen(cup, cup), seen(cup, cup)))
})

test('one that is hardly more certain than was asked for may be missing; a certain one may not', (t) => {
  const faint = { ...cup, score: 0.45 }
  t.true(isEqual('detect', seen(person, faint), seen(person), { minScore: 0.4 }))
  t.true(isEqual('detect', seen(person), seen(person, faint), { minScore: 0.4 }))
  t.false(isEqual('detect', seen(person, cup), seen(person), { minScore: 0.4 }))
  t.false(isEqual('detect', seen(person, faint), seen(person)))
})

test('figures of the raw outputs count where they are expected', (t) => {
  const known = { ...seen(cup), summary: [0.5, 100] }
  t.true(isEqual('detect', known, { ...seen(cup), summary: [0.505, 101] }))
  t.false(isEqual('detect', known, { ...seen(cup), summary: [0.5, 120] }))
  t.false(isEqual('detect', known, { ...seen(cup), summary: [0.5, Number.NaN] }))
  t.false(isEqual('detect', known, seen(cup)))
})

test('texts are the same within one edit in ten, whatever their case and white space', (t) => {
  t.true(isEqual('read', { text: 'Danger\nHigh Voltage' }, { text: ' DANGER  high voltaqe ' }))
  t.false(isEqual('read', { text: 'stop' }, { text: 'step' }))
  t.true(isEqual('transcribe', { text: '' }, { text: ' ' }))
  t.false(isEqual('transcribe', { text: 'drive forward two metres' }, { text: 'drive backward two metres' }))
})

test('the edit distance is that of Levenshtein up to its bound', (t) => {
  t.is(editDistance('kitten', 'sitting', 10), 3)
  t.is(editDistance('kitten', 'sitting', 3), 3)
  t.is(editDistance('kitten', 'sitting', 2), 3)
  t.is(editDistance('', 'abc', 5), 3)
  t.is(editDistance('abc', '', 2), 3)
  t.is(editDistance('flaw', 'lawn', 2), 2)
  t.is(editDistance('same', 'same', 0), 0)
})

test('tensors are compared by name, shape and value, from a file or from a process', (t) => {
  const known = { tensors: { y: { type: 'float32', dims: [1, 2], data: [1, 200] } } }
  const got = (...data: number[]) => ({ tensors: { y: { type: 'float32', dims: [1, 2], data: Float32Array.from(data) } } })
  t.true(isEqual('tensor', known, got(1.0005, 201)))
  t.regex(difference('tensor', known, got(1.1, 200))!, /y\[0\]/)
  t.false(isEqual('tensor', known, got(Number.NaN, 200)))
  t.true(isEqual('tensor', got(Infinity, 0), got(Infinity, 0)))
  t.false(isEqual('tensor', known, { tensors: { y: { ...known.tensors.y, dims: [2, 1] } } }))
  t.false(isEqual('tensor', known, { tensors: {} }))
  t.true(isEqual('tensor', { tensors: { n: { dims: [1], data: [7] } } }, { tensors: { n: { dims: [1], data: BigInt64Array.of(7n) } } }))
})

test('scores and errors have their tolerance', (t) => {
  t.true(isEqual('keyword', { score: 0.9 }, { score: 0.905 }))
  t.false(isEqual('keyword', { score: 0.9 }, { score: 0.8 }))
  t.true(isEqual('normality', { error: 0.5, worst: [] }, { error: 0.504, worst: [] }))
  t.false(isEqual('normality', { error: 0.5, worst: [{ name: 'load', error: 1 }] }, { error: 0.5, worst: [{ name: 'load', error: 2 }] }))
  t.false(isEqual('keyword', { score: 0.9 }, { score: Number.NaN }))
})

test('whatever a broken model gives is judged, never thrown at', (t) => {
  for (const task of ['detect', 'read', 'tensor', 'transcribe', 'normality', 'keyword'] as const) {
    for (const got of [undefined, null, 7, 'x', [], {}, { detections: [{}] }, { detections: [null] }, { text: 7 }, { tensors: { y: 1 } }, { error: 'x', worst: [null] }]) {
      t.is(typeof difference(task, { detections: [cup], text: 'long text', tensors: { y: { dims: [1], data: [1] } }, error: 1, worst: [{ name: 'a', error: 1 }], score: 1 }, got), 'string', `${task} ${JSON.stringify(got)}`)
    }
  }
})
