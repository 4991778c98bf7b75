import { appendFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock as clock } from '../../appliance/contracts/clock.ts'
import { MtorError } from '../../appliance/contracts/errors.ts'
import { stopAllLines } from '../../appliance/guard/last-resort.ts'
import { requestStop } from '../../appliance/guard/stop-socket.ts'
import { quantile } from '../../bench/table.ts'
import type { Measure, MeasureContext, Row } from '../../bench/harness.ts'
import { SimulatorProcess } from '../../drivers/rover/simulator/host.ts'
import { judgeStops } from '../checkers/exactly-once.ts'
import { judgeFlows } from '../checkers/flows.ts'
import { FLOWS_FAULTS } from '../faults/flows/index.ts'
import { deploy, flowsStatus, type FlowsVictim } from '../faults/flows/port.ts'
import { Appliance } from '../resources/appliance.ts'
import { GOOD_FLOW as GOOD } from '../resources/good-flow.ts'
import { synthetic } from '../resources/sounds.ts'

const FULL_FAULTS = 36, QUICK_MS = 15_000
const QUICK_KINDS = ['kill-during-deploy', 'throwing-node', 'kill']
const STOP_LIMIT_MS = 200
/** What the box promises from the end of speech to the controller; here to the journal, which lies before it. */
const VOICE_P50_MS = 400
/** Longest time that a core killed on purpose, with its models, may be excused. */
const CORE_DOWN_MS = 12_000
const BACK_MS = 120_000
const GOOD_AFTER_MS = 4_000

interface Files { faults: string; played: string; probes: string; controller: string }

/** Flows that loop, hog, throw and are damaged, while somebody speaks and stops; the judge reads only logs. */
const flows: Measure = {
  name: 'flows',
  title: 'flows that loop, hog memory, throw, are killed or damaged: voice and stop within their limits, the last good flows come back',
  flags: [{ flag: 'faults', help: `how many faults (default ${FULL_FAULTS})` }, { flag: 'kinds', help: 'only these kinds, by comma' }, { flag: 'keep', help: 'folder in which all logs are kept' }],
  async run(context) {
    const dir = context.flags.keep ?? mkdtempSync(join(tmpdir(), 'mtor-flows-'))
    mkdirSync(dir, { recursive: true })
    const files: Files = { faults: join(dir, 'faults.jsonl'), played: join(dir, 'played.jsonl'), probes: join(dir, 'stops.jsonl'), controller: join(dir, 'controller.jsonl') }
    const controller = new SimulatorProcess({ link: join(dir, 'rover.tty'), logFile: files.controller, seed: context.seed })
    const { port } = await controller.start()
    const appliance = new Appliance(dir, {
      devices: [{ id: 'rover', driver: 'rover', port }], log: { level: 'debug' }, speech: { device: 'none', speak: { device: 'none' } },
      flows: { port: 0, goodAfterMs: GOOD_AFTER_MS, probePeriodMs: 1_000, probeTimeoutMs: 3_000 },
    })
    const over = new AbortController()
    let load: Promise<unknown> | undefined
    try {
      context.progress('starting the appliance and its flows')
      await appliance.start()
      await appliance.hearing()
      const victim: FlowsVictim = { appliance, good: GOOD, random: context.random }
      await running(victim, 60_000)
      await deployGood(victim)
      load = Promise.all([speak(appliance, await synthetic(dir, 'computer. what time is it'), files.played, over.signal), stops(appliance, files.probes, over.signal)])
      const memoryMB = await injectAll(context, victim, files)
      over.abort()
      await load
      await appliance.stop()
      await controller.stop()
      return rowsOf(context, files, appliance, memoryMB)
    } finally {
      over.abort()
      await load?.catch(() => {})
      await appliance.stop()
      await controller.stop()
      if (!context.flags.keep) rmSync(dir, { recursive: true, force: true })
      else context.progress(`logs are in ${dir}`)
    }
  },
}
export default flows

const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms))

