import { FRAME_SAMPLES } from './vad.ts'

/** Voice activity of the last frames of a stream, found by the number of a sample. */
export class ActivityTrack {
  readonly #probabilities: Float32Array
  #frames = 0

  /** @param frames how many frames are remembered */
  constructor(frames: number) { this.#probabilities = new Float32Array(frames) }

  /** The probability of voice in the next frame, 0 to 1. */
  push(probability: number): void { this.#probabilities[this.#frames++ % this.#probabilities.length] = probability }

  /** The probability of voice around a sample; 0 where that is forgotten or still to come. */
  at(sample: number): number {
    const frame = Math.floor(sample / FRAME_SAMPLES)
    const isKept = frame >= 0 && frame < this.#frames && frame >= this.#frames - this.#probabilities.length
    return isKept ? this.#probabilities[frame % this.#probabilities.length]! : 0
  }
}
