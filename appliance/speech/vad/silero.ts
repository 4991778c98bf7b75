import type { InferenceSession } from 'onnxruntime-node'
import { MtorError } from '../../contracts/errors.ts'

/** Samples of one frame: 32 ms at 16 kHz. */
export const FRAME_SAMPLES = 512
export const SAMPLE_RATE_HZ = 16_000
export const FRAME_MS = FRAME_SAMPLES * 1000 / SAMPLE_RATE_HZ

const CONTEXT_SAMPLES = 64
const STATE_LENGTH = 2 * 1 * 128

/**
 * Silero VAD v5, 16 kHz: one call takes 64 samples of the frame before and 512 of this one and the recurrent
 * state [2, 1, 128], and gives the probability that this frame is speech.
 * @see https://github.com/snakers4/silero-vad (model description of version 5)
 */
export class SileroVad {
  #session: InferenceSession
  #ort: typeof import('onnxruntime-node')
  #input = new Float32Array(CONTEXT_SAMPLES + FRAME_SAMPLES)
  #state: Float32Array = new Float32Array(STATE_LENGTH)

  private constructor(ort: typeof import('onnxruntime-node'), session: InferenceSession) {
    this.#ort = ort
    this.#session = session
  }

  /** @throws MtorError ENGINE_MISSING where onnxruntime or the model does not load, or the model is of another version. */
  static async load(file: string): Promise<SileroVad> {
    try {
      const ort = await import('onnxruntime-node')
      // One thread: a frame takes 0.1 ms, and more threads only spin.
      const session = await ort.InferenceSession.create(file, {
        executionProviders: ['cpu'], intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential',
        enableCpuMemArena: false, enableMemPattern: false, logSeverityLevel: 3,
      })
      const names = [...session.inputNames].sort().join()
      if (names !== 'input,sr,state') throw new MtorError('ENGINE_MISSING', `the voice activity model has inputs ${names}; Silero version 5 has input,sr,state`)
      return new SileroVad(ort, session)
    } catch (error) {
      if (error instanceof MtorError) throw error
      throw new MtorError('ENGINE_MISSING', `voice activity model ${file} did not load: ${String(error)}`, { cause: error })
    }
  }

  /** Another stream through the same loaded weights. */
  beside(): SileroVad { return new SileroVad(this.#ort, this.#session) }

  /** Probability, 0 to 1, that `frame` (512 samples) is speech. Frames must come in order, one call at a time. */
  async probability(frame: Int16Array): Promise<number> {
    this.#input.copyWithin(0, FRAME_SAMPLES)
    for (let i = 0; i < FRAME_SAMPLES; i++) this.#input[CONTEXT_SAMPLES + i] = (frame[i] ?? 0) / 32768
    const { Tensor } = this.#ort
    const result = await this.#session.run({
      input: new Tensor('float32', this.#input, [1, this.#input.length]),
      state: new Tensor('float32', this.#state, [2, 1, 128]),
      sr: new Tensor('int64', BigInt64Array.of(BigInt(SAMPLE_RATE_HZ)), []),
    })
    this.#state = result['stateN']!.data as Float32Array
    return (result['output']!.data as Float32Array)[0]!
  }

  reset(): void {
    this.#input.fill(0)
    this.#state = new Float32Array(STATE_LENGTH)
  }

  async close(): Promise<void> { await this.#session.release() }
}