async function running(victim: FlowsVictim, withinMs: number): Promise<void> {
  const until = performance.now() + withinMs
  while ((await flowsStatus(victim))?.state !== 'running') {
    if (performance.now() > until) throw new MtorError('FLOWS_DOWN', `flows do not run after ${withinMs} ms: ${JSON.stringify(await flowsStatus(victim))}`)
    await pause(100)
  }
}

/** True when the good flow carried out an intent. */
async function isServed({ appliance }: FlowsVictim): Promise<boolean> {
  try {
    for await (const turn of appliance.control.lines('POST', '/intents', { type: 'samples.count' }, AbortSignal.timeout(3_000))) {
      const { event } = turn as { event?: { state?: string; data?: { samples?: number } } }
      if (event?.state === 'succeeded') return event.data?.samples === 3
    }
  } catch { /* The daemon is down, or does not know the type. */ }
  return false
}

/** Puts the good flows in force and waits until they count as good. */
async function deployGood(victim: FlowsVictim): Promise<void> {
  const until = performance.now() + BACK_MS
  while (performance.now() < until) {
    const status = await flowsStatus(victim)
    if (status?.state === 'running' && await deploy(victim, GOOD) === 204) break
    await pause(500)
  }
  while (performance.now() < until) {
    if ((await flowsStatus(victim))?.deploy?.good === true && await isServed(victim)) return
    await pause(200)
  }
  throw new MtorError('FLOWS_DOWN', 'the good flows could not be deployed')
}

/** Somebody asks for the time, again and again. */
async function speak(appliance: Appliance, file: string, log: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const from = clock.monoMs()
    let failed = false
    try { for await (const _ of appliance.control.lines('POST', '/listen', { file }, signal)) { /* Until it is answered. */ } } catch { failed = true }
    if (signal.aborted) return
    appendFileSync(log, `${JSON.stringify({ from, to: clock.monoMs(), failed })}\n`)
    await pause(failed ? 500 : 200)
  }
}

async function stops(appliance: Appliance, log: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const at = clock.monoMs()
    const answer = await requestStop({ socketPath: appliance.stopSocket, reason: 'campaign', lastResort: () => stopAllLines(appliance.runFile) })
    appendFileSync(log, `${JSON.stringify({ at, by: answer?.by ?? 'nobody', ms: answer?.ms })}\n`)
    await pause(700)
  }
}

async function injectAll(context: MeasureContext, victim: FlowsVictim, files: Files): Promise<number> {
  const wanted = Number(context.flags.faults ?? FULL_FAULTS)
  const asked = context.flags.kinds?.split(',')
  // Three crashes in a row and the pauses between them take longer than a quick run has.
  const faults = FLOWS_FAULTS.filter(({ kind }) => asked ? asked.includes(kind) : !context.quick || QUICK_KINDS.includes(kind))
  if (faults.length === 0) throw new MtorError('USAGE', `--kinds: there are ${FLOWS_FAULTS.map(({ kind }) => kind).join(', ')}`)
  const until = context.quick ? performance.now() + QUICK_MS : Infinity
  const total = faults.reduce((sum, { weight }) => sum + weight, 0)
  let memoryMB = 0
  for (let done = 0; done < wanted && performance.now() < until;) {
    context.signal.throwIfAborted()
    await pause(500 + context.random() * 1_000)
    memoryMB = Math.max(memoryMB, (await flowsStatus(victim))?.rssMB ?? 0)
    // Each kind once at first, then by weight.
    let pick = context.random() * total
    const fault = faults[done] ?? faults.find(({ weight }) => (pick -= weight) < 0) ?? faults[0]!
    const at = clock.monoMs()
    const what = await fault.inject(victim)
    if (!what) { await pause(500); continue }
    const recoveredMs = await backAfter(victim, fault.then, at)
    appendFileSync(files.faults, `${JSON.stringify({ at, kind: fault.kind, then: fault.then, ...(fault.core ? { core: true } : {}), ...what, recoveredMs })}\n`)
    done += 1
    context.progress(`${done}${context.quick ? '' : ` of ${wanted}`}: ${fault.kind}, ${recoveredMs === null ? 'NOT BACK' : `back after ${(recoveredMs / 1000).toFixed(1)} s`}`)
    // What a fault left deployed is put right for the next one.
    if (performance.now() < until) await deployGood(victim)
  }
  return memoryMB
}

