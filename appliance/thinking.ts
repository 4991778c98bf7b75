import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { inRunDir } from './config/load.ts'
import type { Config } from './config/schema.ts'
import type { Clock } from './contracts/clock.ts'
import type { Hub } from './contracts/hub.ts'
import { COCO_LABELS } from './contracts/objects.ts'
import type { ModelProvider } from './contracts/telemetry.ts'
import { TELEMETRY_MS } from './gateway/status.ts'
import { InferenceSupervisor, type InferenceStatus, type ProviderInfo } from './inference/index.ts'
import { Governor } from './inference/governor/index.ts'
import { NormalityWatch } from './inference/learn/normality-watch.ts'
import { TelemetryRecorder } from './inference/learn/telemetry-log.ts'
import type { Inference } from './inference/port.ts'
import { ModelStore } from './inference/store/index.ts'
import type { Peers } from './realm/index.ts'
import { RealmInference } from './realm/workers/index.ts'
import type { DurableValues } from './skills/index.ts'
import { BetterEars } from './speech/better-ears.ts'
import type { SpeechHost } from './speech/host.ts'
import { BetterVoice } from './speech/speak/neural/better-voice.ts'
import { Eyes } from './vision/index.ts'

export interface ThinkingOptions {
  config: Config
  hub: Hub
  clock: Clock
  values: DurableValues
  /** Its process is shown beside the workers. */
  speech: SpeechHost | undefined
  /** In a realm: links to the nodes that run models for this one, and for which it does. */
  peers?: Peers
}

/** The store of models, the workers that run them, the eyes that use them, and what keeps the board cool meanwhile. */
export class Thinking {
  readonly store: ModelStore
  /** Of this node alone. */
  readonly inference: InferenceSupervisor
  /** Of the whole realm; undefined where this node is in none. */
  readonly workers: RealmInference | undefined
  readonly governor: Governor
  readonly eyes: Eyes
  /** Undefined where the configuration wants none. */
  readonly ears: BetterEars | undefined
  readonly voice: BetterVoice | undefined
  readonly #recorder: TelemetryRecorder
  readonly #normality: NormalityWatch
  readonly #o: ThinkingOptions
  readonly #providers = new Map<string, ModelProvider>()
  #onProvider: ((provider: ModelProvider) => void) | undefined

  constructor(options: ThinkingOptions) {
    const { config, hub, clock, values } = options
    this.#o = options
    // A fault of a worker is told to the other nodes at once.
    const onEvent: Hub['system'] = (event) => { if (event.component === 'inference' && event.severity !== 'debug') this.workers?.touch(); return hub.system(event) }
    const store = this.store = new ModelStore({ ...config.inference, clock, onEvent })
    this.inference = new InferenceSupervisor({ config: config.inference, library: store, clock, onEvent, onProvider: (info) => this.#chosen(info), stateDir: config.stateDir, cores: availableParallelism() })
    this.workers = options.peers && new RealmInference({
      supervisor: this.inference, library: store, isHere: async (model) => await store.presence(model) === 'here', peers: options.peers, hub, clock, workers: config.inference.workers,
      folder: inRunDir(config, 'elsewhere'), votesOf: (model) => config.inference.models[model]?.vote, cores: availableParallelism(),
    })
    const inference: Inference = this.workers ?? this.inference
    this.governor = new Governor({ config: config.governor, clock, onEvent })
    const labels = () => { try { return store.manifest(config.vision.detector).options.labels as string[] | undefined } catch { return undefined } }
    this.eyes = new Eyes({ config: config.vision, stateDir: config.stateDir, clock, hub, inference, values, throttle: () => this.governor.throttle, labels: () => labels() ?? COCO_LABELS })
    const { transcriber, speak } = config.speech, models = () => this.workers?.models() ?? store.list()
    if (transcriber !== 'none') this.ears = new BetterEars({ transcriber, inference, models, hub, clock })
    if (speak.model !== 'none') this.voice = new BetterVoice({ model: speak.model, inference, models, hub })
    const normality = this.#normality = new NormalityWatch({ inference, library: store, clock, onEvent })
    this.#recorder = new TelemetryRecorder({
      file: join(config.stateDir, 'telemetry.jsonl'), clock, periodMs: TELEMETRY_MS, onReading: ({ values }) => normality.push(values),
      onError: (error) => hub.system({ severity: 'warning', component: 'telemetry', name: 'record.unwritable', code: 'DISK_FULL', message: `telemetry is not recorded: ${error.message}` }),
    })
  }

  async start(): Promise<void> {
    this.store.start()
    await this.inference.start()
    await this.workers?.start()
    this.governor.onChange((throttle) => this.inference.throttle(throttle))
    this.governor.start()
    this.#normality.start()
    this.#recorder.start()
    await this.eyes.start()
    // They load and measure models, which takes a while: until then the engine's ears and voice do.
    void this.ears?.start()
    void this.voice?.start()
  }

  async stop(): Promise<void> {
    await this.eyes.stop()
    await this.#recorder.stop()
    await this.#normality.stop()
    await this.governor.stop()
    await this.workers?.stop()
    await this.inference.stop()
    await this.store.stop()
  }

  /** Readings of the node and its devices, by name with the unit in it: recorded, and judged where it was learned what is normal. */
  record(values: Readonly<Record<string, number | undefined>>): void { this.#recorder.push(values) }

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

  /** In short, for the state of the box. */
  summary(): Record<string, unknown> {
    const { models, workers, queue } = this.inference.status()
    const { camera, frames, watching, trouble } = this.eyes.status()
    const { step, steps, throttle, hottest, powerMode, note } = this.governor.status()
    return {
      inference: { ready: models.filter((m) => m.state === 'ready').map((m) => `${m.model} on ${m.provider}`), broken: models.filter((m) => m.state === 'broken' || m.state === 'untrusted').map((m) => m.model), workers: workers.length, queue },
      ...(this.workers ? { elsewhere: this.workers.summary() } : {}),
      vision: { camera, frames, watching: watching.map((w) => w.object), ...(trouble ? { trouble } : {}) },
      governor: { step: `${step} of ${steps}`, ...(throttle.reason ? { reason: throttle.reason } : {}), ...(hottest ? { hottestC: hottest.temperatureC, of: hottest.name } : {}), ...(powerMode ? { powerMode } : {}), ...(note ? { note } : {}) },
    }
  }

  #chosen({ model, version, provider, nodeCounts }: ProviderInfo): void {
    const { hub } = this.#o
    const told: ModelProvider = { v: 1, at: hub.now(), node: hub.node, model, version, provider, nodeCounts }
    this.#providers.set(model, told)
    this.#onProvider?.(told)
  }
}
