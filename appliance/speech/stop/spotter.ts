import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { InferenceSession } from 'onnxruntime-node'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import { BANDS, WINDOW_FRAMES } from '../../inference/learn/features.ts'
import { FeatureStream } from '../../inference/learn/spotter.ts'

type Ort = typeof import('onnxruntime-node')

/** The head, as `train.ts` wrote it. */
export const STOP_HEAD = join(import.meta.dirname, 'stop.onnx')
/** Changes with each training. */
export const STOP_HEAD_SHA256 = 'eb7f9e5bbb47ea87b47163b6fe96c0b209da579634fd87288aec8ad62f92eda9'
/** A window is scored every 50 ms: the word is heard 25 ms late on average. */
const STEP_FRAMES = 5
/** Root mean square of 32 ms (of 32768, about −66 dBFS) below which it is silent: the gate of voice activity. */
const GATE_RMS = 16
/** The head goes on for this long behind the last frame above the gate: the word is best known 0.1 to 0.25 s after its end. */
const GATE_HOLD_FRAMES = 12

/** Scores the last second of a stream for the word "stop". */
export class StopSpotter {
  readonly #ort: Ort
  readonly #session: InferenceSession
  readonly #stream = new FeatureStream({ stepFrames: STEP_FRAMES, afterSilence: true })
  #hold = 0

  private constructor(ort: Ort, session: InferenceSession) {
    this.#ort = ort
    this.#session = session
  }

  /** @throws MtorError MODEL_UNTRUSTED where the file is not the one that was measured */
  static async load(): Promise<StopSpotter> {
    const ort = await import('onnxruntime-node')
    const bytes = await readFile(STOP_HEAD)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    if (sha256 !== STOP_HEAD_SHA256) throw new MtorError('MODEL_UNTRUSTED', `${STOP_HEAD}: expected SHA-256 ${STOP_HEAD_SHA256}, got ${sha256}`)
    const session = await ort.InferenceSession.create(bytes, { executionProviders: ['cpu'], intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential', enableCpuMemArena: false, enableMemPattern: false, logSeverityLevel: 3 })
    return new StopSpotter(ort, session)
  }

  /** Another stream through the same head. Only the first one is closed. */
  beside(): StopSpotter { return new StopSpotter(this.#ort, this.#session) }

  /** The next samples, 16 kHz. The scores of the windows that are complete now, 0 to 1; none where it is quiet. One call at a time. */
  async push(frame: Int16Array): Promise<number[]> {
    this.#hold = rms(frame) >= GATE_RMS ? GATE_HOLD_FRAMES : Math.max(0, this.#hold - 1)
    const windows: Float32Array[] = []
    this.#stream.push(frame, (features) => { if (this.#hold > 0) windows.push(features) })
    const scores: number[] = []
    for (const features of windows) {
      const result = await this.#session.run({ features: new this.#ort.Tensor('float32', features, [1, WINDOW_FRAMES, BANDS]) })
      scores.push((result['score']!.data as Float32Array)[0]!)
    }
    return scores
  }

  reset(): void {
    this.#stream.reset()
    this.#hold = 0
  }

  close(): Promise<void> { return this.#session.release() }
}

/** The head, or undefined where it is not fit for use: then "stop" is heard by the recogniser alone, and `report` is told. */
export async function openSpotter(report: (error: MtorError) => void): Promise<StopSpotter | undefined> {
  try { return await StopSpotter.load() } catch (thrown) {
    const { code, message, hint } = toMtorError(thrown)
    report(new MtorError(code, `shouted stops are missed: ${message}`, { cause: thrown, hint }))
    return undefined
  }
}

function rms(frame: Int16Array): number {
  let sum = 0
  for (const s of frame) sum += s * s
  return Math.sqrt(sum / frame.length)
}
