import { fork, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeConfig } from '../appliance/config/load.ts'
import { systemClock as clock } from '../appliance/contracts/clock.ts'
import { InferenceSupervisor } from '../appliance/inference/index.ts'
import type { TrustedModel } from '../appliance/inference/manifest.ts'
import { checkProviders, type ProviderName } from '../appliance/inference/providers/names.ts'
import type { LoadedTask } from '../appliance/inference/task.ts'
import type { Measure, MeasureContext, Row } from './harness.ts'
import { quantile } from './table.ts'
import { DETECTOR, openDetector, trustedDetector } from './vision/detector.ts'
import { photographs } from './vision/photographs.ts'

const DEADLINE_MS = 60_000
/** What the supervisor may add to a bare session: this part of its time, and this. */
const SHARE = 0.1, PLUS_MS = 2

/** Latency of a supervised worker beside a bare session in the same run, throughput of two workers, start-up, memory. */
const inference: Measure = {
  name: 'inference',
  title: 'what supervision adds to a bare session; two workers; cold start; memory',
  flags: [{ flag: '--provider NAME', help: 'execution provider: cpu (default), cuda, tensorrt, webgpu; that one alone' }],
  async run(context) {
    const [provider] = checkProviders([context.flags.provider ?? 'cpu'])
    const model = await trustedDetector()
    const pictures = photographs().slice(0, 4).map(({ file }) => file)
    const rounds = context.quick ? 24 : 120
    const rows: Row[] = []
    for (const sizePx of [512, 256]) rows.push(...await beside(context, provider!, model, pictures, sizePx, rounds))
    rows.push(...await throughput(context, provider!, model, pictures, context.quick ? 4_000 : 20_000))
    rows.push(...await coldStart(context, provider!, model, pictures[0]!, context.quick ? 3 : 12))
    return rows
  },
}
export default inference

/** A supervisor with only the detector, proven and warm. */
async function supervised<R>(model: TrustedModel, provider: ProviderName, config: Record<string, unknown>, cores: number, work: (supervisor: InferenceSupervisor) => Promise<R>): Promise<R> {
  const stateDir = mkdtempSync(join(tmpdir(), 'mtor-bench-inference-'))
  const supervisor = new InferenceSupervisor({ config: makeConfig({ inference: { providers: [provider], ...config } }).inference, library: { list: () => [model.manifest], trusted: async () => model }, clock, onEvent: () => {}, stateDir, cores })
  await supervisor.start()
  try { return await work(supervisor) } finally { await supervisor.stop(); rmSync(stateDir, { recursive: true, force: true }) }
}

/** The same pictures in turn: once bare in a process of its own, once supervised, and again; so both see the same machine. */
async function beside(context: MeasureContext, provider: ProviderName, model: TrustedModel, pictures: readonly string[], sizePx: number, rounds: number): Promise<Row[]> {
  return await supervised(model, provider, {}, 2, async (supervisor) => {
    await using bare = await BareSession.open(provider)
    await supervisor.warm(DETECTOR)
    const times = { bare: [] as number[], supervised: [] as number[] }
    for (let i = -4; i < rounds; i++) {
      context.signal.throwIfAborted()
      const image = pictures[(i + 4) % pictures.length]!
      const bareMs = await bare.run({ image, sizePx })
      const since = performance.now()
      await supervisor.run('detect', DETECTOR, { image, sizePx }, { deadlineMs: DEADLINE_MS })
      const supervisedMs = performance.now() - since
      if (i >= 0) { times.bare.push(bareMs); times.supervised.push(supervisedMs) }
      if (i > 0 && i % 20 === 0) context.progress(`${sizePx} px: ${i} of ${rounds}`)
    }
    const p50 = { bare: quantile(times.bare, 0.5)!, supervised: quantile(times.supervised, 0.5)! }
    const most = p50.bare * (1 + SHARE) + PLUS_MS
    return [
      { metric: `${sizePx} px, bare session p50`, value: p50.bare, unit: 'ms' },
      { metric: `${sizePx} px, supervised and proven p50`, value: p50.supervised, unit: 'ms', goal: `<= ${most.toFixed(1)} (bare + 10 % + 2 ms)`, holds: p50.supervised <= most },
      { metric: `${sizePx} px, bare session p95`, value: quantile(times.bare, 0.95), unit: 'ms' },
      { metric: `${sizePx} px, supervised and proven p95`, value: quantile(times.supervised, 0.95), unit: 'ms' },
    ]
  })
}

