import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { InferenceConfig } from '../../config/schema.ts'
import type { Clock, Timer } from '../../contracts/clock.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { SystemEventInput } from '../../contracts/events.ts'
import type { InnerFault } from '../messages.ts'
import type { Answer, Inference, InferenceStatus, ModelLibrary, RunOptions, TaskName, Tasks, Throttle } from '../port.ts'
import { checkProviders } from '../providers/names.ts'
import { ModelBook, type ModelRecord } from './book.ts'
import { FaultReport, type Fault } from './faults.ts'
import { GpuMemory } from './gpu-memory.ts'
import { Group } from './group.ts'
import type { GroupName } from './groups.ts'
import { inputBytes, inputKey } from './input-key.ts'
import { unavailable } from './loading.ts'
import { ProviderPolicy } from './policy.ts'
import { Quarantine, type Quarantined } from './quarantine.ts'
import { Request } from './request.ts'
import { poison } from './running.ts'
import { demote, type ProviderInfo, type Shared } from './shared.ts'
import { isHarmful, XidWatch, type Xid } from './xid.ts'

const WORKER_FILE = fileURLToPath(new URL('../worker.ts', import.meta.url))
const DEFAULT_PRIORITY = 5
const MOST_VOTES = 9
/** Loading for the first time may build an engine. */
const WARM_MS = 16 * 60_000
/** How often idle workers, pauses and cool-downs are looked at, at the most and at the least. */
const TICK_MS = { least: 25, most: 500 }
/** What an Xid of NVIDIA's driver puts aside. */
const NVIDIA_PROVIDERS = ['tensorrt', 'cuda', 'webgpu']

export interface SupervisorOptions {
  config: InferenceConfig
  library: ModelLibrary
  clock: Clock
  /** Raises a system event; the component is "inference". */
  onEvent(event: SystemEventInput): void
  /** What was chosen for a model in a worker; to be published. */
  onProvider?(info: ProviderInfo): void
  /** Fault report and quarantine are kept in its folder inference/. */
  stateDir: string
  /** Processor cores of the board: threads of a run are shared out of them. */
  cores: number
  /** For tests: another program that speaks messages.ts. */
  workerFile?: string
  /** For tests: the command that follows the kernel log. */
  kernelLog?: [string, string[]]
}

/** Model capabilities, kept up by supervised child processes. Whatever happens to those, callers get a right answer or an honest code. */
export class InferenceSupervisor implements Inference {
  readonly #o: SupervisorOptions
  readonly #shared: Shared
  readonly #groups = new Map<GroupName, Group>()
  readonly #xid: XidWatch
  #tick: Timer | undefined
  #state: 'new' | 'started' | 'stopped' = 'new'
  #order = 0