/** Ms until the good flow serves again, and goes on serving; null where it does not. */
async function backAfter(victim: FlowsVictim, then: 'back' | 'stay', at: number): Promise<number | null> {
  // A bad flow lets the good part of it serve until it has done its harm.
  await pause(then === 'stay' ? 1_000 : 1_500)
  const until = performance.now() + BACK_MS
  while (performance.now() < until) {
    const servedAt = clock.monoMs()
    const before = await flowsStatus(victim)
    if (await isServed(victim)) {
      await pause(4_000)
      const after = await flowsStatus(victim)
      if (await isServed(victim) && before?.pid === after?.pid && after?.state === 'running') return servedAt - at
    } else await pause(200)
  }
  return null
}

function rowsOf(context: MeasureContext, files: Files, appliance: Appliance, memoryMB: number): Row[] {
  const verdict = judgeFlows({ faults: files.faults, played: files.played, core: [`${appliance.factLog}.1`, appliance.factLog].filter((file) => existsSync(file)) }, CORE_DOWN_MS)
  const stopped = judgeStops({ probes: files.probes, controller: files.controller, faults: files.faults }, STOP_LIMIT_MS)
  for (const item of [...verdict.notBack, ...stopped.missed.slice(0, 5)]) context.progress(item)
  const recoveries = Object.values(verdict.recoveries).flat()
  const p50 = quantile(verdict.voiceMs, 0.5), slowest = stopped.latenciesMs.length > 0 ? Math.max(...stopped.latenciesMs) : null
  const heard = verdict.voiceMs.length, audible = heard + verdict.unheard
  return [
    { metric: 'faults injected', value: verdict.faults, unit: Object.entries(verdict.kinds).map(([kind, n]) => `${n} ${kind}`).join(', ') },
    { metric: 'good flows not back', value: verdict.notBack.length, unit: '', goal: '= 0', holds: verdict.notBack.length === 0 },
    { metric: 'good flows back, p50', value: quantile(recoveries, 0.5), unit: 'ms' },
    { metric: 'good flows back, slowest', value: recoveries.length > 0 ? Math.max(...recoveries) : null, unit: 'ms' },
    ...Object.entries(verdict.recoveries).map(([kind, values]): Row => ({ metric: `  after ${kind}, slowest`, value: Math.max(...values), unit: 'ms' })),
    { metric: 'spoken requests', value: verdict.played, unit: `${verdict.excused} more or less while the core was killed on purpose` },
    { metric: 'understood and accepted', value: heard, unit: `of ${audible}`, goal: `>= ${Math.ceil(audible * 0.95)}`, holds: audible > 0 && heard >= Math.ceil(audible * 0.95) },
    { metric: 'end of speech → accepted p50', value: p50, unit: 'ms', goal: `<= ${VOICE_P50_MS}`, holds: p50 !== null && p50 <= VOICE_P50_MS },
    { metric: 'end of speech → accepted p95', value: quantile(verdict.voiceMs, 0.95), unit: 'ms' },
    { metric: 'stops probed', value: stopped.latenciesMs.length, unit: '' },
    { metric: 'stop latency p50', value: quantile(stopped.latenciesMs, 0.5), unit: 'ms' },
    { metric: 'stop latency worst', value: slowest !== null && Number.isFinite(slowest) ? slowest : null, unit: 'ms', goal: `<= ${STOP_LIMIT_MS}`, holds: slowest !== null && slowest <= STOP_LIMIT_MS },
    { metric: 'Node-RED, largest seen between faults', value: memoryMB, unit: 'MB' },
  ]
}
