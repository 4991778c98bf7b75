import type { InferenceConfig } from '../../config/schema.ts'
import type { Clock } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import type { Manifest, TrustedModel } from '../manifest.ts'
import type { ModelLibrary, ModelStatus, TaskName } from '../port.ts'
import { Circuit } from './circuit.ts'
import { GROUP_OF_TASK, isTask, type GroupName } from './groups.ts'
import { Pace } from './pace.ts'

/** Files that were found to be the right ones stay so for that long: what several workers load at once is hashed once. */
const TRUST_MS = 2_000

/** The library looks at the disk for its list; between requests that follow each other nothing changes there. */
const LIST_MS = 1_000

/** What the supervisor knows of one model. */
export interface ModelRecord {
  name: string
  task: TaskName
  group: GroupName
  manifest: Manifest
  circuit: Circuit
  /** Of whole runs in the worker, with their proof. */
  pace: Pace
  proofPace: Pace
  state: ModelStatus['state']
  provider?: string
  nodeCounts?: Record<string, number>
  restarts: number
  lastFault?: { atMs: number; code: string; message: string }
  /** Somebody has asked for it: every worker of its group loads it. */
  isWanted: boolean
  /** It could not be had; unasked, it is not tried again before. */
  nextLoadMs: number
  loadPauseMs: number
}

/** The models of the library, with what was learned of each. */
export class ModelBook {
  readonly #clock: Clock
  readonly #library: ModelLibrary
  readonly #config: InferenceConfig
  #records = new Map<string, ModelRecord>()
  #trusting = new Map<string, { atMs: number; version: string; model: Promise<TrustedModel> }>()

  #list: { atMs: number; manifests: Manifest[] } | undefined

  constructor(clock: Clock, library: ModelLibrary, config: InferenceConfig) { this.#clock = clock; this.#library = library; this.#config = config }

  /** @throws MtorError NOT_FOUND, MODEL_INVALID (not a model that inference workers run) */
  get(name: string): ModelRecord {
    const find = (fresh: boolean) => this.#manifests(fresh).find((candidate) => candidate.name === name)
    const manifest = find(false) ?? find(true)
    if (!manifest) throw new MtorError('NOT_FOUND', `no model ${name}`, { hint: 'List the models with: mtor models list' })
    if (!isTask(manifest.task)) throw new MtorError('MODEL_INVALID', `${name} is loaded by the speech process, not by inference workers`)
    const record = this.#records.get(name)
    if (record && record.task === manifest.task) { record.manifest = manifest; return record }
    const fresh: ModelRecord = {
      name, task: manifest.task, group: GROUP_OF_TASK[manifest.task], manifest, circuit: new Circuit(this.#clock), pace: new Pace(), proofPace: new Pace(), state: 'cold', restarts: 0, isWanted: false, nextLoadMs: 0, loadPauseMs: 0,
    }
    this.#records.set(name, fresh)
    return fresh
  }

  #manifests(fresh: boolean): Manifest[] {
    const now = this.#clock.monoMs()
    if (fresh || !this.#list || now - this.#list.atMs >= LIST_MS) this.#list = { atMs: now, manifests: this.#library.list() }
    return this.#list.manifests
  }

  /** Does any model run on one of these providers? */
  isAnyOn(providers: readonly string[]): boolean { return [...this.#records.values()].some(({ provider }) => provider !== undefined && providers.includes(provider)) }

  /** Of models that somebody has asked for. */
  wanted(group: GroupName): ModelRecord[] { return [...this.#records.values()].filter((record) => record.group === group && record.isWanted) }

  /** One run at the most, ms, by configuration or manifest. */
  timeoutMs({ manifest }: ModelRecord): number { return this.#config.models[manifest.name]?.timeoutMs ?? manifest.timeoutMs }

  /**
   * Its files are the right ones. What was found a moment ago is not looked at again.
   * @throws MtorError NOT_FOUND, MODEL_UNTRUSTED
   */
  async trusted(record: ModelRecord): Promise<TrustedModel> {
    const now = this.#clock.monoMs()
    const before = this.#trusting.get(record.name)
    if (before && before.version === record.manifest.version && now - before.atMs < TRUST_MS) return before.model
    const model = this.#library.trusted(record.name)
    this.#trusting.set(record.name, { atMs: now, version: record.manifest.version, model })
    // A refusal is not remembered: the files may be mended by now.
    model.catch(() => { if (this.#trusting.get(record.name)?.model === model) this.#trusting.delete(record.name) })
    return model
  }

  status(quarantined: (model: string) => number): ModelStatus[] {
    const round = (ms: number | undefined) => ms === undefined ? undefined : Math.round(ms * 10) / 10
    return this.#manifests(true).filter(({ task }) => isTask(task)).map(({ name, version, task }) => {
      const record = this.#records.get(name)
      const { provider, nodeCounts, lastFault } = record ?? {}
      const p50Ms = round(record?.pace.quantile(0.5)); const p95Ms = round(record?.pace.quantile(0.95))
      return {
        model: name, version, task, group: GROUP_OF_TASK[task as TaskName], state: record?.state ?? 'cold',
        ...(provider === undefined ? {} : { provider }), ...(nodeCounts === undefined ? {} : { nodeCounts }),
        ...(p50Ms === undefined ? {} : { p50Ms }), ...(p95Ms === undefined ? {} : { p95Ms }),
        runs: record?.pace.runs ?? 0, restarts: record?.restarts ?? 0, quarantined: quarantined(name), circuit: record?.circuit.state ?? 'closed',
        ...(lastFault ? { lastFault } : {}),
      }
    })
  }
}
