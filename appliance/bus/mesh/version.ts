import type { Clock } from '../../contracts/clock.ts'

/** When something was said, and by which node; of two the later counts, everywhere. Names every message of a realm. */
export interface Version { t: number; n: string }

export const isLater = (a: Version, b: Version): boolean => a.t !== b.t ? a.t > b.t : a.n > b.n
export const isSame = (a: Version, b: Version): boolean => a.t === b.t && a.n === b.n
export const idOf = ({ t, n }: Version): string => `${t.toString(36)}.${n}`
/** Microseconds of the year 2200: whoever says it is later is broken, and would take everyone's time along. */
export const MAX_TIME_US = 7_258_118_400_000_000
/** Two clocks that are set are closer than this, µs. */
const SKEW_US = 2_000_000

/**
 * A hybrid logical clock, in microseconds: later than everything that was seen, and wall time where that is known good
 * and ahead. Thus a board without a clock, or one whose clock jumps back, still says newer things than those it answers.
 * @see Kulkarni et al., Logical Physical Clocks (2014), https://cse.buffalo.edu/tech-reports/2014-04.pdf
 */
export class VersionClock {
  readonly #clock: Clock
  readonly #node: string
  #lastUs = 0

  constructor(clock: Clock, node: string) {
    this.#clock = clock
    this.#node = node
  }

  get nowUs(): number { return Math.max(this.#lastUs, this.#wallUs) }

  next(): Version { return { t: this.#lastUs = Math.max(this.#lastUs + 1, this.#wallUs), n: this.#node } }

  seen(t: number): void { if (t > this.#lastUs && t <= MAX_TIME_US) this.#lastUs = t }

  /** True when our time says nothing beside the other's: what this process has said so far would wrongly count as old. */
  isBehind(t: number): boolean { return t > this.nowUs + SKEW_US }

  get #wallUs(): number { return Math.round((this.#clock.wallMs() ?? 0) * 1_000) }
}