  constructor(options: SupervisorOptions) {
    const { config, clock, library, stateDir, cores } = options
    this.#o = options
    const event: Shared['event'] = (input) => { options.onEvent({ component: 'inference', ...input }) }
    const unwritable = (what: string) => (error: unknown) => { event({ severity: 'error', name: 'record.unwritable', code: 'DISK_FULL', message: `${what}: ${String(error)}; what was to be written is in the log only` }) }
    const folder = join(stateDir, 'inference')
    this.#shared = {
      clock, config, event,
      workerFile: options.workerFile ?? WORKER_FILE,
      threads: config.threads || Math.max(1, Math.floor(cores / config.workers)),
      book: new ModelBook(clock, library, config),
      policy: new ProviderPolicy(clock, config),
      quarantine: new Quarantine(clock, join(folder, 'quarantine.jsonl'), unwritable('quarantine')),
      faults: new FaultReport(clock, join(folder, 'faults.jsonl'), unwritable('fault report')),
      gpu: new GpuMemory(clock),
      onProvider: (info) => { options.onProvider?.(info) },
    }
    this.#xid = new XidWatch(clock, (xid) => { this.#onXid(xid) }, ...(options.kernelLog ? [options.kernelLog] : []))
  }

  /** Reads what was recorded before. Workers are forked when they are first needed. @throws MtorError CONFIG_INVALID: an unknown execution provider */
  async start(): Promise<void> {
    if (this.#state !== 'new') return
    const { config } = this.#o
    for (const [where, names] of [['inference.providers', config.providers] as const, ...Object.entries(config.models).flatMap(([name, { providers }]) => providers ? [[`inference.models.${name}.providers`, providers] as const] : [])]) {
      try { checkProviders(names) } catch (error) { throw new MtorError('CONFIG_INVALID', `${where}: ${(error as MtorError).message}`, { cause: error }) }
    }
    this.#state = 'started'
    await this.#shared.quarantine.start()
    await this.#shared.faults.start()
    this.#xid.start()
    this.#watch()
  }

  /** Ends all workers; open requests are refused. Stopping twice is fine. */
  async stop(): Promise<void> {
    const wasStarted = this.#state === 'started'
    this.#state = 'stopped'
    if (!wasStarted) return
    this.#o.clock.clearTimeout(this.#tick)
    const stopping = new MtorError('MODEL_UNAVAILABLE', 'the appliance is stopping')
    await Promise.all([this.#xid.stop(), ...[...this.#groups.values()].map((group) => group.stop(stopping))])
    await this.#shared.faults.stop()
    await this.#shared.quarantine.stop()
  }

  async run<T extends TaskName>(task: T, model: string, input: Tasks[T]['input'], options: RunOptions): Promise<Answer<T>> {
    const record = this.#record(model)
    if (record.task !== task) throw new MtorError('MODEL_INVALID', `${model} is for the task ${record.task}, not for ${task}`)
    if (options.signal?.aborted) throw new MtorError('CANCELLED', `${model}: cancelled before it began`)
    const startedMs = this.#o.clock.monoMs()
    const order = ++this.#order
    const given = input as Record<string, unknown>
    const { quarantine } = this.#shared
    if (quarantine.holds(model)) {
      const entry = quarantine.get(await inputKey(task, model, record.manifest.version, given))
      if (entry) throw poison(entry)
    }
    const votes = Math.min(MOST_VOTES, Math.max(1, Math.floor(options.vote ?? this.#o.config.models[model]?.vote ?? 1)))
    const bytes = await inputBytes(given)
    return await this.#submit(record, { input: given, inputBytes: bytes, deadlineMs: options.deadlineMs - (this.#o.clock.monoMs() - startedMs), priority: options.priority ?? DEFAULT_PRIORITY, votes, order, ...(options.signal ? { signal: options.signal } : {}) }) as Answer<T>
  }

  async warm(model: string): Promise<void> {
    await this.#submit(this.#record(model), { inputBytes: 0, deadlineMs: WARM_MS, priority: DEFAULT_PRIORITY, votes: 1, order: ++this.#order })
  }

  throttle({ excludeProviders = [], reason }: Throttle): void {
    this.#shared.policy.throttle(excludeProviders)
    if (excludeProviders.length > 0) this.#shared.event({ severity: 'info', name: 'provider.excluded', message: `${excludeProviders.join(', ')} ${reason ? `because of ${reason}` : 'for now'}`, data: { providers: [...excludeProviders] } })
    for (const group of this.#groups.values()) group.pump()
  }

  status(): InferenceStatus {
    const { book, quarantine, gpu } = this.#shared
    const groups = [...this.#groups.values()]
    return {
      models: book.status((model) => quarantine.count(model)),
      workers: groups.flatMap(({ workers }) => workers.map((worker) => worker.status(gpu.of(worker.pid)))),
      queue: groups.reduce((sum, { waiting }) => sum + waiting, 0),
    }
  }

  /** The latest of the fault report, oldest first. */
  faults(most?: number): Fault[] { return this.#shared.faults.list(most) }

  /** Inputs that are run no more. */
  quarantined(): Quarantined[] { return this.#shared.quarantine.list() }

  /** For the campaign: has a worker break itself. @throws MtorError UNAUTHORISED without MTOR_INFERENCE_FAULTS=1 in the environment, NOT_FOUND */
  inject(worker: string, fault: InnerFault): void {
    if (process.env['MTOR_INFERENCE_FAULTS'] !== '1') throw new MtorError('UNAUTHORISED', 'faults are injected only where MTOR_INFERENCE_FAULTS=1 is set')
    const found = [...this.#groups.values()].map((group) => group.worker(worker)).find((w) => w !== undefined)
    if (!found?.inject(fault)) throw new MtorError('NOT_FOUND', `no worker ${worker} is up`)
  }

  /** @throws MtorError MODEL_UNAVAILABLE, NOT_FOUND, MODEL_INVALID */
  #record(model: string): ModelRecord {
    if (this.#state !== 'started') throw new MtorError('MODEL_UNAVAILABLE', this.#state === 'new' ? 'inference has not been started' : 'the appliance is stopping')
    const record = this.#shared.book.get(model)
    if (record.manifest.providers) checkProviders(record.manifest.providers)
    if (!record.circuit.isClosed) throw unavailable(record, `it has failed too often${record.lastFault ? ` (${record.lastFault.message})` : ''}; it is tried again by itself`)
    return record
  }

  #submit(record: ModelRecord, options: Omit<ConstructorParameters<typeof Request>[0], 'record' | 'clock' | 'onSettled'>): Promise<Answer<TaskName>> {
    if (this.#state !== 'started') throw new MtorError('MODEL_UNAVAILABLE', 'the appliance is stopping')
    const group = this.#group(record.group)
    if (group.isFull) throw new MtorError('BUSY', `${group.waiting} requests wait for the workers of ${record.group} already`)
    if (!(options.deadlineMs > 0)) throw new MtorError('DEADLINE', `${record.name}: no time is left`)
    if (options.signal?.aborted) throw new MtorError('CANCELLED', `${record.name}: cancelled before it began`)
    const request: Request = new Request({ ...options, record, clock: this.#o.clock, onSettled: () => { group.settled(request) } })
    group.submit(request)
    return request.answer
  }

  #group(name: GroupName): Group {
    const known = this.#groups.get(name)
    if (known) return known
    const group = new Group(name, this.#shared)
    this.#groups.set(name, group)
    return group
  }

  #watch(): void {
    const { clock, config } = this.#o
    this.#tick = clock.setTimeout(() => {
      if (config.maxGpuMB !== undefined || this.#shared.book.isAnyOn(NVIDIA_PROVIDERS)) this.#shared.gpu.refresh()
      for (const group of this.#groups.values()) {
        // One part that fails must not end the watch over all.
        try { group.tick() } catch (error) { this.#shared.event({ severity: 'error', name: 'tick.failed', code: 'INTERNAL', message: toMtorError(error).message }) }
      }
      this.#watch()
    }, Math.min(TICK_MS.most, Math.max(TICK_MS.least, config.idleProofMs / 4)))
  }

  #onXid(xid: Xid): void {
    const harmful = isHarmful(xid)
    this.#shared.event({ severity: harmful ? 'error' : 'info', name: 'gpu.xid', message: `NVIDIA Xid ${xid.code} of ${xid.pci}: ${xid.text}`, data: { ...xid } })
    if (harmful) for (const provider of NVIDIA_PROVIDERS) demote(this.#shared, provider, 'all', `Xid ${xid.code}`)
    for (const group of this.#groups.values()) group.pump()
  }
}
