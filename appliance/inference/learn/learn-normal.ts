import type { InferenceSession } from 'onnxruntime-node'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MtorError } from '../../contracts/errors.ts'
import { mulberry32 } from '../../contracts/random.ts'
import { openBackend } from './backend.ts'
import { DepartureRule, PERSISTENCE } from './departure.ts'
import { openHead } from './keyword-task.ts'
import type { Draft, FromLearner, LearnedNormal, NormalMeasure, NormalOptions } from './messages.ts'
import { normalToOnnx, trainNormal } from './normal-net.ts'
import { judge, type NormalityOptions } from './normality-task.ts'
import { NORMAL_MODEL } from './names.ts'
import { quantile, statistics, toTable, type Table } from './readings.ts'

type Ort = typeof import('onnxruntime-node')

const GRAPH = 'autoencoder.onnx'
const MIN_ROWS = 200
/** Stretches of time that go to one set as a whole, so that neighbours, which are alike, are not in two sets. */
const STRETCHES = 25
const HELD_OUT = 0.995
const MARGIN = 1.4
/** Departures that are tried: so far out, for so long. */
const DEPARTURE_STD = 6
const DEPARTURE_READINGS = 5
const DEPARTURES_EACH = 20

/**
 * Learns what is normal of telemetry: an autoencoder, its threshold from readings it was not trained on, measured on others
 * again. Writes the files of the model to `folder`. Only for the learning process.
 * @throws MtorError LEARN_FAILED with the figures where there is too little to learn from, or it is worse than the limits
 */
export async function learnNormal(options: NormalOptions, folder: string, progress: (message: Extract<FromLearner, { kind: 'progress' }>) => void): Promise<LearnedNormal> {
  const startedMs = performance.now()
  const { limits } = options
  const table = toTable(options.readings)
  if (table.rows.length < MIN_ROWS || table.names.length < 2) {
    const why = table.names.length < 2 ? `only ${table.names.length === 0 ? 'nothing' : table.names[0]} changes in them` : `only ${table.rows.length} are complete`
    throw new MtorError('LEARN_FAILED', `${options.readings.length} readings: ${why}; at least ${MIN_ROWS} readings of 2 values are needed`, { hint: 'Let the appliance run for longer (it records every ten seconds: 40 minutes at least), then try again.', data: { readings: options.readings.length, dropped: table.dropped } })
  }
  const { tf, backend, tried } = await openBackend()
  progress({ kind: 'progress', stage: 'backend', message: `learning with tfjs ${backend}` })
  const sets = divide(table)
  const { mean, std } = statistics(sets.train)
  const standard = (rows: readonly Float32Array[]) => rows.map((row) => row.map((value, i) => (value - mean[i]!) / std[i]!))
  progress({ kind: 'progress', stage: 'readings', message: `${table.rows.length} readings of ${table.names.join(', ')}` })
  const trained = await trainNormal(tf, standard(sets.train), standard(sets.validate), {
    epochs: options.epochs, seed: options.seed,
    onEpoch: ({ epoch, loss, validationLoss }) => { if (epoch % 10 === 0) progress({ kind: 'progress', stage: 'training', message: `epoch ${epoch}: loss ${loss.toFixed(4)}, held out ${validationLoss.toFixed(4)}`, epoch, epochs: options.epochs, loss, validationLoss }) },
  })
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, GRAPH), normalToOnnx({ names: table.names, mean, std, kernels: trained.kernels, biases: trained.biases }, NORMAL_MODEL))
  const ort = await import('onnxruntime-node')
  const session = await openHead(ort, join(folder, GRAPH), 1)
  const ranges = table.names.map((_, i) => { const column = [...sets.train, ...sets.validate].map((row) => row[i]!); return [quantile(column, 0.005), quantile(column, 0.995)] as [number, number] })
  const settings: NormalityOptions = { names: table.names, mean: [...mean], std: [...std], threshold: 0, ranges, graph: GRAPH }
  let measured: NormalMeasure, known: Draft['knownAnswers']
  try {
    const lasting: number[] = []
    for (const stretch of sets.heldOut) lasting.push(...lowestOf(await errorsOf(ort, session, settings, stretch)))
    settings.threshold = MARGIN * quantile(lasting, HELD_OUT)
    measured = await measure(ort, session, settings, table, sets, options.seed)
    const far = [...sets.validate[0]!].map((value, i) => i === 0 ? value + DEPARTURE_STD * std[0]! : value)
    known = []
    for (const values of [[...sets.validate[0]!], far]) known.push({ input: { values }, output: { ...await judge(ort, session, settings, values) } })
  } finally { await session.release() }
  if (measured.falseAlarmsPerHour > limits.falseAlarmsPerHour || measured.detectedPercent < limits.detectedPercent) {
    throw new MtorError('LEARN_FAILED', `false alarms ${measured.falseAlarmsPerHour.toFixed(1)} an hour (limit ${limits.falseAlarmsPerHour}), departures noticed ${measured.detectedPercent.toFixed(0)} % (at least ${limits.detectedPercent} %); nothing was changed`, { hint: 'Record for longer, over all that is normal for it.', data: { ...measured } })
  }
  const draft: Draft = {
    name: NORMAL_MODEL, version: new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '.'), title: 'What is normal of this node', task: 'normality',
    licence: { spdx: 'GPL-3.0-or-later', note: 'Trained on this box' }, source: { kind: 'learned', by: 'mtor learn normal' }, files: [{ path: GRAPH }],
    signature: { inputs: [{ name: 'values', type: 'float32', shape: ['n', table.names.length] }], outputs: [{ name: 'squares', type: 'float32', shape: ['n', table.names.length] }] },
    memoryMB: 50, timeoutMs: 2_000, prove: 'each', knownAnswers: known, options: { ...settings }, measured: { ...measured, backend, epochs: trained.epochs, dropped: table.dropped, limits },
  }
  return { draft, measured, backend, tried, dropped: table.dropped, names: table.names, epochs: trained.epochs, loss: trained.loss, seconds: (performance.now() - startedMs) / 1000 }
}

