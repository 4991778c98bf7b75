const ENDS = 3
const WITHIN_MS = 60_000
const FIRST_PAUSE_MS = 1_000
const LAST_PAUSE_MS = 60_000

/** Counts how often Node-RED ended under the same flows: three times in a minute are a crash loop. */
export class CrashLoop {
  #endsMs: number[] = []
  #loops = 0

  /** It ended at `nowMs`. True when that makes a crash loop; counting begins anew then. */
  ended(nowMs: number): boolean {
    this.#endsMs = [...this.#endsMs.filter((atMs) => nowMs - atMs < WITHIN_MS), nowMs]
    if (this.#endsMs.length < ENDS) return false
    this.#endsMs = []
    this.#loops++
    return true
  }

  /** Least pause before the next start: none until there was a crash loop, then longer with each further one. */
  get pauseMs(): number { return this.#loops === 0 ? 0 : Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#loops - 1)) }

  /** It has run well for long enough. */
  calm(): void {
    this.#endsMs = []
    this.#loops = 0
  }
}
