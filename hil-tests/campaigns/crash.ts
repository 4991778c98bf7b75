import { appendFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock as clock } from '../../appliance/contracts/clock.ts'
import { stopAllLines } from '../../appliance/guard/last-resort.ts'
import { requestStop } from '../../appliance/guard/stop-socket.ts'
import { quantile } from '../../bench/table.ts'
import type { Measure, MeasureContext, Row } from '../../bench/harness.ts'
import { SimulatorProcess } from '../../drivers/rover/simulator/host.ts'
import { judgeExactlyOnce, judgeStops } from '../checkers/exactly-once.ts'
import { killController } from '../faults/kill-controller.ts'
import { killCore } from '../faults/kill-core.ts'
import { killSpeech } from '../faults/kill-speech.ts'
import type { Fault } from '../faults/port.ts'
import { Appliance } from '../resources/appliance.ts'
import { IntentLoad } from '../resources/load.ts'

const FAULTS: readonly Fault[] = [killCore, killSpeech, killController]
const STOP_LIMIT_MS = 200
const FULL_FAULTS = 110, QUICK_MS = 30_000

/** kill −9 of core, speech process and controller under load; the judge reads only logs. */
const crash: Measure = {
  name: 'crash',
  title: 'kill −9 of core, speech and controller under load: nothing lost, nothing done twice, stop within 200 ms',
  flags: [{ flag: 'faults', help: `how many faults (default ${FULL_FAULTS})` }, { flag: 'keep', help: 'folder in which all logs are kept' }],
  async run(context) {
    const dir = context.flags.keep ?? mkdtempSync(join(tmpdir(), 'mtor-crash-'))
    const files = { client: join(dir, 'client.jsonl'), controller: join(dir, 'controller.jsonl'), probes: join(dir, 'stops.jsonl'), faults: join(dir, 'faults.jsonl') }
    const controller = new SimulatorProcess({ link: join(dir, 'rover.tty'), logFile: files.controller, stateFile: join(dir, 'rover-flash.json'), seed: context.seed })
    const { port } = await controller.start()
    const appliance = new Appliance(dir, { devices: [{ id: 'rover', driver: 'rover', port }], speech: { device: 'none', speak: { device: 'none' } }, journal: { maxFinished: 1_000_000 } })
    let load: IntentLoad | undefined
    try {
      context.progress('starting the appliance')
      await appliance.start()
      await appliance.hearing()
      load = new IntentLoad({ url: appliance.mqttUrl, logFile: files.client, random: context.random, perSecond: 10, realm: 'bench' })
      await load.start()
      const counts = await injectAll(context, { appliance, controller }, files)
      context.progress('waiting for what is under way')
      const drained = await load.drain(60_000)
      await settled(appliance, 120_000)
      await load.stop()
      await appliance.stop()
      await controller.stop()
      return rowsOf(context, { files, appliance, counts, drained })
    } finally {
      await load?.stop()
      await appliance.stop()
      await controller.stop()
      if (!context.flags.keep) rmSync(dir, { recursive: true, force: true })
      else context.progress(`logs are in ${dir}`)
    }
  },
}
export default crash

