import { MtorError } from '../../contracts/errors.ts'
import type { Tasks, TestPattern } from '../../inference/port.ts'
import type { LoadContext, LoadedTask, OpenSession, TaskModule } from '../../inference/task.ts'
import { digestTensors } from '../../inference/worker/digest.ts'
import { annotate } from '../annotate.ts'
import { suppress, type Candidate } from './boxes.ts'
import { fill, place, placeAsIs, type Placement } from './canvas.ts'
import { decode, type RawOutputs } from './decode.ts'
import { detectOptions, type Options } from './options.ts'
import { drawPattern } from './pattern.ts'
import { openPicture, pixels, type Pixels } from './picture.ts'
import { summarise } from './summary.ts'

type Input = Tasks['detect']['input']
type Output = Tasks['detect']['output']

const round = (value: number, digits: number) => Math.round(value * 10 ** digits) / 10 ** digits
const within = (value: number, most: number) => Math.min(Math.max(value, 0), most)

/** Finds objects in pictures with a detector of the CenterNet or YOLO kind. */
class Detector implements LoadedTask<'detect'> {
  readonly #open: OpenSession
  readonly #options: Options
  readonly #input: string
  /** Sizes that the graph leaves no choice of. */
  readonly #fixed: { batch?: number; width?: number; height?: number }
  #drawn: { key: string; views: Pixels[] } | undefined
  #numbers = new Float32Array(0)
  /** Of the last run. */
  #outputs: RawOutputs | undefined

  constructor(open: OpenSession, options: Options, model: string) {
    this.#open = open
    this.#options = options
    const [input, ...others] = open.session.inputMetadata
    if (!input || others.length > 0 || !input.isTensor || input.type !== 'float32' || input.shape.length !== 4) throw new MtorError('MODEL_INVALID', `${model}: a detector has one input, four-dimensional float32`)
    this.#input = input.name
    const [batch, height, width] = [0, ...options.layout === 'nchw' ? [2, 3] : [1, 2]].map((axis) => { const dim = input.shape[axis]; return typeof dim === 'number' && dim > 0 ? dim : undefined })
    this.#fixed = { batch, height, width }
  }

  async run(input: Input): Promise<Output> {
    this.#outputs = undefined
    return typeof input.image === 'string' ? await this.#photograph(input, input.image) : await this.#pattern(input, input.image)
  }

  /** Only when asked for: hashing the outputs for a photograph takes as long as reading them. */
  digest(): string | undefined { return this.#outputs && digestTensors(this.#outputs) }

  async digestOf(input: Input): Promise<string | undefined> {
    if (typeof input.image === 'string') return undefined
    const { views, placement } = this.#place(input.image)
    return digestTensors(await this.#infer(views, placement))
  }

  async close(): Promise<void> { await this.#open.session.release() }

  async #photograph({ minScore, sizePx, annotate: file }: Input, path: string): Promise<Output> {
    const picture = await openPicture(path)
    const placement = place(picture, sizePx ?? this.#options.sizePx, this.#fixed, this.#options)
    const outputs = await this.#infer([await pixels(picture, placement.contentWidth, placement.contentHeight, path)], placement)
    const output = this.#output(outputs, placement, picture, minScore)
    if (file !== undefined) await annotate(picture, output.detections, file)
    return output
  }

  /** Detections are those of the first view; the summary and the digest are of all. */
  async #pattern({ minScore }: Input, pattern: TestPattern): Promise<Output> {
    const { views, placement } = this.#place(pattern)
    const outputs = await this.#infer(views, placement)
    return { ...this.#output(firstOf(outputs), placement, views[0]!, minScore), summary: summarise(outputs) }
  }

  #place(pattern: TestPattern): { views: Pixels[]; placement: Placement } {
    const key = JSON.stringify(pattern)
    if (this.#drawn?.key !== key) this.#drawn = { key, views: drawPattern(pattern) }
    const { views } = this.#drawn
    const first = views[0]!
    const placement = placeAsIs(first, this.#fixed, this.#options)
    if (first.width > placement.width || first.height > placement.height) throw new MtorError('MODEL_INVALID', `a test pattern of ${first.width} × ${first.height} does not fit the input of ${placement.width} × ${placement.height}`)
    if (views.length > 1 && this.#fixed.batch !== undefined) throw new MtorError('MODEL_INVALID', `the graph takes one picture at a time, so its test patterns have one view; got ${views.length}`)
    return { views, placement }
  }

  async #infer(contents: readonly Pixels[], placement: Placement): Promise<RawOutputs> {
    const { width, height } = placement
    const { session, ort } = this.#open
    const count = 3 * width * height
    // Kept between runs: pictures and known answers take turns.
    if (this.#numbers.length < count * contents.length) this.#numbers = new Float32Array(count * contents.length)
    contents.forEach((content, index) => fill(this.#numbers.subarray(index * count, (index + 1) * count), placement, content, this.#options))
    const dims = this.#options.layout === 'nchw' ? [contents.length, 3, height, width] : [contents.length, height, width, 3]
    const outputs = await session.run({ [this.#input]: new ort.Tensor('float32', this.#numbers.subarray(0, count * contents.length), dims) })
    for (const [name, { type }] of Object.entries(outputs)) if (type !== 'float32') throw new MtorError('MODEL_INVALID', `output ${name} is ${type}; expected float32`)
    return this.#outputs = outputs as unknown as RawOutputs
  }

  #output(outputs: RawOutputs, placement: Placement, picture: { width: number; height: number }, minScore = this.#options.minScore): Output {
    const { iou: sameClass, sameBoxIou: anyClass, maxDetections: most } = this.#options
    const candidates = suppress(decode(outputs, placement, this.#options, minScore), { sameClass, anyClass, most })
    return { widthPx: picture.width, heightPx: picture.height, detections: candidates.map((candidate) => this.#detection(candidate, placement, picture)) }
  }

  /** From pixels of the input to those of the picture, cut at its edges. */
  #detection({ label, score, box }: Candidate, { left, top, factor }: Placement, picture: { width: number; height: number }): Output['detections'][number] {
    const x = within((box.x - left) / factor, picture.width), y = within((box.y - top) / factor, picture.height)
    const right = within((box.x + box.width - left) / factor, picture.width), bottom = within((box.y + box.height - top) / factor, picture.height)
    return { label: this.#options.labels[label]!, score: round(score, 4), box: { x: round(x, 1), y: round(y, 1), width: round(right - x, 1), height: round(bottom - y, 1) } }
  }
}

/** Of outputs for several pictures those for the first. */
const firstOf = (outputs: RawOutputs): RawOutputs => Object.fromEntries(Object.entries(outputs).map(([name, { type, dims, data }]) => [name, { type, dims: [1, ...dims.slice(1)], data: data.subarray(0, data.length / dims[0]!) }]))

export const task: TaskModule<'detect'> = {
  usesOnnx: true,
  async load({ model: { manifest }, open }: LoadContext): Promise<LoadedTask<'detect'>> {
    const options = detectOptions(manifest.name, manifest.options)
    const session = await open(manifest.files[0]!.path)
    try { return new Detector(session, options, manifest.name) } catch (error) {
      await session.session.release()
      throw error
    }
  },
}
