import { MtorError } from '../../contracts/errors.ts'
import { textOf, type Recogniser } from '../engine.ts'
import type { SpeechPipeline } from '../pipeline.ts'
import { SAMPLE_RATE_HZ } from '../vad.ts'

/** Decoded at once: 0.13 s of sound, some 3 ms of processor time. Between two blocks the box's own ears have their turn. */
const BLOCK_SAMPLES = 2_048
/** Nobody says more to a machine at once. */
const MOST_SAMPLES = 120 * SAMPLE_RATE_HZ

/** A sound of a client, 16 kHz mono, on its way through one of the spare ears. */
export interface Listening {
  /** @throws MtorError TOO_LARGE */
  push(samples: Int16Array): Promise<void>
  /** What was heard of it: the words, or undefined where only the wake word was looked for. */
  end(): Promise<string | undefined>
  /** Gives the ears back; twice is fine. */
  release(): void
}

export interface SpareEarsOptions {
  ears: Pick<SpeechPipeline, 'openRecogniser' | 'beside'>
  maxStreams: number
  /** Resolves when the box's own ears have caught up with their microphone. */
  turn(): Promise<void>
}

interface Spotter { pipeline: SpeechPipeline; onWake: () => void }

/**
 * Recognisers for the sounds of clients, on the models that the box's own ears have loaded, beside those ears. They are
 * made when they are first needed and then kept: each new one costs memory that the native library never gives back.
 */
export class SpareEars {
  readonly #o: SpareEarsOptions
  #taken = 0
  #recognisers: Recogniser[] = []
  #spotters: Spotter[] = []

  constructor(options: SpareEarsOptions) { this.#o = options }

  /** Ears in the open vocabulary. @throws MtorError BUSY */
  async transcribe(): Promise<Listening> {
    return this.#take(async () => {
      const recogniser = this.#recognisers.pop() ?? await this.#o.ears.openRecogniser()
      let samples = 0
      return {
        push: (more) => this.#inBlocks(more, async (block) => {
          samples += block.length
          if (samples > MOST_SAMPLES) throw new MtorError('TOO_LARGE', `more than ${MOST_SAMPLES / SAMPLE_RATE_HZ} s of sound`, { hint: 'Send one sentence at a time.' })
          await recogniser.accept(block)
        }),
        end: async () => {
          await this.#o.turn()
          return textOf((await recogniser.final()).words)
        },
        release: () => {
          recogniser.reset()
          this.#recognisers.push(recogniser)
        },
      }
    })
  }

  /** Ears for the wake word alone: the same two stages that the box listens with. @throws MtorError BUSY */
  async spot(onWake: () => void): Promise<Listening> {
    return this.#take(async () => {
      const spotter = this.#spotters.pop() ?? await this.#newSpotter()
      const { pipeline } = spotter
      spotter.onWake = onWake
      let samples = 0
      return {
        push: (more) => this.#inBlocks(more, (block) => pipeline.push(block, ((samples += block.length) / SAMPLE_RATE_HZ) * 1_000)),
        end: async () => { await pipeline.flush(); return undefined },
        release: () => {
          spotter.onWake = () => {}
          pipeline.reset()
          this.#spotters.push(spotter)
        },
      }
    })
  }

  close(): void {
    for (const { pipeline } of this.#spotters.splice(0)) pipeline.close()
    for (const recogniser of this.#recognisers.splice(0)) recogniser.close()
  }

  async #newSpotter(): Promise<Spotter> {
    const holder: { onWake: () => void } = { onWake: () => {} }
    const pipeline: SpeechPipeline = await this.#o.ears.beside((message) => {
      if (message.kind !== 'wake') return
      holder.onWake()
      // What follows is no command: the word may come again at once.
      pipeline.reset()
    })
    return Object.assign(holder, { pipeline })
  }

  async #take(make: () => Promise<Listening>): Promise<Listening> {
    if (this.#taken >= this.#o.maxStreams) throw new MtorError('BUSY', `more than ${this.#o.maxStreams} sounds at once`, { hint: 'Try again shortly; the limit is dialects.wyoming.maxStreams.' })
    this.#taken++
    try {
      const listening = await make()
      let released = false
      const release = () => {
        if (released) return
        released = true
        this.#taken--
        listening.release()
      }
      return { ...listening, release }
    } catch (error) { this.#taken--; throw error }
  }

  async #inBlocks(samples: Int16Array, work: (block: Int16Array) => Promise<void>): Promise<void> {
    for (let at = 0; at < samples.length; at += BLOCK_SAMPLES) {
      await this.#o.turn()
      await work(samples.subarray(at, at + BLOCK_SAMPLES))
    }
  }
}
