/** Makes one channel of several. A beam former takes this place when there is one. */
export interface ChannelReducer {
  /** @param interleaved frames × channels samples @returns frames samples, valid until the next call */
  reduce(interleaved: Int16Array): Int16Array
}

/** Channels within this of the strongest (power ratio, 10 dB) take part. */
const NEAR_STRONGEST = 0.1
/** Variance below this is a dead channel: an unplugged microphone gives zeros, a constant, or the last bit's noise. */
const DEAD_VARIANCE = 0.5
/** A channel that does not move with the strongest one (out of phase, another sound) would cancel or blur it. */
const MIN_CORRELATION = 0.3
/** Time constant of the levels, s. */
const LEVEL_S = 0.3

/**
 * Averages the channels that are alive, about as strong as the strongest, and in phase with it. The others are left out
 * (dead microphones, loopback channels). Weights move along a ramp within a block, so that no step is heard.
 */
export class ChannelMix implements ChannelReducer {
  readonly #channels: number
  readonly #sampleRateHz: number
  #mean: Float64Array
  #power: Float64Array
  #cross: Float64Array
  #weights: Float64Array | undefined
  #strongest = 0
  #seen = 0

  constructor(channels: number, sampleRateHz: number) {
    this.#channels = channels
    this.#sampleRateHz = sampleRateHz
    this.#mean = new Float64Array(channels)
    this.#power = new Float64Array(channels)
    this.#cross = new Float64Array(channels)
  }

  /** Present share of each channel; they add up to 1, or are all 0 while every channel is dead. */
  get weights(): number[] { return this.#weights ? [...this.#weights] : [] }
  /** Channels that carry no sound. */
  get dead(): number[] {
    if (this.#seen === 0) return []
    return [...this.#power.keys()].filter((channel) => this.#power[channel]! < DEAD_VARIANCE)
  }

  reduce(interleaved: Int16Array): Int16Array {
    const channels = this.#channels
    if (channels === 1) return interleaved
    const frames = Math.floor(interleaved.length / channels)
    this.#measure(interleaved, frames)
    const target = this.#target()
    // Out of silence there is nothing to ramp from: a ramp would soften the first consonant.
    const from = this.#weights?.some((weight) => weight > 0) ? this.#weights : target
    const mono = new Int16Array(frames)
    const level = new Float64Array(from)
    const step = target.map((value, c) => (value - from[c]!) / Math.max(1, frames))
    for (let i = 0, at = 0; i < frames; i++, at += channels) {
      let sum = 0
      for (let c = 0; c < channels; c++) sum += interleaved[at + c]! * (level[c]! += step[c]!)
      mono[i] = Math.round(sum)
    }
    this.#weights = target
    return mono
  }

  #measure(interleaved: Int16Array, frames: number) {
    if (frames === 0) return
    const channels = this.#channels
    // The first block counts fully, so that the first syllable already has the right microphones.
    const keep = this.#seen === 0 ? 0 : Math.exp(-frames / (LEVEL_S * this.#sampleRateHz))
    this.#seen += frames
    for (let c = 0; c < channels; c++) {
      let sum = 0
      let squares = 0
      let cross = 0
      for (let at = c, reference = this.#strongest; at < interleaved.length; at += channels, reference += channels) {
        const value = interleaved[at]!
        sum += value
        squares += value * value
        cross += value * interleaved[reference]!
      }
      this.#mean[c] = keep * this.#mean[c]! + (1 - keep) * (sum / frames)
      this.#power[c] = keep * this.#power[c]! + (1 - keep) * Math.max(0, squares / frames - (sum / frames) ** 2)
      this.#cross[c] = keep * this.#cross[c]! + (1 - keep) * (cross / frames)
    }
    const strongest = this.#power.indexOf(Math.max(...this.#power))
    // Correlations are kept against the strongest channel; a new one starts them afresh, from this block.
    if (strongest !== this.#strongest) {
      this.#strongest = strongest
      for (let c = 0; c < channels; c++) {
        let cross = 0
        for (let at = 0; at < frames * channels; at += channels) {
          cross += interleaved[at + c]! * interleaved[at + strongest]!
        }
        this.#cross[c] = cross / frames
      }
    }
  }

  #target(): Float64Array {
    const best = this.#power[this.#strongest]!
    const weights = new Float64Array(this.#channels)
    if (best < DEAD_VARIANCE) return weights
    let taken = 0
    for (let c = 0; c < weights.length; c++) {
      const power = this.#power[c]!
      const covariance = this.#cross[c]! - this.#mean[c]! * this.#mean[this.#strongest]!
      const isInPhase = c === this.#strongest || covariance / Math.sqrt(power * best || 1) > MIN_CORRELATION
      if (power < best * NEAR_STRONGEST || power < DEAD_VARIANCE || !isInPhase) continue
      weights[c] = 1
      taken++
    }
    return weights.map((weight) => weight / taken)
  }
}
