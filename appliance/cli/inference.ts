import type { Command } from 'commander'
import { resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { MtorError } from '../contracts/errors.ts'
import { table } from '../gateway/table.ts'
import type { InferenceStatus, ModelStatus, WorkerStatus } from '../inference/port.ts'
import type { Fault } from '../inference/supervisor/faults.ts'
import type { CliContext } from './context.ts'

const FOLLOW_MS = 1_000
/** Tasks whose input is one file. */
const FILE_TASKS = ['detect', 'read', 'transcribe', 'keyword']

/** `mtor inference …`: what the models of the running daemon are at. */
export function addInferenceCommands(program: Command, context: CliContext): void {
  const inference = program.command('inference').description('models and the worker processes that run them')

  inference.command('status').description('model, provider, times, restarts, circuit, last fault; and the workers')
    .option('--follow', 'again every second, until Ctrl-C')
    .action(async (options: { follow?: boolean }) => {
      const { signal } = context.interrupted
      for (;;) {
        const status = await context.client().call('GET', '/inference') as InferenceStatus
        context.print(status, () => (options.follow ? `\n${new Date().toISOString().slice(11, 19)}\n` : '') + statusText(status))
        if (!options.follow) return
        try { await pause(FOLLOW_MS, undefined, { signal }) } catch { return }
      }
    })

  inference.command('faults').description('what went wrong in workers, what was done, and how long it took to be back')
    .option('-n, --last <count>', 'how many', '20')
    .action(async (options: { last: string }) => {
      if (!/^[1-9]\d{0,3}$/.test(options.last)) throw new MtorError('USAGE', `--last must be a whole number from 1 to 9999, got ${JSON.stringify(options.last)}`)
      const faults = await context.client().call('GET', `/inference/faults?limit=${options.last}`) as Fault[]
      if (context.json()) for (const fault of faults) context.print(fault, () => '')
      else context.print(faults, () => faultsText(faults))
    })

  inference.command('run').argument('<task>', `one of ${FILE_TASKS.join(', ')}`).argument('<model>').argument('<file>', 'a picture, or a mono 16 kHz WAV file')
    .description('what a model makes of a file; prints its answer as JSON')
    .option('--vote <n>', 'ask that many workers and take the majority')
    .action(async (task: string, model: string, file: string, { vote }: { vote?: string }) => {
      if (!FILE_TASKS.includes(task)) throw new MtorError('USAGE', `task must be one of ${FILE_TASKS.join(', ')}, got ${task}`)
      const path = resolve(file)
      const answer = await context.client().call('POST', '/inference/run', { task, model, input: task === 'detect' || task === 'read' ? { image: path } : { file: path }, ...(vote === undefined ? {} : { vote: Number(vote) }) })
      context.print(answer, () => JSON.stringify(answer, null, 2))
    })
}

const MB = 1024 * 1024
const mb = (bytes: number | undefined) => bytes === undefined ? '' : Math.round(bytes / MB)
const seconds = (ms: number) => ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`

/** For a terminal. */
export function statusText({ models, workers, queue }: InferenceStatus, wallMs = Date.now()): string {
  const parts = [
    models.length === 0 ? 'No models; see: mtor models list' : table(models.map(modelRow), ['model', 'state', 'provider', 'nodes', 'p50 ms', 'p95 ms', 'runs', 'restarts', 'poison', 'circuit'], [4, 5, 6, 7, 8]),
    workers.length === 0 ? 'No worker has been needed yet.' : table(workers.map(workerRow), ['worker', 'state', 'pid', 'MB', 'GPU MB', 'restarts', 'proven'], [2, 3, 4, 5]),
    `${queue} waiting`,
    ...models.flatMap(({ model, lastFault }) => lastFault ? [`Last fault of ${model}: ${agoText(lastFault.atMs, wallMs)}${lastFault.code}: ${lastFault.message}`] : []),
  ]
  return parts.join('\n\n')
}

/** A board without a clock counts from its boot. */
const agoText = (atMs: number, wallMs: number) => atMs < 1e11 ? '' : `${seconds(Math.max(0, wallMs - atMs))} ago, `

function modelRow({ model, state, provider, nodeCounts, p50Ms, p95Ms, runs, restarts, quarantined, circuit }: ModelStatus): (string | number)[] {
  return [model, state, provider ?? '', Object.entries(nodeCounts ?? {}).map(([name, count]) => `${name} ${count}`).join(', '), p50Ms ?? '', p95Ms ?? '', runs, restarts, quarantined, circuit]
}

function workerRow({ worker, state, pid, rssBytes, gpuBytes, restarts, provenAgeMs }: WorkerStatus): (string | number)[] {
  return [worker, state, pid ?? '', mb(rssBytes), mb(gpuBytes), restarts, provenAgeMs === undefined ? 'not yet' : `${seconds(provenAgeMs)} ago`]
}

export function faultsText(faults: readonly Fault[]): string {
  if (faults.length === 0) return 'None.'
  return table(faults.map(({ at, mono, worker, model, kind, detail, noticedAfterMs, recoveredAfterMs, done }) => [
    at === undefined ? `+${(mono / 1000).toFixed(3)}s` : new Date(at).toISOString().slice(0, 23).replace('T', ' '), worker, model ?? '', kind,
    noticedAfterMs === undefined ? '' : seconds(noticedAfterMs), recoveredAfterMs === undefined ? 'not yet' : seconds(recoveredAfterMs), detail.slice(0, 80), done,
  ]), ['at', 'worker', 'model', 'kind', 'noticed after', 'back after', 'what', 'done'], [4, 5])
}
