/**
 * Mean of two scores in a row, 50 ms apart, from which on the head has heard "stop". A missed stop costs much and a false
 * one little; docs/08-stop.md has what each threshold hears and costs. Chosen on 42 recordings of people (2026-11-30).
 */
export interface StopTuning {
  /** Anything that is said: 42 of 42, also 10 dB louder and 20 dB quieter; 1 false stop in 8 min of telephone prompts. */
  threshold: number
  /** Sound that clips: somebody shouts, which is rare, and what is left of the word scores less. 41 of 42 at +30 dB; 39 at 0.5. */
  clipped: number
  /** The box itself speaks: its voice lies over the word. At 0.45 five of 28 of its own sentences stopped it, at 0.55 two; the goal is none. */
  whileSpeaking: number
  /** One score, where the streaming recogniser, which knows few words, has heard the word too. */
  confirming: number
}

export const STOP_TUNING: StopTuning = { threshold: 0.5, clipped: 0.3, whileSpeaking: 0.5, confirming: 0.3 }

/** The same word again counts only after this: 0.6 s. */
const AGAIN_STEPS = 12

/** Scores, one each 50 ms: two of them in a row must be high enough together. Measuring and listening use the same rule. */
export class StopRule {
  #last = 0
  #quiet = 0

  /** The confidence with which it fires now; undefined where it does not. */
  push(score: number, threshold: number): number | undefined {
    const both = this.mean(score)
    if (this.#quiet > 0) { this.#quiet--; return undefined }
    if (both < threshold) return undefined
    this.#quiet = AGAIN_STEPS
    return both
  }

  /** The mean of this score and the last, which the threshold is for. */
  mean(score: number): number {
    const both = (score + this.#last) / 2
    this.#last = score
    return both
  }

  reset(): void {
    this.#last = 0
    this.#quiet = 0
  }
}
