import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { stringify } from 'yaml'
import { MtorError } from '../appliance/contracts/errors.ts'
import { ControlClient } from '../appliance/gateway/client.ts'
import type { Measure, Row } from './harness.ts'
import { quantile } from './table.ts'

const ROOT = resolve(import.meta.dirname, '..')
const READY_GOAL_S = 8
const RSS_GOAL_MB = 150
const SET_UP_GOAL_S = 0.3
const FLOWS_GOAL_S = 5
const READY_TIMEOUT_MS = 60_000
const INTENTS = 500

interface Started { child: ChildProcess; folder: string; readyS: number; line: string; /** What it says of its flows, after it is ready. */ flows: Promise<{ laterS: number; rssMB: number }> }

/** Starts a daemon of its own in a new folder, as `npm start` does, and waits for its line "ready …". */
async function start(firstLight: boolean, signal: AbortSignal): Promise<Started> {
  const folder = await mkdtemp(join(tmpdir(), 'mtor-start-'))
  const file = join(folder, 'mtor.yaml')
  await writeFile(file, stringify({ stateDir: 'state', bus: { listeners: [{ kind: 'tcp', host: '127.0.0.1', port: 0 }] }, flows: { port: 0 } }))
  const startedMs = performance.now()
  const child = spawn(process.execPath, [join(ROOT, 'setup/start.mjs'), '--config', file, ...(firstLight ? [] : ['--no-first-light'])], { stdio: ['ignore', 'pipe', 'pipe'] })
  const said: string[] = []
  const flows = Promise.withResolvers<{ laterS: number; rssMB: number }>()
  flows.promise.catch(() => { /* Nobody may wait for it. */ })
  try {
    const line = await new Promise<string>((done, fail) => {
      const late = setTimeout(() => fail(new MtorError('DEADLINE', `not ready after ${READY_TIMEOUT_MS / 1000} s: ${said.slice(-5).join(' | ')}`)), READY_TIMEOUT_MS)
      const settle = (then: () => void) => { clearTimeout(late); signal.removeEventListener('abort', aborted); then() }
      const aborted = () => settle(() => fail(signal.reason as Error))
      signal.addEventListener('abort', aborted)
      for (const stream of [child.stdout!, child.stderr!]) createInterface({ input: stream }).on('line', (text) => {
        said.push(text)
        if (/^ready\b/.test(text)) settle(() => done(text))
        const told = /^✓ flows: \S+ ready ([\d.]+) s later, (\d+) MB/.exec(text)
        if (told) flows.resolve({ laterS: Number(told[1]), rssMB: Number(told[2]) })
      })
      child.once('exit', (code) => {
        const ended = new MtorError('NOT_RUNNING', `the daemon ended with ${code}: ${said.slice(-5).join(' | ')}`)
        flows.reject(ended)
        settle(() => fail(ended))
      })
    })
    return { child, folder, readyS: (performance.now() - startedMs) / 1000, line, flows: flows.promise }
  } catch (error) { await stop({ child, folder }); throw error }
}

/** Ends it as Ctrl-C does; returns the seconds that took. */
async function stop({ child, folder }: Pick<Started, 'child' | 'folder'>): Promise<number> {
  const startedMs = performance.now()
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit')
    child.kill('SIGINT')
    const patience = setTimeout(() => child.kill('SIGKILL'), 15_000)
    await exited
    clearTimeout(patience)
  }
  await rm(folder, { recursive: true, force: true })
  return (performance.now() - startedMs) / 1000
}

/** Resident memory of a process, MB. @see proc(5), VmRSS */
const rssMB = (pid: number) => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024 / 1e6

async function setUpS(): Promise<number> {
  const startedMs = performance.now()
  await once(spawn(process.execPath, [join(ROOT, 'setup/setup.mjs')], { stdio: 'ignore' }), 'exit')
  return (performance.now() - startedMs) / 1000
}

const goal = (metric: string, value: number | null, unit: string, most: number): Row => ({ metric, value, unit, goal: `<= ${most}`, holds: value !== null && value <= most })

/** Both kinds of start in turn, so that a slow moment of the machine meets both. */
export default {
  name: 'start',
  title: 'Start to ready with warm caches, with and without first light; memory of the core process',
  async run({ quick, progress, signal }) {
    const rounds = quick ? 2 : 10
    const setUp = [await setUpS(), await setUpS(), await setUpS()]
    const ready: Record<'lit' | 'unlit', number[]> = { lit: [], unlit: [] }
    const idleMB: number[] = []; const busyMB: number[] = []; const stopS: number[] = []; const flowsS: number[] = []; const flowsMB: number[] = []
    let failedLights = 0
    // The first start fills the caches and is not counted.
    for (let round = -1; round < rounds; round++) {
      for (const kind of ['lit', 'unlit'] as const) {
        const started = await start(kind === 'lit', signal)
        try {
          if (round < 0) continue
          ready[kind].push(started.readyS)
          if (started.line.includes('first light failed')) failedLights++
          progress(`round ${round + 1} of ${rounds}: ${started.line}`)
          const flows = await started.flows
          flowsS.push(flows.laterS)
          flowsMB.push(flows.rssMB)
          if (kind === 'lit') continue
          const control = new ControlClient(join(started.folder, 'state/run/control.sock'))
          const { pid } = await control.call('GET', '/status') as { pid: number }
          idleMB.push(rssMB(pid))
          for (let i = 0; i < INTENTS; i++) for await (const answer of control.lines('POST', '/intents', { type: 'time.tell' }, signal)) void answer
          busyMB.push(rssMB(pid))
        } finally { const tookS = await stop(started); if (round >= 0) stopS.push(tookS) }
      }
    }
    return [
      goal('start to ready with first light, p50', quantile(ready.lit, 0.5), 's', READY_GOAL_S),
      { metric: 'start to ready with first light, slowest', value: quantile(ready.lit, 1), unit: 's' },
      { metric: 'start to ready without first light, p50', value: quantile(ready.unlit, 0.5), unit: 's' },
      { metric: 'first lights that failed', value: failedLights, unit: `of ${ready.lit.length}`, goal: '= 0', holds: failedLights === 0 },
      goal('flows ready after the core, slowest', quantile(flowsS, 1), 's', FLOWS_GOAL_S),
      { metric: 'flows ready after the core, p50', value: quantile(flowsS, 0.5), unit: 's' },
      { metric: 'Node-RED when ready, largest', value: quantile(flowsMB, 1), unit: 'MB' },
      goal('set-up when nothing is missing, p50', quantile(setUp, 0.5), 's', SET_UP_GOAL_S),
      { metric: 'stop, slowest', value: quantile(stopS, 1), unit: 's' },
      goal('core process when ready, largest', quantile(idleMB, 1), 'MB', RSS_GOAL_MB),
      goal(`core process after ${INTENTS} intents, largest`, quantile(busyMB, 1), 'MB', RSS_GOAL_MB),
    ]
  },
} satisfies Measure
