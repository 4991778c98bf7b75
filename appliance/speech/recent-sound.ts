/** A frame of the capture path: 512 samples at 16 kHz. */
const FRAME_SAMPLES = 512
const FRAME_MS = 32

/** What was heard last, to cut an utterance out of afterwards. */
export class RecentSound {
  readonly #maxFrames: number
  #frames: { samples: Int16Array; endMs: number }[] = []

  constructor(memoryS: number) { this.#maxFrames = Math.ceil((memoryS * 16_000) / FRAME_SAMPLES) }

  /** @param endMs time of the frame's last sample */
  push(samples: Int16Array, endMs: number): void {
    this.#frames.push({ samples, endMs })
    if (this.#frames.length > this.#maxFrames) this.#frames.shift()
  }

  /** The frames that touch a stretch of time; undefined where nothing is left of it. */
  between(fromMs: number, toMs: number): Int16Array | undefined {
    const parts = this.#frames.filter(({ endMs }) => endMs >= fromMs && endMs - FRAME_MS <= toMs).map((frame) => frame.samples)
    if (parts.length === 0) return undefined
    const samples = new Int16Array(parts.length * FRAME_SAMPLES)
    parts.forEach((part, i) => { samples.set(part, i * FRAME_SAMPLES) })
    return samples
  }
}