interface Sets { train: Float32Array[]; validate: Float32Array[]; /** The same as validate, by stretch. */ heldOut: Float32Array[][]; /** In stretches of readings that followed each other. */ test: { values: Float32Array; atMs: number }[][] }

/** Of each five stretches of time three train, one gives the threshold, one is measured on. */
function divide({ rows }: Table): Sets {
  const sets: Sets = { train: [], validate: [], heldOut: [], test: [] }
  for (let stretch = 0; stretch < STRETCHES; stretch++) {
    const part = rows.slice(Math.floor(stretch * rows.length / STRETCHES), Math.floor((stretch + 1) * rows.length / STRETCHES))
    if (stretch % 5 === 2) {
      sets.heldOut.push(part.map(({ values }) => values))
      sets.validate.push(...sets.heldOut.at(-1)!)
    } else if (stretch % 5 === 4) sets.test.push(part)
    else sets.train.push(...part.map(({ values }) => values))
  }
  return sets
}

async function errorsOf(ort: Ort, session: InferenceSession, settings: NormalityOptions, rows: readonly (Float32Array | readonly number[])[]): Promise<number[]> {
  const errors: number[] = []
  for (const row of rows) errors.push((await judge(ort, session, settings, [...row])).error)
  return errors
}

/** Only what lasts is told, so only that sets the threshold: the smallest error of each three readings in a row. */
const lowestOf = (errors: readonly number[]) => errors.slice(PERSISTENCE - 1).map((_, i) => Math.min(...errors.slice(i, i + PERSISTENCE)))

const alarms = (errors: readonly number[], threshold: number) => { const rule = new DepartureRule(threshold); return errors.filter((error) => rule.push(error) === 'departed').length }

async function measure(ort: Ort, session: InferenceSession, settings: NormalityOptions, table: Table, { test }: Sets, seed: number): Promise<NormalMeasure> {
  const random = mulberry32(seed)
  const { threshold, std, names } = settings
  let falseAlarms = 0, heldOutMs = 0
  for (const stretch of test) {
    falseAlarms += alarms(await errorsOf(ort, session, settings, stretch.map(({ values }) => values)), threshold)
    heldOutMs += Math.max(0, (stretch.at(-1)?.atMs ?? 0) - (stretch[0]?.atMs ?? 0))
  }
  const long = test.filter((stretch) => stretch.length >= DEPARTURE_READINGS)
  const departures: NormalMeasure['departures'] = []
  for (const [column, name] of names.entries()) {
    let noticed = 0
    for (let i = 0; i < DEPARTURES_EACH; i++) {
      const stretch = long[Math.floor(random() * long.length)]!
      const from = Math.floor(random() * (stretch.length - DEPARTURE_READINGS + 1))
      const by = (random() < 0.5 ? -1 : 1) * DEPARTURE_STD * std[column]!
      const changed = stretch.slice(from, from + DEPARTURE_READINGS).map(({ values }) => values.with(column, values[column]! + by))
      if (alarms(await errorsOf(ort, session, settings, changed), threshold) > 0) noticed++
    }
    departures.push({ name, tried: DEPARTURES_EACH, noticed })
  }
  const heldOutHours = heldOutMs / 3_600_000
  const tried = departures.reduce((sum, d) => sum + d.tried, 0), noticed = departures.reduce((sum, d) => sum + d.noticed, 0)
  return { readings: table.rows.length, heldOutHours, falseAlarms, falseAlarmsPerHour: heldOutHours === 0 ? (falseAlarms > 0 ? Infinity : 0) : falseAlarms / heldOutHours, detectedPercent: 100 * noticed / tried, departures, threshold, persistence: PERSISTENCE }
}
