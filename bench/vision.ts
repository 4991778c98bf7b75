import { join } from 'node:path'
import { readFile } from 'node:fs/promises'
import { MtorError } from '../appliance/contracts/errors.ts'
import type { Detection, TestPattern } from '../appliance/inference/port.ts'
import type { TrustedModel } from '../appliance/inference/manifest.ts'
import { openSession } from '../appliance/inference/providers/session.ts'
import type { LoadedTask } from '../appliance/inference/task.ts'
import { fill, place } from '../appliance/vision/detect/canvas.ts'
import { detectOptions } from '../appliance/vision/detect/options.ts'
import { openPicture, pixels } from '../appliance/vision/detect/picture.ts'
import type { Measure, MeasureContext, Row } from './harness.ts'
import { quantile } from './table.ts'
import { openDetector, ort, trustedDetector } from './vision/detector.ts'
import { flips } from './vision/flips.ts'
import { openPeer, originalFolder, type Peer } from './vision/peer.ts'
import { absentPhotographs, photographs, type Photograph } from './vision/photographs.ts'

/** As in the configuration: what is less certain is not told. */
const MIN_SCORE = 0.4
const SIDES_PX = [512, 384, 256] as const
const QUICK = { photographs: 8, runs: 5, flips: 20 }
const FULL = { runs: 20, flips: 400 }
/** Photographs that every flipped bit is tried on. */
const FLIPPED_ON = 3

const ms = (value: number | null) => value === null ? null : Math.round(value * 10) / 10

/** `person 0.70, 2 × bird 0.64`: each label once, with the best score. */
function told(detections: readonly Detection[]): string {
  const labels = [...new Set(detections.map(({ label }) => label))]
  return labels.map((label) => {
    const same = detections.filter((detection) => detection.label === label)
    return `${same.length > 1 ? `${same.length} × ` : ''}${label} ${same[0]!.score.toFixed(2)}`
  }).join(', ') || 'nothing'
}

interface Sight { rows: Row[]; expected: number; found: number; wrongOn: number; wrong: number }

/** What was seen on each photograph, against what is there. */
async function seeing(context: MeasureContext, detector: LoadedTask<'detect'>, list: readonly Photograph[], sizePx: number, folder?: string): Promise<Sight> {
  const sight: Sight = { rows: [], expected: 0, found: 0, wrongOn: 0, wrong: 0 }
  for (const { name, file, expects, accepts = [] } of list) {
    context.signal.throwIfAborted()
    const { detections } = await detector.run({ image: file, minScore: MIN_SCORE, sizePx, ...folder === undefined ? {} : { annotate: join(folder, `${name.replaceAll(' ', '-')}.jpg`) } })
    const labels = [...new Set(detections.map(({ label }) => label))]
    const missed = expects.filter((label) => !labels.includes(label))
    const wrong = labels.filter((label) => !expects.includes(label) && !accepts.includes(label))
    sight.expected += expects.length
    sight.found += expects.length - missed.length
    sight.wrong += wrong.length
    if (wrong.length > 0) sight.wrongOn++
    sight.rows.push({ metric: `${name} (${expects.join(', ') || 'nothing'})`, value: told(detections), unit: [missed.length > 0 ? `missed: ${missed.join(', ')}` : '', wrong.length > 0 ? `wrong: ${wrong.join(', ')}` : ''].filter(Boolean).join('; ') })
  }
  return sight
}

/** Picture by picture at the full size; of the smaller ones, to which the governor turns, only the sums. */
async function allSeeing(context: MeasureContext, model: TrustedModel, list: readonly Photograph[]): Promise<Row[]> {
  const detector = await openDetector(model)
  try {
    const rows: Row[] = []
    for (const sizePx of SIDES_PX) {
      const isFull = sizePx === SIDES_PX[0]
      const { rows: each, expected, found, wrong, wrongOn } = await seeing(context, detector, list, sizePx, isFull ? context.flags.pictures : undefined)
      if (isFull) rows.push(...each)
      rows.push(
        { metric: `kinds of objects seen, of those that are there, ${sizePx} px`, value: `${found} of ${expected}`, unit: '', ...isFull ? { goal: '>= 60 %', holds: found >= 0.6 * expected } : {} },
        { metric: `kinds told that are not there, ${sizePx} px`, value: `${wrong} on ${wrongOn} of ${list.length} photographs`, unit: '', ...isFull ? { goal: '<= 15 % of photographs', holds: wrongOn <= 0.15 * list.length } : {} },
      )
    }
    return rows
  } finally { await detector.close() }
}

