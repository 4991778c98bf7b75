import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { ManualClock, systemClock } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import type { SystemEventInput } from '../../contracts/events.ts'
import { mulberry32 } from '../../contracts/random.ts'
import type { Manifest } from '../manifest.ts'
import type { Inference } from '../port.ts'
import { ModelStore } from '../store/index.ts'
import { learnNormalInto } from './learner.ts'
import { NormalityWatch, spoken } from './normality-watch.ts'
import { toTable, type Reading } from './readings.ts'
import { readTelemetry, TelemetryRecorder } from './telemetry-log.ts'
import { workerInference } from './testing.ts'

async function temporary(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mtor-learn-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A box at work: the load warms it and pulls the battery down; noise on everything. */
function telemetry(count: number, seed = 1): Reading[] {
  const random = mulberry32(seed)
  const noise = () => random() + random() + random() - 1.5
  return Array.from({ length: count }, (_, i) => {
    const work = 0.5 + 0.4 * Math.sin(i / 17) + 0.1 * noise()
    return { atMs: 2_000 * i, values: { load1: work, temperatureC: 35 + 20 * work + 0.6 * noise(), batteryV: 12.4 - 0.8 * work + 0.03 * noise(), rssMB: 120 + 4 * noise(), doorsOpen: 0, intents: i, ...i % 3 === 0 ? { speedMps: random() } : {}, ...i === 40 ? { load1: NaN } : {} } }
  })
}

test('what is missing, never changes or only grows is left out, with the reason; nothing is filled in', (t) => {
  const { names, dropped, rows, incomplete } = toTable(telemetry(300))
  t.deepEqual(names, ['batteryV', 'load1', 'rssMB', 'temperatureC'])
  t.deepEqual(Object.fromEntries(dropped.map(({ name, reason }) => [name, reason])), { doorsOpen: 'never changes', intents: 'only grows: a counter', speedMps: 'is in 33 % of the readings only' })
  t.is(incomplete, 1)
  t.is(rows.length, 299)
})

test('too little to learn from is refused with what was there, and the store stays empty', async (t) => {
  const folder = await temporary(t)
  const store = storeIn(folder)
  const error = await t.throwsAsync(learnNormalInto({ readings: telemetry(50), epochs: 5, seed: 1, limits: { falseAlarmsPerHour: 2, detectedPercent: 50 } }, { store, onProgress: () => {} }), { code: 'LEARN_FAILED' })
  t.regex(error!.message, /only 49 are complete/)
  t.false(store.list().some(({ name }) => name === 'telemetry-normal'))
})

const storeIn = (folder: string) => new ModelStore({ modelsDir: join(folder, 'models'), clock: systemClock, scrubPeriodMs: Infinity, onEvent: () => {} })

test('what is normal is learned into the store, and a real worker tells a departure with the reading that departs', async (t) => {
  const folder = await temporary(t)
  const store = storeIn(folder)
  const { manifest, result } = await learnNormalInto({ readings: telemetry(900), epochs: 60, seed: 1, limits: { falseAlarmsPerHour: 6, detectedPercent: 60 } }, { store, onProgress: () => {} })
  t.is(manifest.task, 'normality')
  t.deepEqual(result.names, ['batteryV', 'load1', 'rssMB', 'temperatureC'])
  t.true(result.measured.detectedPercent >= 60)
  const inference = await workerInference(t, await store.trusted(manifest.name))
  const events: SystemEventInput[] = []
  const clock = new ManualClock()
  const watch = new NormalityWatch({ inference, library: store, clock, onEvent: (event) => { events.push(event) } })
  watch.start()
  const feed = async (readings: Reading[]) => { for (const { values } of readings) { watch.push(values as Record<string, number>); await watch.settled() } }
  const fresh = telemetry(60, 9)
  await feed(fresh.slice(0, 30))
  t.deepEqual(events, [])
  // Warm without work: each value is usual, both together are not.
  const odd = fresh.slice(0, 6).map(({ atMs, values }) => ({ atMs, values: { ...values, load1: 0.1, batteryV: 12.32, temperatureC: 53 } }))
  await feed(odd.slice(0, 2))
  t.deepEqual(events, [], 'two readings are not enough')
  await feed(odd.slice(2))
  t.is(events.length, 1)
  t.like(events[0], { severity: 'warning', component: 'telemetry', name: 'telemetry.abnormal' })
  const data = events[0]!.data as { reading: string; value: number; usual: number[] }
  t.true(['temperatureC', 'load1', 'batteryV'].includes(data.reading), data.reading)
  t.regex(events[0]!.message!, /usually [\d.]+ to [\d.]+/)
  await feed(fresh.slice(30, 40))
  t.is(events.length, 2)
  t.like(events[1], { severity: 'info', name: 'telemetry.normal' })
  const { judged } = watch
  watch.push({ load1: 0.5 })
  await watch.stop()
  t.is(watch.judged, judged, 'a reading that lacks values is not judged')
  t.is(watch.skipped, 1)
})

test('a watch without a model does nothing, and one whose model fails says so once', async (t) => {
  const events: SystemEventInput[] = []
  const clock = new ManualClock()
  let manifests: Manifest[] = []
  const inference: Pick<Inference, 'run'> = { run: () => Promise.reject(new MtorError('MODEL_UNAVAILABLE', 'away')) }
  const watch = new NormalityWatch({ inference, library: { list: () => manifests }, clock, onEvent: (event) => { events.push(event) } })
  watch.start()
  watch.push({ a: 1 })
  t.deepEqual([events.length, watch.skipped], [0, 0])
  manifests = [{ name: 'telemetry-normal', version: '1', options: { names: ['a'], mean: [0], std: [1], threshold: 1, ranges: [[0, 1]], graph: 'x' } } as unknown as Manifest]
  await clock.advance(40_000)
  for (let i = 0; i < 3; i++) { watch.push({ a: 1 }); await watch.settled() }
  t.deepEqual(events.map(({ name, code }) => [name, code]), [['telemetry.unjudged', 'MODEL_UNAVAILABLE']])
  await watch.stop()
})

test('the recorder writes what came within a period, keeps a bounded ring, and what it wrote can be read', async (t) => {
  const file = join(await temporary(t), 'telemetry.jsonl')
  const clock = new ManualClock()
  const recorder = new TelemetryRecorder({ file, clock, periodMs: 1_000, halfBytes: 2_000 })
  recorder.start()
  for (let i = 0; i < 200; i++) {
    recorder.push({ load1: -1 })
    recorder.push({ load1: i, coreRssBytes: 5, broken: NaN, missing: undefined })
    await clock.advance(1_000)
    await recorder.settled()
  }
  await clock.advance(5_000)
  await recorder.stop()
  await recorder.stop()
  const [a, b] = await Promise.all([stat(file), stat(`${file}.1`)])
  t.true(a.size <= 2_000 && b.size <= 2_000, `${a.size} and ${b.size} bytes`)
  const readings = await readTelemetry(file)
  t.deepEqual(readings.at(-1)!.values, { load1: 199, coreRssBytes: 5 })
  t.deepEqual(readings.map(({ values }) => values['load1']!), Array.from({ length: readings.length }, (_, i) => 200 - readings.length + i), 'in order, none twice, and none of a period in which nothing was pushed')
  t.is((await readTelemetry(file, 10_000)).length, 10)
})

test('a line that a loss of power cut off is passed over; another kind of file is not taken for telemetry', async (t) => {
  const folder = await temporary(t)
  const file = join(folder, 'telemetry.jsonl')
  await writeFile(file, '{"atMs":1,"values":{"a":1}}\n{"atMs":2,"values":{"a":2}}\n{"atMs":3,"val')
  t.is((await readTelemetry(file)).length, 2)
  await writeFile(file, await readFile(new URL(import.meta.url)))
  await t.throwsAsync(readTelemetry(file), { code: 'MALFORMED' })
  await t.throwsAsync(readTelemetry(join(folder, 'none')), { code: 'NOT_FOUND' })
})

test('names of readings are spoken as words', (t) => {
  t.deepEqual(['rover.batteryV', 'temperatureC', 'eventLoopP99Ms', 'load1'].map(spoken), ['rover battery voltage', 'temperature', 'event loop p99', 'load1'])
})
