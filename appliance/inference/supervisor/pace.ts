const KEPT = 200
/** Fewer runs say too little. */
const ENOUGH = 20
/** Below this, scheduling and garbage collection of a busy board look like a hang. */
const LEAST_LIMIT_MS = 250
const LEAST_SUSPICION_MS = 60
/** Runs of inputs at least this large, relative to the one in question, tell how long it may take. */
const COMPARABLE = 0.75

interface Run { ms: number; size: number }

/**
 * How long the runs of one model take here, and from that how long one may take before its worker is taken for hung. The
 * manifest's limit is for the slowest board and the largest input; waiting that long for a hung worker on a fast one costs
 * seconds. `size` is any measure of the input that grows with the work (bytes of a file): a long recording after many
 * short ones is judged by the manifest's limit alone, and so is every second try, so that a limit that was drawn too tight costs one
 * restart and never an answer.
 */
export class Pace {
  #runs: Run[] = []
  #next = 0
  runs = 0

  add(ms: number, size = 0): void {
    this.#runs[this.#next] = { ms, size }
    this.#next = (this.#next + 1) % KEPT
    this.runs++
  }

  /** What was learned does not hold on another provider. */
  forget(): void { this.#runs = []; this.#next = 0 }

  /** Undefined before the first run. */
  quantile(q: number, runs: readonly Run[] = this.#runs): number | undefined {
    if (runs.length === 0) return undefined
    const sorted = runs.map(({ ms }) => ms).sort((a, b) => a - b)
    return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)]
  }

  /** One run at the most, ms: five times what 95 of 100 took and a little, never more than `mostMs`. */
  limitMs(mostMs: number, size = 0): number {
    const p95Ms = this.#comparable(size)
    return p95Ms === undefined ? mostMs : Math.min(mostMs, Math.max(LEAST_LIMIT_MS, 5 * p95Ms + 100))
  }

  /** After this long another worker that has nothing to do is asked as well; undefined while too little is known. */
  suspicionMs(size = 0): number | undefined {
    const p95Ms = this.#comparable(size)
    return p95Ms === undefined ? undefined : Math.max(LEAST_SUSPICION_MS, 1.5 * p95Ms)
  }

  #comparable(size: number): number | undefined {
    const runs = this.#runs.filter((run) => run.size >= size * COMPARABLE)
    return runs.length < ENOUGH ? undefined : this.quantile(0.95, runs)
  }
}
