import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { PROJECT_DIR } from './config/load.ts'
import type { Config } from './config/schema.ts'
import type { Clock } from './contracts/clock.ts'
import type { Hub } from './contracts/hub.ts'
import { COCO_LABELS } from './contracts/objects.ts'
import type { ModelProvider } from './contracts/telemetry.ts'
import { InferenceSupervisor, type InferenceStatus, type ProviderInfo } from './inference/index.ts'
import { Governor } from './inference/governor/index.ts'
import { ModelStore } from './inference/store/index.ts'
import type { DurableValues } from './skills/index.ts'
import type { SpeechHost } from './speech/host.ts'
import { Eyes } from './vision/index.ts'

export interface ThinkingOptions {
  config: Config
  hub: Hub
  clock: Clock
  values: DurableValues
  /** Its process is shown beside the workers. */
  speech: SpeechHost | undefined
}

/** The store of models, the workers that run them, the eyes that use them, and what keeps the board cool meanwhile. */
export class Thinking {
  readonly store: ModelStore
  readonly inference: InferenceSupervisor
  readonly governor: Governor
  readonly eyes: Eyes
  readonly #o: ThinkingOptions
  readonly #providers = new Map<string, ModelProvider>()
  #onProvider: ((provider: ModelProvider) => void) | undefined

  constructor(options: ThinkingOptions) {
    const { config, hub, clock, values } = options
    this.#o = options
    const onEvent: Hub['system'] = (event) => hub.system(event)
    const fromProject = (path: string) => resolve(PROJECT_DIR, path)
    const { modelsDir, copyDir, scrubPeriodMs } = config.inference
    const store = this.store = new ModelStore({ modelsDir: fromProject(modelsDir), ...(copyDir === undefined ? {} : { copyDir: fromProject(copyDir) }), clock, onEvent, scrubPeriodMs })
    this.inference = new InferenceSupervisor({ config: config.inference, library: store, clock, onEvent, onProvider: (info) => this.#chosen(info), stateDir: config.stateDir, cores: availableParallelism() })
    this.governor = new Governor({ config: config.governor, clock, onEvent })
    const labels = () => { try { return store.manifest(config.vision.detector).options.labels as string[] | undefined } catch { return undefined } }
    this.eyes = new Eyes({ config: config.vision, stateDir: config.stateDir, clock, hub, inference: this.inference, values, throttle: () => this.governor.throttle, labels: () => labels() ?? COCO_LABELS })
  }

  async start(): Promise<void> {
    this.store.start()
    this.inference.start()
    this.governor.onChange((throttle) => this.inference.throttle(throttle))
    this.governor.start()
    await this.eyes.start()
  }

  async stop(): Promise<void> {
    await this.eyes.stop()
    await this.governor.stop()
    await this.inference.stop()
    await this.store.stop()
  }

  /** From now on each choice of a provider is told, those made before at once. */
  publish(listener: (provider: ModelProvider) => void): void {
    this.#onProvider = listener
    for (const provider of this.#providers.values()) listener(provider)
  }

  /** Of all models and workers, those of speech too. */
  status(): InferenceStatus {
    const own = this.inference.status(), speech = this.#o.speech?.inferenceStatus()
    return { ...own, models: [...own.models, ...speech?.models ?? []], workers: [...own.workers, ...speech?.workers ?? []] }
  }

  #chosen({ model, version, provider, nodeCounts }: ProviderInfo): void {
    const { hub } = this.#o
    const told: ModelProvider = { v: 1, at: hub.now(), node: hub.node, model, version, provider, nodeCounts }
    this.#providers.set(model, told)
    this.#onProvider?.(told)
  }
}
