import { createHash } from 'node:crypto'
import test from 'ava'
import { suppress, type Candidate } from './boxes.ts'
import { place } from './canvas.ts'
import { decode } from './decode.ts'
import { detectOptions } from './options.ts'
import { drawPattern } from './pattern.ts'

const LABELS = ['cat', 'dog', 'cup']
const SIZE = { width: 64, height: 32 }
const yolo = detectOptions('test', { decoder: 'yolo', labels: LABELS })

/** Numbers that a 32-bit float holds exactly, so that they can be compared as they are. */
const ROWS = [[20, 10, 8, 4, 0.125, 0.75, 0.5], [40, 20, 16, 8, 0.25, 0.125, 0.375]]

test('rows of YOLOv8 lie on their side: boxes by their centre, the best class of each', (t) => {
  const n = ROWS.length
  const data = Float32Array.from({ length: 7 * n }, (_, i) => ROWS[i % n]![Math.floor(i / n)]!)
  t.deepEqual(decode({ output0: { type: 'float32', dims: [1, 7, n], data } }, SIZE, yolo, 0.375), [
    { label: 1, score: 0.75, box: { x: 16, y: 8, width: 8, height: 4 } },
    { label: 2, score: 0.375, box: { x: 32, y: 16, width: 16, height: 8 } },
  ])
  t.is(decode({ output0: { type: 'float32', dims: [1, 7, n], data } }, SIZE, yolo, 0.5).length, 1)
})

test('rows of YOLOv5 say how likely any object is; of YOLOX besides, they are relative to their grids', (t) => {
  const row = [20, 10, 8, 4, 0.5, 0.25, 0.75, 0.5]
  t.deepEqual(decode({ out: { type: 'float32', dims: [1, 1, 8], data: Float32Array.from(row) } }, SIZE, yolo, 0.3), [{ label: 1, score: 0.375, box: { x: 16, y: 8, width: 8, height: 4 } }])
  // 64 × 32 px: grids of 4 × 2 cells of 16 px, then 2 × 1 of 32 px; the one that says something is the last of the first grid.
  const cells = Array.from({ length: 10 }, () => Array<number>(8).fill(0))
  cells[7] = [0.5, 0.25, Math.log(2), 0, 1, 0, 0, 0.875]
  const options = detectOptions('test', { decoder: 'yolo', labels: LABELS, grid: [16, 32] })
  const [found, ...more] = decode({ out: { type: 'float32', dims: [1, 10, 8], data: Float32Array.from(cells.flat()) } }, SIZE, options, 0.5)
  t.deepEqual(more, [])
  t.is(found!.label, 2)
  t.is(found!.score, 0.875)
  const box = Object.values(found!.box).map((value) => Math.round(value * 1000) / 1000)
  t.deepEqual(box, [3.5 * 16 - 16, 1.25 * 16 - 8, 32, 16])
  t.like(t.throws(() => decode({ out: { type: 'float32', dims: [1, 9, 8], data: new Float32Array(72) } }, SIZE, options, 0.5)), { code: 'MODEL_INVALID' })
})

test('a peak of a heat map is an object, its neighbours are not, and NaN is nothing', (t) => {
  const options = detectOptions('test', { decoder: 'centernet', labels: ['cat'], heat: 'heat', sides: 'sides', stridePx: 4 })
  const heat = Float32Array.of(0.5, 0.75, 0.5, 0, 0, 0, 0.5, 0, NaN, 0, 0, 0.625)
  const sides = Float32Array.from({ length: 48 }, (_, i) => [1, 2, 3, 4][Math.floor(i / 12)]!)
  t.deepEqual(decode({ heat: { type: 'float32', dims: [1, 1, 3, 4], data: heat }, sides: { type: 'float32', dims: [1, 4, 3, 4], data: sides } }, { width: 16, height: 12 }, options, 0.5), [
    { label: 0, score: 0.75, box: { x: 3, y: -2, width: 4, height: 6 } },
    { label: 0, score: 0.625, box: { x: 11, y: 6, width: 4, height: 6 } },
  ])
})

test('of boxes that show the same object the likeliest is kept; others of its class and others elsewhere stay', (t) => {
  const at = (label: number, score: number, x: number, side = 10): Candidate => ({ label, score, box: { x, y: 0, width: side, height: 10 } })
  const limits = { sameClass: 0.5, anyClass: 0.85, most: 100 }
  const kept = suppress([at(0, 0.5, 1), at(0, 0.9, 0), at(1, 0.8, 0.5), at(1, 0.7, 3), at(0, 0.6, 30)], limits)
  t.deepEqual(kept.map(({ label, score }) => [label, score]), [[0, 0.9], [1, 0.7], [0, 0.6]])
  t.is(suppress(Array.from({ length: 50 }, (_, i) => at(0, 0.5, 20 * i)), { ...limits, most: 7 }).length, 7)
})

test('a picture is centred in the square, or cut to the grid', (t) => {
  t.deepEqual(place({ width: 600, height: 400 }, 500, {}, yolo), { width: 512, height: 512, left: 0, top: 85, contentWidth: 512, contentHeight: 341, factor: 512 / 600 })
  t.like(place({ width: 600, height: 400 }, 512, {}, { ...yolo, letterbox: 'fit' }), { width: 512, height: 352, contentWidth: 512, contentHeight: 341 })
  t.like(place({ width: 100_000, height: 1 }, 256, {}, { ...yolo, letterbox: 'fit' }), { width: 256, height: 32, contentWidth: 256, contentHeight: 1 })
})

test('a test pattern is the same bytes on every machine, and no view is like another', (t) => {
  const views = drawPattern({ pattern: 'shapes', seed: 56, widthPx: 64, heightPx: 64, views: 4 })
  const hashes = views.map(({ data }) => createHash('sha256').update(data).digest('hex').slice(0, 16))
  t.deepEqual(hashes, ['62026738e9de904b', 'ff73100e411eff6a', 'faabdaf3b106a3c7', 'e77c1533b80b701f'])
  for (const pattern of [{ widthPx: 0 }, { heightPx: 1.5 }, { views: 0 }, { widthPx: 5000 }]) t.like(t.throws(() => drawPattern({ pattern: 'shapes', seed: 1, widthPx: 64, heightPx: 64, ...pattern })), { code: 'MODEL_INVALID' })
})
