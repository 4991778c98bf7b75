import { spawnSync } from 'node:child_process'
import { appendFileSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { makeConfig } from '../../appliance/config/load.ts'
import { systemClock as clock } from '../../appliance/contracts/clock.ts'
import { MtorError } from '../../appliance/contracts/errors.ts'
import type { InferenceStatus } from '../../appliance/inference/port.ts'
import { photographs } from '../../bench/vision/photographs.ts'
import { quantile } from '../../bench/table.ts'
import type { Measure, MeasureContext, Row } from '../../bench/harness.ts'
import { judgeInference } from '../checkers/inference.ts'
import { INFERENCE_FAULTS, type InferenceVictim } from '../faults/inference/index.ts'
import { Appliance } from '../resources/appliance.ts'
import { detect, DetectLoad, DETECTOR, EchoLoad } from '../resources/inference-load.ts'

const COLD_FAULTS = 150, STANDBY_FAULTS = 70
const QUICK_MS = 10_000
const CALM_MS = 15_000
const SIZE_PX = 256
const PICTURES = 4
const SMALL_DISK = '24m'

interface Files { truth: string; answers: string; faults: string; echoes: string }

/** Everything that can go wrong with inference, while pictures are looked at and the bus is in use; the judge reads only logs. */
const inference: Measure = {
  name: 'inference',
  title: 'workers killed, stopped, looping, leaking, lying; models and memory damaged: no wrong answer, the bus unmoved, back in a second',
  flags: [{ flag: 'faults', help: `how many faults in all (default ${COLD_FAULTS + STANDBY_FAULTS})` }, { flag: 'kinds', help: 'only these kinds, by comma' }, { flag: 'keep', help: 'folder in which all logs are kept' }],
  async run(context) {
    const dir = context.flags.keep ?? mkdtempSync(join(tmpdir(), 'mtor-inference-'))
    mkdirSync(dir, { recursive: true })
    const files: Files = { truth: join(dir, 'truth.jsonl'), answers: join(dir, 'answers.jsonl'), faults: join(dir, 'faults.jsonl'), echoes: join(dir, 'echoes.jsonl') }
    try {
      const wanted = Number(context.flags.faults ?? COLD_FAULTS + STANDBY_FAULTS)
      const standby = Math.round(wanted * STANDBY_FAULTS / (COLD_FAULTS + STANDBY_FAULTS))
      await phase(context, join(dir, 'cold'), files, { standby: false, faults: wanted - standby })
      await phase(context, join(dir, 'standby'), files, { standby: true, faults: standby })
      return rowsOf(context, files)
    } finally {
      if (!context.flags.keep) rmSync(dir, { recursive: true, force: true })
      else context.progress(`logs are in ${dir}`)
    }
  },
}
export default inference

/** One daemon with its own copy of the store, faults, and its end. */
async function phase(context: MeasureContext, dir: string, files: Files, options: { standby: boolean; faults: number }): Promise<void> {
  const store = join(dir, 'models'), disk = join(dir, 'small')
  mkdirSync(disk, { recursive: true })
  const { modelsDir } = makeConfig({}).inference
  cpSync(join(modelsDir, DETECTOR), join(store, DETECTOR), { recursive: true })
  cpSync(join(modelsDir, 'copy', DETECTOR), join(store, 'copy', DETECTOR), { recursive: true })
  const { good, modelFile, copyFile } = modelFiles(dir, store)
  const pictures = photographs().slice(0, PICTURES).map(({ file }) => file)
  if (pictures.length === 0) throw new MtorError('NOT_FOUND', 'no photographs are installed', { hint: 'apt-get install python3-skimage opencv-doc' })
  const poisonImage = join(dir, 'poison.jpg')
  copyFileSync(pictures[0]!, poisonImage)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${SMALL_DISK}`, 'none', disk]).status === 0
  const appliance = new Appliance(dir, {
    vision: { camera: `directory:${join(dir, 'pictures')}`, framesDir: join(disk, 'frames') },
    inference: { modelsDir: store, standby: options.standby, idleProofMs: 1_000 },
    speech: { enabled: false }, devices: [],
  }, { env: { MTOR_INFERENCE_FAULTS: '1', MTOR_INFERENCE_POISON: basename(poisonImage) } })
  mkdirSync(join(dir, 'pictures'))
  copyFileSync(pictures[0]!, join(dir, 'pictures', basename(pictures[0]!)))
  const looks = new DetectLoad({ appliance, pictures, sizePx: SIZE_PX, logFile: files.answers, random: context.random })
  let echoes: EchoLoad | undefined
  try {
    context.progress(`starting the appliance, ${options.standby ? 'with' : 'without'} a warm standby`)
    await appliance.start()
    if (!options.standby) for (const picture of pictures) await tellTruth(appliance, picture, files.truth)
    else await detect(appliance, pictures[0]!, SIZE_PX)
    echoes = new EchoLoad({ url: appliance.mqttUrl, realm: 'bench', logFile: files.echoes })
    await echoes.start()
    looks.start()
    const victim: InferenceVictim = { appliance, modelFile, copyFile, goodFile: good, smallDisk: mounted ? disk : undefined, poisonImage, random: context.random, detect: (image) => detect(appliance, image === 'any' ? pictures[0]! : image, SIZE_PX) }
    await backInService(context, victim, options.standby)
    await pause(context, context.quick ? 3_000 : CALM_MS)
    await injectAll(context, victim, files, options)
  } finally {
    await looks.stop()
    await echoes?.stop()
    await appliance.stop()
    if (mounted) spawnSync('umount', [disk])
  }
}

/** The file of the detector in the store, in its second copy, and a good one kept aside. */
function modelFiles(dir: string, store: string): { good: string; modelFile: string; copyFile: string } {
  const list = spawnSync('find', [store, '-name', '*.onnx'], { encoding: 'utf8' }).stdout.trim().split('\n')
  const copyFile = list.find((file) => file.startsWith(join(store, 'copy'))), modelFile = list.find((file) => !file.startsWith(join(store, 'copy')))
  if (!copyFile || !modelFile) throw new MtorError('NOT_FOUND', `${DETECTOR} is not in the model store`, { hint: 'Run: npx mtor models pull --default' })
  const good = join(dir, 'good.onnx')
  copyFileSync(modelFile, good)
  return { good, modelFile, copyFile }
}

/** What a picture holds, asked twice while nothing is broken: both answers must be the same. */
async function tellTruth(appliance: Appliance, picture: string, file: string): Promise<void> {
  const [first, second] = [await detect(appliance, picture, SIZE_PX), await detect(appliance, picture, SIZE_PX)]
  if (JSON.stringify(first.output) !== JSON.stringify(second.output)) throw new MtorError('INTERNAL', `${picture}: two looks without a fault differ`)
  appendFileSync(file, `${JSON.stringify({ picture: basename(picture), detections: first.output.detections })}\n`)
}

const pause = (context: MeasureContext, ms: number) => new Promise<void>((done) => { const timer = setTimeout(done, ms); context.signal.addEventListener('abort', () => { clearTimeout(timer); done() }, { once: true }) })

async function injectAll(context: MeasureContext, victim: InferenceVictim, files: Files, options: { standby: boolean; faults: number }): Promise<void> {
  const kinds = context.flags.kinds?.split(',')
  const faults = INFERENCE_FAULTS.filter((f) => !kinds || kinds.includes(f.kind))
  if (faults.length === 0) throw new MtorError('USAGE', `--kinds: there are ${INFERENCE_FAULTS.map((f) => f.kind).join(', ')}`)
  const total = faults.reduce((sum, f) => sum + f.weight, 0)
  const until = context.quick ? performance.now() + QUICK_MS : Infinity
  for (let done = 0, misses = 0; done < options.faults && performance.now() < until;) {
    context.signal.throwIfAborted()
    let pick = context.random() * total
    // Each kind once, then by weight.
    const fault = faults[done] ?? faults.find((f) => (pick -= f.weight) < 0) ?? faults[0]!
    const at = clock.monoMs()
    const what = await fault.inject(victim)
    if (!what) { if (++misses > 20) throw new MtorError('INTERNAL', `${fault.kind} could not be injected 20 times`); await pause(context, 300); continue }
    appendFileSync(files.faults, `${JSON.stringify({ at, ended: clock.monoMs(), kind: fault.kind, outage: fault.outage, standby: options.standby, ...what })}\n`)
    done += 1
    if (done % 10 === 0) context.progress(`${done} of ${options.faults} faults`)
    await backInService(context, victim, options.standby)
    await pause(context, 500 + context.random() * 1_500)
  }
}

/** Until the daemon answers again, and its standby is proven: the next fault must find what it is to break. */
async function backInService(context: MeasureContext, victim: InferenceVictim, standby: boolean): Promise<void> {
  const until = performance.now() + 30_000
  while (performance.now() < until && !context.signal.aborted) {
    const answers = await victim.detect('any').then(() => true, () => false)
    const { workers } = await victim.appliance.control.call('GET', '/inference').catch(() => ({ workers: [] })) as InferenceStatus
    if (answers && (!standby || workers.some((w) => w.group === 'vision' && w.state === 'standby' && w.provenAgeMs !== undefined))) return
    await pause(context, 50)
  }
}

function rowsOf(context: MeasureContext, files: Files): Row[] {
  const verdict = judgeInference(files)
  for (const item of [...verdict.wrong, ...verdict.unrecovered].slice(0, 8)) context.progress(item)
  const recovery = (standby: boolean, part: number) => { const list = verdict.recoveries.filter((r) => r.standby === standby && r.outage).map((r) => r.ms); return list.length === 0 ? null : quantile(list, part) }
  const row = (metric: string, value: number | null, goalMs: number): Row => ({ metric, value: value === null ? null : Math.round(value * 10) / 10, unit: 'ms', goal: `<= ${goalMs}`, holds: value !== null && value <= goalMs })
  const counts: Record<string, number> = {}
  for (const { kind } of verdict.recoveries) counts[kind] = (counts[kind] ?? 0) + 1
  const all = verdict.recoveries.length + verdict.unrecovered.length
  const calm = quantile(verdict.calmMs, 0.99) ?? NaN, broken = quantile(verdict.faultMs, 0.99) ?? NaN
  return [
    { metric: 'faults injected', value: all, unit: Object.entries(counts).map(([kind, n]) => `${n} ${kind}`).join(', '), ...(context.quick ? {} : { goal: '>= 200', holds: all >= 200 }) },
    { metric: 'looks answered', value: verdict.right, unit: `${verdict.answers} asked; ${Object.entries(verdict.codes).map(([code, n]) => `${n} ${code}`).join(', ') || 'no refusals'}` },
    { metric: 'wrong answers delivered as right', value: verdict.wrong.length, unit: '', goal: '= 0', holds: verdict.wrong.length === 0 },
    { metric: 'faults after which service did not return', value: verdict.unrecovered.length, unit: '', goal: '= 0', holds: verdict.unrecovered.length === 0 },
    row('cold: fault → right answer, p50', recovery(false, 0.5), 1_000),
    row('cold: fault → right answer, p95', recovery(false, 0.95), 2_000),
    row('warm standby: fault → right answer, p50', recovery(true, 0.5), 150),
    row('warm standby: fault → right answer, p95', recovery(true, 0.95), 150),
    { metric: 'bus round trip p99, calm', value: calm, unit: 'ms' },
    { metric: 'bus round trip p99, within 2 s of a fault', value: broken, unit: 'ms', goal: `<= ${(2 * calm).toFixed(2)}`, holds: broken <= 2 * calm },
    ...Object.keys(counts).sort().map((kind): Row => {
      const of = (standby: boolean) => verdict.recoveries.filter((r) => r.kind === kind && r.standby === standby).map((r) => r.ms)
      const text = (list: number[]) => list.length === 0 ? '–' : `${quantile(list, 0.5)!.toFixed(0)} / ${Math.max(...list).toFixed(0)}`
      return { metric: `${kind}: p50 / worst`, value: text(of(false)), unit: `ms; with standby ${text(of(true))}` }
    }),
  ]
}
