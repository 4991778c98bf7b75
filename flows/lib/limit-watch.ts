export interface LimitOptions {
  above?: number | undefined
  below?: number | undefined
  /** How many readings in a row it takes, for the violation and for the recovery. */
  count: number
  /** How far inside the limit a reading must be to count for the recovery. */
  hysteresis: number
  /** After a violation: told again only after a recovery, after this time without one (ms), or after `rearm()`. */
  rearm: 'recovery' | 'time' | 'manual'
  rearmMs: number
}
export type LimitOutcome = 'violated' | 'recovered'

/** Tells when a value has been beyond a limit for some readings in a row, once, and when it is back. */
export class LimitWatch {
  readonly #o: LimitOptions
  #beyond = 0
  #inside = 0
  #violatedAtMs: number | undefined
  #isLatched = false

  constructor(options: LimitOptions) { this.#o = options }

  get violated() { return this.#violatedAtMs !== undefined }
  /** Readings in a row that were beyond the limit. */
  get beyond() { return this.#beyond }

  /** Takes a reading. @returns what it changed, if anything */
  take(value: number, nowMs: number): LimitOutcome | undefined {
    const { above, below, count, hysteresis, rearm, rearmMs } = this.#o
    const isBeyond = (above !== undefined && value > above) || (below !== undefined && value < below)
    const isInside = (above === undefined || value <= above - hysteresis) && (below === undefined || value >= below + hysteresis)
    this.#beyond = isBeyond ? this.#beyond + 1 : 0
    this.#inside = isInside ? this.#inside + 1 : 0
    if (this.#violatedAtMs === undefined) {
      if (this.#beyond < count || this.#isLatched) return undefined
      this.#violatedAtMs = nowMs
      this.#isLatched = rearm === 'manual'
      return 'violated'
    }
    if (this.#inside >= count) {
      this.#violatedAtMs = undefined
      return 'recovered'
    }
    if (rearm === 'time' && this.#beyond >= count && nowMs - this.#violatedAtMs >= rearmMs) {
      this.#violatedAtMs = nowMs
      return 'violated'
    }
    return undefined
  }

  /** Forgets everything: the next violation is told again. */
  rearm(): void {
    this.#beyond = this.#inside = 0
    this.#violatedAtMs = undefined
    this.#isLatched = false
  }
}