/** Times `work`, ms: the best and the median of `runs`, after one that does not count. */
async function timed(runs: number, work: () => Promise<unknown>): Promise<{ best: number; p50: number }> {
  await work()
  const times: number[] = []
  for (let run = 0; run < runs; run++) {
    const startedMs = performance.now()
    await work()
    times.push(performance.now() - startedMs)
  }
  return { best: Math.min(...times), p50: quantile(times, 0.5)! }
}

/** A photograph as both engines take it. */
async function inputs(model: TrustedModel, file: string, sidePx: number): Promise<{ planes: Float32Array; interleaved: Float32Array }> {
  const options = detectOptions(model.manifest.name, model.manifest.options)
  const picture = await openPicture(file)
  const placement = place(picture, sidePx, {}, options)
  const content = await pixels(picture, placement.contentWidth, placement.contentHeight, file)
  const planes = new Float32Array(3 * sidePx * sidePx), interleaved = new Float32Array(3 * sidePx * sidePx)
  fill(planes, placement, content, options)
  fill(interleaved, placement, content, { ...options, layout: 'nhwc' })
  return { planes, interleaved }
}

/** Time of the bare session, of the whole task, and of the proof. */
async function speed(context: MeasureContext, model: TrustedModel, file: string, runs: number): Promise<{ rows: Row[]; bareMs: number }> {
  const rows: Row[] = []
  let bareMs = 0
  const graph = await readFile(join(model.folder, model.manifest.files[0]!.path))
  const known = model.manifest.knownAnswers[0]!.input as { image: TestPattern }
  for (const threads of [2, 1]) {
    const session = await openSession({ ort, bytes: graph, provider: 'cpu', threads })
    for (const sidePx of SIDES_PX) {
      context.signal.throwIfAborted()
      const { planes } = await inputs(model, file, sidePx)
      const input = new ort.Tensor('float32', planes, [1, 3, sidePx, sidePx])
      const { best, p50 } = await timed(runs, () => session.run({ [session.inputNames[0]!]: input }))
      if (threads === 2 && sidePx === SIDES_PX[0]) bareMs = p50
      rows.push({ metric: `onnxruntime ${sidePx} px, threads: ${threads}`, value: ms(p50), unit: `ms p50; best ${ms(best)}` })
    }
    await session.release()
  }
  const detector = await openDetector(model)
  for (const sizePx of SIDES_PX) {
    const { best, p50 } = await timed(runs, () => detector.run({ image: file, sizePx }))
    rows.push({ metric: `file to objects, ${sizePx} px, threads: 2`, value: ms(p50), unit: `ms p50; best ${ms(best)}` })
  }
  const proof = await timed(runs, async () => { await detector.run(known); detector.digest!() })
  await detector.close()
  rows.push({ metric: 'known answer, threads: 2', value: ms(proof.p50), unit: `ms p50; ${Math.round(100 * proof.p50 / bareMs)} % of a run` })
  return { rows, bareMs }
}

/** Largest difference of two outputs, one in planes, the other with the channels of a place side by side. */
function largestDifference(planes: Float32Array, interleaved: Float32Array, channels: number): number {
  const plane = planes.length / channels
  let most = 0
  for (let channel = 0; channel < channels; channel++) for (let i = 0; i < plane; i++) most = Math.max(most, Math.abs(planes[channel * plane + i]! - interleaved[i * channels + channel]!))
  return most
}

