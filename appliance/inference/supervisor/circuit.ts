import type { Clock } from '../../contracts/clock.ts'

/** Faults in a row, without a right answer in between, that open it. */
export const FAULTS_TO_OPEN = 5
const WINDOW_MS = 60_000
const FIRST_PAUSE_MS = 1_000
const LAST_PAUSE_MS = 60_000

export type CircuitState = 'closed' | 'open' | 'half-open'

/**
 * Circuit breaker of one model. Open: every request is refused at once, and no worker is spent on it. After a pause that
 * grows one proof is tried (half-open); only when that comes out right is the model used again.
 * @see Nygard, Release It!, 2nd edition, chapter 5 (Circuit Breaker)
 */
export class Circuit {
  readonly #clock: Clock
  #state: CircuitState = 'closed'
  #faultsMs: number[] = []
  #pauseMs = 0
  #openedMs = 0

  constructor(clock: Clock) { this.#clock = clock }

  get state(): CircuitState { return this.#state }
  get isClosed(): boolean { return this.#state === 'closed' }
  /** Until the next proof is tried, ms; 0 when that is due. */
  get retryAfterMs(): number { return this.isClosed ? 0 : Math.max(0, this.#openedMs + this.#pauseMs - this.#clock.monoMs()) }
  get isProbeDue(): boolean { return this.#state === 'open' && this.retryAfterMs === 0 }

  /** True when this fault opened it. */
  fault(): boolean {
    if (this.#state === 'half-open') return this.open()
    if (this.#state === 'open') return false
    const now = this.#clock.monoMs()
    this.#faultsMs = [...this.#faultsMs.filter((at) => now - at < WINDOW_MS), now]
    return this.#faultsMs.length >= FAULTS_TO_OPEN && this.open()
  }

  /** For what needs no counting: no provider can load it. True where it was not open. */
  open(): boolean {
    const was = this.#state
    this.#state = 'open'
    if (was === 'open') return false
    this.#pauseMs = was === 'half-open' ? Math.min(LAST_PAUSE_MS, this.#pauseMs * 2) : FIRST_PAUSE_MS
    this.#openedMs = this.#clock.monoMs()
    return was === 'closed'
  }

  probe(): void { if (this.#state === 'open') this.#state = 'half-open' }

  /** A known answer came out right: enough to close it, but no sign that what is asked works, so that faults go on counting. True when this closed it. */
  proven(): boolean { return !this.isClosed && this.right() }

  /** What was asked was answered. True when this closed it. */
  right(): boolean {
    this.#faultsMs = []
    const closed = !this.isClosed
    this.#state = 'closed'
    return closed
  }
}
