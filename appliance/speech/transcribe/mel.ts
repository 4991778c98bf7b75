/** Whisper hears 16 kHz in frames of 25 ms, one every 10 ms. */
export const SAMPLE_RATE_HZ = 16_000
export const HOP_SAMPLES = 160
const FRAME_SAMPLES = 400
const BINS = FRAME_SAMPLES / 2 + 1
const HALF = FRAME_SAMPLES / 2
/** Quieter than this is taken for this: log10 of power. */
const FLOOR = -10
/** Of the loudest, log10: what is quieter is raised to it. */
const RANGE = 8

/**
 * Centre frequencies of `bands` triangles and the two edges, Hz: linear below 1 kHz, logarithmic above.
 * @see M. Slaney, "Auditory Toolbox", 1998
 */
function melEdges(bands: number): number[] {
  const linear = 200 / 3
  const step = Math.log(6.4) / 27
  const top = 15 + Math.log(SAMPLE_RATE_HZ / 2 / 1000) / step
  return Array.from({ length: bands + 2 }, (_, i) => {
    const mel = (i * top) / (bands + 1)
    return mel < 15 ? mel * linear : 1000 * Math.exp(step * (mel - 15))
  })
}

/** One triangle of equal area each: its first bin and its weights. */
function melFilters(bands: number): { from: number; weights: Float64Array }[] {
  const edges = melEdges(bands)
  return Array.from({ length: bands }, (_, band) => {
    const [low, mid, high] = [edges[band]!, edges[band + 1]!, edges[band + 2]!]
    const weightOf = (hz: number) => Math.max(0, Math.min((hz - low) / (mid - low), (high - hz) / (high - mid))) * (2 / (high - low))
    const all = Float64Array.from({ length: BINS }, (_, bin) => weightOf((bin * SAMPLE_RATE_HZ) / FRAME_SAMPLES))
    const from = all.findIndex((weight) => weight > 0)
    const to = all.findLastIndex((weight) => weight > 0)
    return from < 0 ? { from: 0, weights: new Float64Array(0) } : { from, weights: all.slice(from, to + 1) }
  })
}

/** Hann, periodic. */
const WINDOW = Float64Array.from({ length: FRAME_SAMPLES }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / FRAME_SAMPLES))
/** cos and sin of 2π·k/400; the angle of bin b at sample n is (b·n mod 400). */
const COS = Float64Array.from({ length: FRAME_SAMPLES }, (_, k) => Math.cos((2 * Math.PI * k) / FRAME_SAMPLES))
const SIN = Float64Array.from({ length: FRAME_SAMPLES }, (_, k) => Math.sin((2 * Math.PI * k) / FRAME_SAMPLES))

/** Log-mel spectrograms as Whisper was trained on. */
export class LogMel {
  readonly bands: number
  readonly #filters: { from: number; weights: Float64Array }[]
  readonly #even = new Float64Array(HALF + 1)
  readonly #odd = new Float64Array(HALF + 1)
  readonly #power = new Float64Array(BINS)

  constructor(bands: number) {
    this.bands = bands
    this.#filters = melFilters(bands)
  }

  /**
   * `bands` × `frames`, row-major. The sound is followed by silence up to frames × 160 samples, and cut there.
   * @param samples 16 kHz, mono
   */
  of(samples: Int16Array, frames: number): Float32Array {
    const length = frames * HOP_SAMPLES
    const sound = Float64Array.from(samples.subarray(0, length), (value) => value / 32_768)
    const out = new Float32Array(this.bands * frames).fill(FLOOR)
    let loudest = FLOOR
    for (let frame = 0; frame < frames; frame++) {
      const start = frame * HOP_SAMPLES - HALF
      if (start >= sound.length) break
      this.#spectrum(sound, start, length)
      for (const [band, { from, weights }] of this.#filters.entries()) {
        let sum = 0
        for (let i = 0; i < weights.length; i++) sum += weights[i]! * this.#power[from + i]!
        const value = Math.log10(Math.max(sum, 10 ** FLOOR))
        out[band * frames + frame] = value
        if (value > loudest) loudest = value
      }
    }
    for (let i = 0; i < out.length; i++) out[i] = (Math.max(out[i]!, loudest - RANGE) + 4) / 4
    return out
  }

  /**
   * Power of one frame, by the discrete Fourier transform as it is written: its even and odd parts are told apart first,
   * which halves the work. 400 is no power of two, and all of it is a tenth of what the model takes.
   */
  #spectrum(sound: Float64Array, start: number, length: number): void {
    const even = this.#even
    const odd = this.#odd
    // The sound is mirrored at both its ends.
    const at = (n: number) => {
      const i = start + n
      return (sound[i < 0 ? -i : i < length ? i : 2 * (length - 1) - i] ?? 0) * WINDOW[n]!
    }
    even[0] = at(0)
    for (let n = 1; n < HALF; n++) {
      const a = at(n)
      const b = at(FRAME_SAMPLES - n)
      even[n] = a + b
      odd[n] = a - b
    }
    even[HALF] = at(HALF)
    for (let bin = 0; bin < BINS; bin++) {
      let real = 0
      let imaginary = 0
      for (let n = 0, angle = 0; n <= HALF; n++) {
        real += even[n]! * COS[angle]!
        imaginary += odd[n]! * SIN[angle]!
        angle += bin
        if (angle >= FRAME_SAMPLES) angle -= FRAME_SAMPLES
      }
      this.#power[bin] = real * real + imaginary * imaginary
    }
  }
}