/** The same network in tfjs: are the numbers the same, and how long does it take? */
async function besidePeer(context: MeasureContext, model: TrustedModel, list: readonly Photograph[], peer: Peer, runs: number, bareMs: number): Promise<Row[]> {
  const { heat, sides } = detectOptions(model.manifest.name, model.manifest.options)
  const session = await openSession({ ort, bytes: await readFile(join(model.folder, model.manifest.files[0]!.path)), provider: 'cpu', threads: 2 })
  const [sidePx] = SIDES_PX
  let heatDifference = 0, sidesDifference = 0
  try {
    for (const { file } of list) {
      context.signal.throwIfAborted()
      const { planes, interleaved } = await inputs(model, file, sidePx)
      const ours = await session.run({ [session.inputNames[0]!]: new ort.Tensor('float32', planes, [1, 3, sidePx, sidePx]) })
      const theirs = await peer.run(interleaved, sidePx)
      heatDifference = Math.max(heatDifference, largestDifference(ours[heat!]!.data as Float32Array, theirs.heat, 80))
      sidesDifference = Math.max(sidesDifference, largestDifference(ours[sides!]!.data as Float32Array, theirs.sides, 4))
    }
    const { interleaved } = await inputs(model, list[0]!.file, sidePx)
    const { best, p50 } = await timed(runs, () => peer.run(interleaved, sidePx))
    return [
      { metric: `tfjs-${peer.backend} ${sidePx} px`, value: ms(p50), unit: `ms p50; best ${ms(best)}` },
      { metric: `onnxruntime, of the time of tfjs-${peer.backend}`, value: Math.round(100 * bareMs / p50), unit: '%', goal: '<= 75', holds: bareMs <= 0.75 * p50 },
      { metric: `scores: largest difference to tfjs, ${list.length} photographs`, value: Number(heatDifference.toPrecision(2)), unit: '', goal: '<= 0.001', holds: heatDifference <= 1e-3 },
      { metric: `boxes: largest difference to tfjs, ${list.length} photographs`, value: Number(sidesDifference.toPrecision(2)), unit: 'px', goal: '<= 0.05', holds: sidesDifference <= 0.05 },
    ]
  } finally { await session.release() }
}

const measure: Measure = {
  name: 'vision',
  title: 'the detector on real photographs: what it sees, how long it takes, beside the same network in tfjs; damaged weights against its known answer',
  flags: [
    { flag: '--pictures DIR', help: 'the photographs with boxes drawn in are written there' },
    { flag: '--tfjs DIR', help: 'folder with the model as it was before conversion; left out: fetched once (145 MB)' },
    { flag: '--flips N', help: `bits to flip (${FULL.flips}; ${QUICK.flips} with --quick)` },
  ],
  async run(context) {
    const { quick } = context
    const all = photographs()
    if (all.length < FLIPPED_ON) throw new MtorError('NOT_FOUND', `${all.length} photographs are installed`, { hint: 'apt-get install python3-skimage opencv-doc' })
    if (absentPhotographs().length > 0) context.progress(`not installed: ${absentPhotographs().join(', ')}`)
    const list = quick ? all.slice(0, QUICK.photographs) : all
    const runs = quick ? QUICK.runs : FULL.runs
    const count = Number(context.flags.flips ?? (quick ? QUICK : FULL).flips)
    if (!Number.isInteger(count) || count < 0) throw new MtorError('USAGE', `--flips: expected a whole number from 0, got ${context.flags.flips}`)
    const model = await trustedDetector()
    const { heat, sides } = detectOptions(model.manifest.name, model.manifest.options)
    const rows = await allSeeing(context, model, list)
    context.progress('speed')
    const fast = await speed(context, model, list[0]!.file, runs)
    rows.push(...fast.rows)
    const peer = await openPeer(await originalFolder(model.manifest, context.flags.tfjs, context.progress), { heat: heat!, sides: sides! })
    context.progress(`peer: tfjs-${peer.backend}`)
    try { rows.push(...await besidePeer(context, model, list, peer, runs, fast.bareMs)) } finally { peer.close() }
    if (count > 0) rows.push(...await flips(context, model, all.slice(0, FLIPPED_ON).map(({ file }) => file), count))
    return rows
  },
}

export default measure
