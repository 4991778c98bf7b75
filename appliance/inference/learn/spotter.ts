import { BANDS, frameBands, FRAME_SAMPLES, HOP_SAMPLES, normaliseWindow, RATE_HZ, WINDOW_FRAMES } from './features.ts'

/** A window is scored every so many frames: 100 ms. */
export const STEP_FRAMES = 10
export const STEP_S = STEP_FRAMES * HOP_SAMPLES / RATE_HZ
/** The same word again counts only after this. */
const AGAIN_STEPS = 10

/**
 * When scores, one each 100 ms, mean that the word was said: two of them in a row are together high enough. Measuring and
 * listening use the same rule.
 */
export class FiringRule {
  readonly #threshold: number
  #last = 0
  #quiet = 0
  constructor(threshold: number) { this.#threshold = threshold }

  /** The confidence with which it fires now; undefined where it does not. */
  push(score: number): number | undefined {
    const both = (score + this.#last) / 2
    this.#last = score
    if (this.#quiet > 0) { this.#quiet--; return undefined }
    if (both < this.#threshold) return undefined
    this.#quiet = AGAIN_STEPS
    return both
  }

  reset(): void { this.#last = 0; this.#quiet = 0 }
}

/** Of no sound at all. */
const SILENT_BAND = Math.log(1e-10)

/** The last second of a stream as windows of features, one each `stepFrames` × 10 ms. */
export class FeatureStream {
  readonly #stepFrames: number
  readonly #afterSilence: boolean
  #rest = new Float32Array(FRAME_SAMPLES)
  #filled = 0
  #bands = new Float32Array(WINDOW_FRAMES * BANDS)
  #frames = 0
  #toNext: number

  /** `afterSilence`: what was before the first sample is taken for silence, so that windows come at once; else only after a second. */
  constructor({ stepFrames = STEP_FRAMES, afterSilence = false }: { stepFrames?: number; afterSilence?: boolean } = {}) {
    this.#stepFrames = stepFrames
    this.#afterSilence = afterSilence
    this.#toNext = stepFrames
    this.reset()
  }

  /** Takes samples; calls `onWindow` with each window that is complete, [98 × 40]. It is a new array each time. */
  push(samples: Int16Array, onWindow: (features: Float32Array) => void): void {
    for (const sample of samples) {
      this.#rest[this.#filled++] = sample / 32768
      if (this.#filled < FRAME_SAMPLES) continue
      this.#bands.copyWithin(0, BANDS)
      frameBands(this.#rest, 0, this.#bands, (WINDOW_FRAMES - 1) * BANDS)
      this.#rest.copyWithin(0, HOP_SAMPLES)
      this.#filled -= HOP_SAMPLES
      this.#frames++
      if (--this.#toNext > 0) continue
      this.#toNext = this.#stepFrames
      if (this.#frames < WINDOW_FRAMES) continue
      const features = new Float32Array(WINDOW_FRAMES * BANDS)
      normaliseWindow(this.#bands, 0, features)
      onWindow(features)
    }
  }

  reset(): void {
    this.#filled = 0
    this.#frames = this.#afterSilence ? WINDOW_FRAMES : 0
    this.#toNext = this.#stepFrames
    if (this.#afterSilence) this.#bands.fill(SILENT_BAND)
  }
}
