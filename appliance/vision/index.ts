import { existsSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { PROJECT_DIR } from '../config/load.ts'
import type { VisionConfig } from '../config/schema.ts'
import type { Clock, Timer } from '../contracts/clock.ts'
import { MtorError, toMtorError } from '../contracts/errors.ts'
import type { Hub } from '../contracts/hub.ts'
import { COCO_LABELS, withArticle } from '../contracts/objects.ts'
import type { Answer, Detection, Inference, RunOptions, TaskName, Tasks, TextLine, Throttle } from '../inference/port.ts'
import { makeCamera, type Camera } from './capture/index.ts'
import { FrameRing, type Frame } from './frames.ts'
import { Studio } from './studio.ts'
import { Trouble } from './trouble.ts'
import { Watches, type DurableValues, type Watch } from './watches.ts'

export type { Frame } from './frames.ts'

/** One still at the most, with opening the camera. */
const STILL_MS = 6_000
/** An answer of a model at the most; the intent has 15 s in all. */
const DETECT_MS = 8_000
const READ_MS = 12_000
/** Someone who asks goes before the watch. */
const WATCH_PRIORITY = 7

/** How an answer came about. */
interface By { model: string; version: string; provider: string; /** In queue and worker, ms. */ tookMs: number; vote?: Answer<'detect'>['vote'] }
/** What was seen in a picture; boxes are in pixels of the upright picture. */
export interface Sight extends By { frame: Frame; widthPx: number; heightPx: number; detections: Detection[]; /** The picture with boxes drawn in. */ annotated?: string }
/** What was read in a picture. */
export interface Reading extends By { frame: Frame; text: string; lines: TextLine[] }

export interface EyesOptions {
  config: VisionConfig
  stateDir: string
  clock: Clock
  hub: Hub
  inference: Pick<Inference, 'run'>
  values: DurableValues
  throttle(): Throttle
  /** What the detector can tell apart (its manifest's options.labels); left out: the labels of COCO. */
  labels?(): readonly string[]
  /** Instead of the one that the configuration names. */
  camera?: Camera
}

/** Camera, pictures, and the models that look at them. */
export class Eyes {
  readonly #o: EyesOptions
  readonly #camera: Camera | undefined
  readonly #ring: FrameRing
  readonly #studio: Studio
  readonly #watches: Watches
  readonly #trouble: Trouble
  #timer: Timer | undefined
  #looking: Promise<void> | undefined
  #stopping = new AbortController()
  #started = false

  /** @throws MtorError CONFIG_INVALID for a camera that is none */
  constructor(options: EyesOptions) {
    const { config, stateDir, hub, values } = options
    this.#o = options
    this.#camera = options.camera ?? makeCamera(config.camera, { widthPx: config.widthPx, heightPx: config.heightPx, timeoutMs: STILL_MS }, PROJECT_DIR)
    this.#ring = new FrameRing(isAbsolute(config.framesDir) ? config.framesDir : join(stateDir, config.framesDir), { maxFrames: config.maxFrames })
    this.#studio = new Studio(this.#camera, this.#ring, () => hub.now())
    this.#watches = new Watches(values, () => hub.now())
    this.#trouble = new Trouble((event) => { hub.system(event) })
  }

  /** Takes up the watches of before. A camera or a disk that fails is no reason not to start. */
  async start(): Promise<void> {
    if (this.#started) return
    this.#started = true
    this.#stopping = new AbortController()
    await this.#camera?.start?.().catch((error: unknown) => this.#trouble.failed(toMtorError(error, 'CAMERA')))
    await this.#ring.open().catch((error: unknown) => { const { code, message } = toMtorError(error); this.#o.hub.system({ severity: 'warning', component: 'vision', name: 'frames.unusable', code, message }) })
    await this.#watches.load()
    this.#schedule(0)
  }

  async stop(): Promise<void> {
    this.#started = false
    this.#o.clock.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#stopping.abort()
    await this.#looking
    await this.#camera?.stop()
  }

  /** What the detector can tell apart. */
  labels(): readonly string[] { return this.#o.labels?.() ?? COCO_LABELS }

  /** Takes a picture into the ring. @throws MtorError NOT_FITTED, CAMERA, DISK_FULL, CANCELLED */
  capture(signal: AbortSignal): Promise<Frame> { return this.#with(signal, async (frame) => frame) }

  /** Takes a picture and says what is in it, also drawn into a copy. @throws MtorError as capture, and those of inference */
  look(signal: AbortSignal, { vote }: { vote?: number } = {}): Promise<Sight> {
    return this.#with(signal, async (frame) => {
      const answer = await this.#run('detect', this.#o.config.detector, { ...this.#detectInput(frame.file), annotate: frame.annotated }, { deadlineMs: DETECT_MS, signal, ...(vote === undefined ? {} : { vote }) })
      return { frame, ...answer.output, ...(existsSync(frame.annotated) ? { annotated: frame.annotated } : {}), ...by(answer) }
    })
  }

  /** Takes a picture and reads the text in it. @throws MtorError as capture, and those of inference */
  read(signal: AbortSignal, { vote }: { vote?: number } = {}): Promise<Reading> {
    return this.#with(signal, async (frame) => {
      const answer = await this.#run('read', this.#o.config.reader, { image: frame.file }, { deadlineMs: READ_MS, signal, ...(vote === undefined ? {} : { vote }) })
      return { frame, ...answer.output, ...by(answer) }
    })
  }

  /** Raises object.appeared when the object comes into view, for so long or until told otherwise. @throws MtorError NOT_FITTED; what the store throws */
  async watch(object: string, durationS?: number): Promise<Watch> {
    if (!await this.#camera?.present()) throw new MtorError('NOT_FITTED', 'no camera to watch with', { say: 'No camera is fitted.' })
    const watch = await this.#watches.add(object, durationS)
    this.#schedule(0)
    return watch
  }

  /** Ends a watch, or all. @returns the objects that were watched for */
  async unwatch(object?: string): Promise<string[]> { return (await this.#watches.remove(object)).map((watch) => watch.object) }

  watching(): string[] { return this.#watches.all.map((watch) => watch.object) }

  status() {
    return { camera: this.#camera?.describe() ?? 'none', frames: this.#ring.size, framesDir: this.#ring.folder, looking: this.#looking !== undefined, watching: this.#watches.all.map(({ object, present, endMonoMs }) => ({ object, present, ...(endMonoMs === undefined ? {} : { leftS: Math.max(0, Math.round((endMonoMs - this.#o.clock.monoMs()) / 1000)) }) })), ...(this.#trouble.last ? { trouble: this.#trouble.last } : {}) }
  }

  /** Takes a picture into the ring and keeps it there while it is worked with. */
  async #with<R>(signal: AbortSignal, work: (frame: Frame) => Promise<R>): Promise<R> {
    const frame = await (await this.#studio.draft(AbortSignal.any([signal, this.#stopping.signal]))).keep()
    try { return await work(frame) } finally { this.#ring.release(frame) }
  }

  #detectInput(image: string): Tasks['detect']['input'] {
    const { sizePx } = this.#o.throttle()
    return { image, minScore: this.#o.config.minScore, ...(sizePx === undefined ? {} : { sizePx }) }
  }

  async #run<T extends TaskName>(task: T, model: string, input: Tasks[T]['input'], options: RunOptions): Promise<Answer<T>> {
    try { return await this.#o.inference.run(task, model, input, options) } catch (thrown) {
      const error = toMtorError(thrown)
      if (error.code !== 'NOT_FOUND') throw error
      throw new MtorError('NOT_FITTED', error.message, { cause: error, say: 'The model for that is not here.', hint: `Bring it with: mtor models pull ${model}` })
    }
  }

  /** One loop for all that is watched for. */
  #schedule(delayMs: number): void {
    if (!this.#started || this.#timer || this.#looking || this.#watches.all.length === 0) return
    this.#timer = this.#o.clock.setTimeout(() => {
      this.#timer = undefined
      const sinceMs = this.#o.clock.monoMs()
      this.#looking = this.#glance().catch((error: unknown) => { if (!this.#stopping.signal.aborted) this.#trouble.failed(toMtorError(error)) }).finally(() => {
        this.#looking = undefined
        const periodMs = this.#o.config.watchPeriodMs / Math.max(0.001, this.#o.throttle().frameRateFactor)
        this.#schedule(Math.max(0, periodMs - (this.#o.clock.monoMs() - sinceMs)))
      })
    }, delayMs)
  }

  /** One look at what is watched for. Only pictures in which something appeared go into the ring. */
  async #glance(): Promise<void> {
    const { hub } = this.#o
    for (const { object } of await this.#watches.expire()) hub.system({ severity: 'info', component: 'vision', name: 'watch.ended', message: `the time to watch for ${object} is up`, say: `I have stopped watching for ${withArticle(object)}.`, data: { object } })
    if (this.#watches.all.length === 0) return
    const draft = await this.#studio.draft(this.#stopping.signal)
    try {
      const answer = await this.#run('detect', this.#o.config.detector, this.#detectInput(draft.file), { deadlineMs: DETECT_MS, priority: WATCH_PRIORITY, signal: this.#stopping.signal })
      this.#trouble.worked()
      const { detections } = answer.output
      const { appeared, gone } = this.#watches.seen(new Set(detections.map(({ label }) => label)))
      for (const { object } of gone) hub.system({ severity: 'debug', component: 'vision', name: 'object.gone', message: `${object} is out of view`, data: { object } })
      if (appeared.length === 0) return
      // That it is there is told even if the picture cannot be kept.
      const frame = await draft.keep().catch((error: unknown) => this.#trouble.failed(toMtorError(error)))
      if (frame) this.#ring.release(frame)
      for (const { object } of appeared) {
        hub.system({ severity: 'info', component: 'vision', name: 'object.appeared', message: `${object} is in view`, say: `I see ${withArticle(object)}.`, data: { object, detections: detections.filter(({ label }) => label === object), ...(frame ? picture(frame) : {}), ...by(answer) } })
      }
    } finally { await draft.discard() }
  }
}

const picture = ({ id, file, thumbnail }: Frame) => ({ frame: id, file, ...(thumbnail ? { thumbnail } : {}) })
const by = (answer: Answer<'detect'> | Answer<'read'>): By => ({ model: answer.model, version: answer.version, provider: answer.provider, tookMs: Math.round(answer.queuedMs + answer.runMs), ...(answer.vote ? { vote: answer.vote } : {}) })