async function injectAll(context: MeasureContext, victims: { appliance: Appliance; controller: SimulatorProcess }, files: { probes: string; faults: string }): Promise<Record<string, number>> {
  const wanted = Number(context.flags.faults ?? FULL_FAULTS)
  const counts: Record<string, number> = {}
  const until = context.quick ? performance.now() + QUICK_MS : Infinity
  const pause = (ms: number) => new Promise<void>((done) => { const timer = setTimeout(done, ms); context.signal.addEventListener('abort', () => { clearTimeout(timer); done() }, { once: true }) })
  const total = FAULTS.reduce((sum, f) => sum + f.weight, 0)
  for (let done = 0; done < wanted && performance.now() < until;) {
    context.signal.throwIfAborted()
    await pause(300 + context.random() * 1_500)
    let pick = context.random() * total
    const fault = FAULTS.find((f) => (pick -= f.weight) < 0) ?? FAULTS[0]!
    const at = clock.monoMs()
    const what = await fault.inject(victims)
    if (!what) continue
    appendFileSync(files.faults, `${JSON.stringify({ at, kind: fault.kind, ...what })}\n`)
    counts[fault.kind] = (counts[fault.kind] ?? 0) + 1
    done += 1
    // A stop at a random moment after the fault: while the victim is dead, coming up, or back.
    await pause(context.random() * 1_000)
    const asked = clock.monoMs()
    const answer = await requestStop({ socketPath: victims.appliance.stopSocket, reason: 'campaign', lastResort: () => stopAllLines(victims.appliance.runFile) })
    appendFileSync(files.probes, `${JSON.stringify({ at: asked, by: answer?.by ?? 'nobody', ms: answer?.ms })}\n`)
    if (done % 10 === 0) context.progress(`${done} of ${wanted} faults`)
  }
  return counts
}

/** Waits until nothing is unfinished in the journal any more. */
async function settled(appliance: Appliance, timeoutMs: number): Promise<void> {
  const until = performance.now() + timeoutMs
  while (performance.now() < until) {
    const { journal } = await appliance.answering() as { journal?: { unfinished?: number } }
    if (journal?.unfinished === 0) return
    await new Promise((done) => setTimeout(done, 200))
  }
}

function rowsOf(context: MeasureContext, { files, appliance, counts, drained }: { files: { client: string; controller: string; probes: string; faults: string }; appliance: Appliance; counts: Record<string, number>; drained: boolean }): Row[] {
  const core = [`${appliance.factLog}.1`, appliance.factLog].filter((file) => existsSync(file))
  const verdict = judgeExactlyOnce({ client: files.client, core, journal: join(appliance.stateDir, 'journal.sqlite'), controller: files.controller })
  const stops = judgeStops(files, STOP_LIMIT_MS)
  for (const [name, list] of Object.entries(verdict).filter(([, v]) => Array.isArray(v)) as [string, string[]][]) for (const item of list.slice(0, 5)) context.progress(`${name}: ${item}`)
  for (const item of stops.missed.slice(0, 5)) context.progress(item)
  const none = (metric: string, list: readonly string[]): Row => ({ metric, value: list.length, unit: '', goal: '= 0', holds: list.length === 0 })
  const faults = Object.values(counts).reduce((sum, n) => sum + n, 0)
  const slowest = Math.max(...stops.latenciesMs)
  return [
    { metric: 'faults injected', value: faults, unit: Object.entries(counts).map(([kind, n]) => `${n} ${kind}`).join(', '), ...(context.quick ? {} : { goal: '>= 100', holds: faults >= 100 }) },
    { metric: 'intents submitted', value: verdict.submitted, unit: '' },
    { metric: 'accepted', value: verdict.accepted, unit: Object.entries(verdict.finals).map(([state, n]) => `${n} ${state}`).join(', ') },
    { metric: 'rejected', value: verdict.rejected, unit: '' },
    { metric: 'everything acknowledged in the end', value: String(drained), unit: '', goal: 'true', holds: drained },
    { metric: 'commands carried out', value: verdict.executed, unit: '' },
    none('accepted intents lost', verdict.lost),
    none('intents with more than one final state', verdict.doubleFinals),
    none('device commands executed twice', verdict.doubleExecutions),
    none('commands executed under an old epoch', verdict.staleExecutions),
    none('successes the controller knows nothing of', verdict.phantoms),
    { metric: 'stops probed', value: stops.latenciesMs.length, unit: `${stops.powerless} more while the controller was without power` },
    { metric: 'stop latency p50', value: quantile(stops.latenciesMs, 0.5), unit: 'ms' },
    { metric: 'stop latency worst', value: Number.isFinite(slowest) ? slowest : null, unit: 'ms', goal: `<= ${STOP_LIMIT_MS}`, holds: stops.latenciesMs.length > 0 && slowest <= STOP_LIMIT_MS },
  ]
}