/** Runs a second: bare with two threads, one worker with two, two workers with one each. */
async function throughput(context: MeasureContext, provider: ProviderName, model: TrustedModel, pictures: readonly string[], forMs: number): Promise<Row[]> {
  const count = async (lanes: number, run: (image: string) => Promise<unknown>): Promise<number> => {
    await run(pictures[0]!)
    const since = performance.now()
    let done = 0
    await Promise.all(Array.from({ length: lanes }, async () => { for (let i = 0; performance.now() - since < forMs && !context.signal.aborted; i++) { await run(pictures[i % pictures.length]!); done += 1 } }))
    return done / ((performance.now() - since) / 1000)
  }
  const look = (supervisor: InferenceSupervisor) => (image: string) => supervisor.run('detect', DETECTOR, { image }, { deadlineMs: DEADLINE_MS })
  context.progress('throughput')
  const bareRuns = await (async () => { await using bare = await BareSession.open(provider); return await count(1, (image) => bare.run({ image })) })()
  const one = await supervised(model, provider, {}, 2, (supervisor) => count(2, look(supervisor)))
  const two = await supervised(model, provider, { workers: 2 }, 2, (supervisor) => count(4, look(supervisor)))
  return [
    { metric: 'throughput, bare session, 2 threads', value: bareRuns, unit: '1/s' },
    { metric: 'throughput, 1 worker × 2 threads', value: one, unit: '1/s' },
    { metric: 'throughput, 2 workers × 1 thread', value: two, unit: `1/s, ${(two / one).toFixed(2)} × one worker` },
  ]
}

/** From nothing to the first answer, and what it takes of memory. */
async function coldStart(context: MeasureContext, provider: ProviderName, model: TrustedModel, image: string, rounds: number): Promise<Row[]> {
  const toProven: number[] = [], toAnswer: number[] = []
  let workerBytes = 0
  const before = process.memoryUsage.rss()
  let coreBytes = 0
  for (let i = 0; i < rounds; i++) {
    context.signal.throwIfAborted()
    await supervised(model, provider, {}, 2, async (supervisor) => {
      const since = performance.now()
      await supervisor.warm(DETECTOR)
      toProven.push(performance.now() - since)
      await supervisor.run('detect', DETECTOR, { image }, { deadlineMs: DEADLINE_MS })
      toAnswer.push(performance.now() - since)
      workerBytes = Math.max(workerBytes, ...supervisor.status().workers.map((w) => w.rssBytes ?? 0))
      coreBytes = Math.max(coreBytes, process.memoryUsage.rss() - before)
    })
    context.progress(`cold start ${i + 1} of ${rounds}`)
  }
  return [
    { metric: 'cold start: fork → loaded and proven p50', value: quantile(toProven, 0.5), unit: 'ms' },
    { metric: 'cold start: fork → first answer p50', value: quantile(toAnswer, 0.5), unit: 'ms', goal: '<= 1000', holds: quantile(toAnswer, 0.5)! <= 1_000 },
    { metric: 'worker with the detector', value: workerBytes / 1e6, unit: 'MB' },
    { metric: 'what supervising takes in the core', value: Math.max(0, coreBytes) / 1e6, unit: 'MB' },
  ]
}

/** The detector as it is, in a child process of its own that does nothing else: times are taken there. */
class BareSession implements AsyncDisposable {
  readonly #child: ChildProcess
  #answer = Promise.withResolvers<number>()

  constructor(provider: ProviderName) { this.#child = fork(import.meta.filename, ['--bare', provider], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }) }

  static async open(provider: ProviderName): Promise<BareSession> {
    const bare = new BareSession(provider)
    bare.#child.on('message', (ms: number) => bare.#answer.resolve(ms))
    bare.#child.on('exit', (code) => bare.#answer.reject(code))
    await bare.#answer.promise
    return bare
  }

  async run(input: { image: string; sizePx?: number }): Promise<number> {
    this.#answer = Promise.withResolvers()
    this.#child.send(input)
    return await this.#answer.promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#answer.promise.catch(() => {})
    const gone = new Promise((done) => this.#child.once('exit', done))
    this.#child.disconnect()
    await gone
  }
}

if (process.argv[2] === '--bare' && process.send) {
  const task: LoadedTask<'detect'> = await openDetector(await trustedDetector(), { threads: 2, provider: process.argv[3] as ProviderName })
  process.on('message', (input: { image: string; sizePx?: number }) => {
    const since = performance.now()
    void task.run(input).then(() => process.send!(performance.now() - since))
  })
  process.on('disconnect', () => process.exit(0))
  process.send(0)
}
