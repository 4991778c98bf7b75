import type { Clock } from '../../contracts/clock.ts'
import type { Manifest } from '../../inference/manifest.ts'
import type { Answer, InferenceStatus, ModelStatus, RunOptions, TaskName, Tasks, WorkerStatus } from '../../inference/port.ts'
import type { InferenceSupervisor } from '../../inference/supervisor/supervisor.ts'
import { GROUP_OF_TASK, isTask, type GroupName } from '../../inference/supervisor/groups.ts'
import { modelScore, type Judged } from './score.ts'

/** The store looks at its files for this, so it is not asked at each request. */
const PRESENCE_MS = 30_000
const STATUS_MS = 1_000

export interface LocalOptions {
  supervisor: Pick<InferenceSupervisor, 'run' | 'warm' | 'status'>
  library: { list(): Manifest[] }
  /** Whether the files of a model are on this node; manifests alone come with every appliance. */
  isHere(model: string): Promise<boolean>
  clock: Clock
  /** Worker processes of each group. */
  workers: number
}

/** One model of this node, as it is now. */
export interface LocalModel extends Judged { manifest: Manifest; task: TaskName; status: ModelStatus; queue: number; faultAgeMs?: number }

/** This node's own inference, with what is known of it at a glance: what is here, how busy it is, what has just failed. */
export class Local {
  readonly #o: LocalOptions
  readonly #running = new Map<GroupName, number>()
  readonly #faults = new Map<string, { sign: string; monoMs: number }>()
  #here = new Set<string>()
  #lookedMs = -Infinity
  #manifests: readonly Manifest[] = []
  #seen: { atMs: number; status: InferenceStatus } | undefined

  constructor(options: LocalOptions) { this.#o = options }

  get workerCount(): number { return this.#o.workers }

  /** Looks which models are here, now and then. */
  async look(): Promise<void> {
    const { library, isHere, clock } = this.#o
    if (clock.monoMs() - this.#lookedMs < PRESENCE_MS) return
    this.#lookedMs = clock.monoMs()
    const manifests = library.list().filter(({ task }) => isTask(task))
    const here = new Set<string>()
    for (const { name } of manifests) if (await isHere(name).catch(() => false)) here.add(name)
    this.#manifests = manifests
    this.#here = here
  }

  /** Of all models that this node knows of, whether their files are here or not. */
  manifest(model: string): Manifest | undefined { return this.#manifests.find(({ name }) => name === model) }
  manifests(): Manifest[] { return this.#manifests.filter(({ name }) => this.#here.has(name)) }

  isHere(model: string): boolean { return this.#here.has(model) }

  /** Undefined where its files are not here. */
  model(name: string): LocalModel | undefined {
    const manifest = this.manifest(name)
    if (!manifest || !this.#here.has(name)) return undefined
    const { models, workers } = this.status()
    const status = models.find(({ model }) => model === name)
    return status && this.#judged(manifest, status, workers)
  }

  models(): LocalModel[] {
    const { models, workers } = this.status()
    return this.manifests().flatMap((manifest) => { const status = models.find(({ model }) => model === manifest.name); return status ? [this.#judged(manifest, status, workers)] : [] })
  }

  /** Requests that run or wait where the task runs. */
  queue(task: TaskName): number { return this.#running.get(GROUP_OF_TASK[task]) ?? 0 }

  async run<T extends TaskName>(task: T, model: string, input: Tasks[T]['input'], options: RunOptions): Promise<Answer<T>> {
    const group = GROUP_OF_TASK[task]
    this.#running.set(group, this.queue(task) + 1)
    try { return await this.#o.supervisor.run(task, model, input, options) } catch (error) {
      this.forget()
      throw error
    } finally { this.#running.set(group, this.queue(task) - 1) }
  }

  async warm(model: string): Promise<void> {
    try { await this.#o.supervisor.warm(model) } finally { this.forget() }
  }

  /** Something has happened: what was seen a moment ago does not hold. */
  forget(): void { this.#seen = undefined }

  status(): InferenceStatus {
    const now = this.#o.clock.monoMs()
    if (!this.#seen || now - this.#seen.atMs >= STATUS_MS) {
      const status = this.#o.supervisor.status()
      this.#seen = { atMs: now, status }
      for (const { model, restarts, lastFault } of status.models) {
        const sign = `${restarts} ${lastFault?.atMs ?? ''}`
        const before = this.#faults.get(model)
        if (before?.sign !== sign) this.#faults.set(model, { sign, monoMs: before || lastFault ? now : -Infinity })
      }
    }
    return this.#seen.status
  }

  #judged(manifest: Manifest, status: ModelStatus, workers: readonly WorkerStatus[]): LocalModel {
    const task = manifest.task as TaskName
    const queue = this.queue(task)
    const age = this.#o.clock.monoMs() - (this.#faults.get(manifest.name)?.monoMs ?? -Infinity)
    const faultAgeMs = Number.isFinite(age) ? age : undefined
    const own = workers.filter(({ group, state }) => group === status.group && state !== 'standby')
    return { manifest, task, status, queue, ...(faultAgeMs === undefined ? {} : { faultAgeMs }), ...modelScore(status, own, Math.max(0, queue - this.#o.workers) / this.#o.workers, faultAgeMs) }
  }
}
