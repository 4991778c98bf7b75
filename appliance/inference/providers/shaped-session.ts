import type { InferenceSession, Tensor } from 'onnxruntime-node'
import { digestTensors } from '../worker/digest.ts'

type Feeds = Record<string, Tensor>
type Outputs = Awaited<ReturnType<InferenceSession['run']>>

/** Shapes that get a session of their own: those of the known answers. Each costs the graph's memory once more. */
const MOST_KEPT = 3
/** What a replay that differs is told as; providers/faults.ts knows it. */
export const DIFFERS = 'the same input gave other outputs than before'

interface Lane {
  session: InferenceSession
  /** The first input of its present shape, and what came of it; absent where two runs of it differed by a bit. */
  witness?: { feeds: Feeds; digest: string }
}

/**
 * One graph for inputs of several shapes, on a provider that makes a new plan whenever the shape is not that of the run before.
 * CUDA does since cuDNN 9: after each change the detector took 0.6 to 3.4 s instead of 5 ms (H200), and a picture and the known
 * answer after it are such a change. So the shapes that are run until `seal()` (known answers) have a session each, and all
 * others share one more. Each session repeats its first input when asked to: then what answered is what is proven.
 */
export class ShapedSession {
  readonly inputNames: readonly string[]
  readonly outputNames: readonly string[]
  readonly inputMetadata: InferenceSession['inputMetadata']
  readonly outputMetadata: InferenceSession['outputMetadata']
  readonly #open: () => Promise<InferenceSession>
  readonly #onPreparing: () => void
  readonly #kept = new Map<string, Lane>()
  #first: InferenceSession | undefined
  #free: (Lane & { key?: string }) | undefined
  #last: Lane | undefined
  #isSealed = false
  #hasPrepared = false

  /** `open`: opens the graph once more. `onPreparing`: a run begins that makes a plan first, which may take many times as long. */
  constructor(first: InferenceSession, open: () => Promise<InferenceSession>, onPreparing: () => void) {
    this.#first = first
    this.#open = open
    this.#onPreparing = onPreparing
    this.inputNames = first.inputNames
    this.outputNames = first.outputNames
    this.inputMetadata = first.inputMetadata
    this.outputMetadata = first.outputMetadata
  }

  async run(feeds: Feeds): Promise<Outputs> {
    const key = this.inputNames.map((name) => feeds[name]?.dims.join('×')).join(' ')
    const lane = this.#kept.get(key) ?? (this.#free?.key === key ? this.#free : undefined)
    if (!lane) return await this.#begin(key, feeds)
    this.#last = lane
    return await lane.session.run(feeds)
  }

  /** From now on no shape gets a session of its own. */
  seal(): void { this.#isSealed = true }

  /** Repeats the first input of the session that ran last. @throws Error DIFFERS where its outputs are not what they were, to the last bit */
  async verify(): Promise<void> {
    const lane = this.#last
    if (lane?.witness && digestTensors(await lane.session.run(lane.witness.feeds)) !== lane.witness.digest) throw new Error(DIFFERS)
  }

  /** Whether a plan was made since this was last asked. */
  takePrepared(): boolean {
    const had = this.#hasPrepared
    this.#hasPrepared = false
    return had
  }

  async release(): Promise<void> {
    const all = [this.#first, this.#free?.session, ...[...this.#kept.values()].map(({ session }) => session)]
    this.#first = this.#free = this.#last = undefined
    this.#kept.clear()
    for (const session of all) await session?.release()
  }

  async #begin(key: string, feeds: Feeds): Promise<Outputs> {
    this.#onPreparing()
    this.#hasPrepared = true
    const session = this.#first ?? (this.#isSealed && this.#free ? this.#free.session : await this.#open())
    this.#first = undefined
    const lane: Lane & { key?: string } = { session }
    if (this.#isSealed || this.#kept.size >= MOST_KEPT) {
      if (this.#free && this.#free.session !== session) await this.#free.session.release()
      this.#free = lane
    } else this.#kept.set(key, lane)
    // Tasks use their buffers again.
    const copy = Object.fromEntries(Object.entries(feeds).map(([name, { type, data, dims }]) => [name, new (feeds[name]!.constructor as typeof Tensor)(type, (data as Float32Array).slice(), dims)])) as Feeds
    const outputs = await session.run(feeds)
    const digest = digestTensors(outputs as Record<string, Tensor>)
    if (digestTensors(await session.run(copy) as Record<string, Tensor>) === digest) lane.witness = { feeds: copy, digest }
    lane.key = key
    this.#last = lane
    return outputs
  }
}
