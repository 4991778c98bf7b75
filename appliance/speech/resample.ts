import { MtorError } from '../contracts/errors.ts'

/**
 * Streaming sample-rate conversion by a polyphase windowed-sinc filter.
 * The filter passes up to 0.92 of the lower Nyquist frequency flat within 0.1 dB and rejects from 1.01 of it by 80 dB:
 * from 48 to 16 kHz, flat to 7.3 kHz; from 11,025 Hz to 16 kHz, flat to 5.1 kHz and no image above 5.6 kHz.
 * A shorter filter would take the top of the band, where "t", "f" and "s" differ, from sound that has little of it.
 * @see J. O. Smith, "Digital Audio Resampling", CCRMA; J. F. Kaiser, 1974 (window)
 */
const ZERO_CROSSINGS = 64
const KAISER_BETA = 7.86
/** Cut-off (−6 dB) as a part of the lower of the two Nyquist frequencies. */
const CUTOFF = 0.968
/** Rates without a small common ratio share this many phases, interpolated between. */
const MAX_PHASES = 640

export class Resampler {
  readonly fromHz: number
  readonly toHz: number
  /** Filter delay in input samples; `push` makes up for it, so output sample 0 is at the time of input sample 0. */
  readonly #half: number
  readonly #taps: number
  readonly #phases: number
  readonly #exact: boolean
  readonly #table: Float32Array
  #history: Float32Array
  /** Input samples in #history. */
  #held: number
  /** Input index of history[0], counted from the start of the stream. */
  #base: number
  #produced = 0

  /**
   * @param fromHz input rate, Hz, whole
   * @param toHz output rate, Hz, whole
   * @throws MtorError AUDIO_INVALID for a rate that is none
   */
  constructor(fromHz: number, toHz = 16_000) {
    for (const rate of [fromHz, toHz]) {
      if (!Number.isSafeInteger(rate) || rate < 1) {
        throw new MtorError('AUDIO_INVALID', `expected a sample rate in whole Hz, got ${rate}`)
      }
    }
    this.fromHz = fromHz
    this.toHz = toHz
    const ratio = Math.min(1, toHz / fromHz)
    this.#half = Math.ceil(ZERO_CROSSINGS / (ratio * CUTOFF))
    this.#taps = 2 * this.#half
    const phases = toHz / gcd(fromHz, toHz)
    this.#exact = phases <= MAX_PHASES
    this.#phases = this.#exact ? phases : MAX_PHASES
    this.#table = buildTable(this.#phases, this.#half, ratio * CUTOFF)
    this.#history = new Float32Array(this.#taps + 8_192)
    // The stream is preceded by silence, so that the first output sample has a full filter.
    this.#held = this.#half - 1
    this.#base = -this.#held
  }

  /** By how many output samples `push` runs behind its input: the half filter it must see first. */
  get delaySamples() { return this.fromHz === this.toHz ? 0 : Math.ceil((this.#half * this.toHz) / this.fromHz) }

  /** Converts the next mono samples; returns what is ready. */
  push(input: Int16Array): Int16Array {
    if (this.fromHz === this.toHz) return input
    this.#append(input)
    return this.#drain()
  }

  /** The rest of the stream, held back by the filter. Nothing may be pushed after it. */
  flush(): Int16Array {
    if (this.fromHz === this.toHz) return new Int16Array(0)
    const end = this.#base + this.#held
    this.#append(new Int16Array(this.#half + 1))
    return this.#drain(Math.ceil((end * this.toHz) / this.fromHz))
  }

  #append(input: Int16Array) {
    if (this.#held + input.length > this.#history.length) {
      const grown = new Float32Array(this.#held + input.length + 8_192)
      grown.set(this.#history.subarray(0, this.#held))
      this.#history = grown
    }
    this.#history.set(input, this.#held)
    this.#held += input.length
  }

  #drain(upTo = Infinity): Int16Array {
    const { fromHz, toHz } = this
    const newest = this.#base + this.#held - 1
    // Output n lies at input position n·from/to and needs `half` samples after its whole part.
    const last = Math.min(upTo, Math.ceil(((newest - this.#half + 1) * toHz) / fromHz))
    const output = new Int16Array(Math.max(0, last - this.#produced))
    const taps = this.#taps
    for (let i = 0; i < output.length; i++) {
      const scaled = this.#produced * fromHz
      const whole = Math.floor(scaled / toHz)
      const value = this.#filter(whole - this.#half + 1 - this.#base, (scaled - whole * toHz) / toHz, taps)
      output[i] = value > 32_767 ? 32_767 : value < -32_768 ? -32_768 : Math.round(value)
      this.#produced++
    }
    const needFrom = Math.floor((this.#produced * fromHz) / toHz) - this.#half + 1
    const drop = Math.min(this.#held, Math.max(0, needFrom - this.#base))
    this.#history.copyWithin(0, drop, this.#held)
    this.#held -= drop
    this.#base += drop
    return output
  }

  #filter(start: number, fraction: number, taps: number): number {
    const history = this.#history
    const table = this.#table
    const at = fraction * this.#phases
    const phase = this.#exact ? Math.round(at) : Math.floor(at)
    let row = phase * taps
    let sum = 0
    for (let k = 0; k < taps; k++) sum += history[start + k]! * table[row + k]!
    if (this.#exact) return sum
    row += taps
    let next = 0
    for (let k = 0; k < taps; k++) next += history[start + k]! * table[row + k]!
    return sum + (next - sum) * (at - phase)
  }
}

/**
 * Row p holds the filter for an output that lies p/phases of a sample after the tap `half − 1`.
 * There is one row more than there are phases, for interpolation.
 */
function buildTable(phases: number, half: number, cutoff: number): Float32Array {
  const taps = 2 * half
  const table = new Float32Array((phases + 1) * taps)
  for (let p = 0; p <= phases; p++) {
    let sum = 0
    for (let k = 0; k < taps; k++) {
      const t = k - (half - 1) - p / phases
      const value = Math.abs(t) >= half ? 0 : sinc(t * cutoff) * kaiser(t / half)
      table[p * taps + k] = value
      sum += value
    }
    // Each phase passes a constant unchanged; otherwise the phases would differ in gain and hum.
    for (let k = 0; k < taps; k++) table[p * taps + k]! /= sum
  }
  return table
}

const sinc = (x: number) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x))
const kaiser = (x: number) => bessel0(KAISER_BETA * Math.sqrt(Math.max(0, 1 - x * x))) / bessel0(KAISER_BETA)
/** Modified Bessel function of the first kind, order 0, by its power series. */
function bessel0(x: number): number {
  let sum = 1
  let term = 1
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2
    sum += term
  }
  return sum
}
function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b)
}
