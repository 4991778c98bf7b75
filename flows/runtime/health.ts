import { randomUUID } from 'node:crypto'
import type { Clock, Timer } from '../../appliance/contracts/clock.ts'
import { toMtorError } from '../../appliance/contracts/errors.ts'

/** So many probes in a row may be lost: one may fall into a deploy. */
const MISSES = 2
/** After a start, until the first probe must be back; tried often meanwhile. */
const GRACE_MS = 12_000
const FIRST_PERIOD_MS = 500
/** One that was sent before Node-RED was connected may be lost: the next one is not kept waiting for it. */
const FIRST_TIMEOUT_MS = 1_500

export interface HealthOptions {
  clock: Clock
  periodMs: number
  timeoutMs: number
  /** Sends an intent with that nonce through the probe flow; rejects where it did not come back with it in time. */
  probe(nonce: string, timeoutMs: number): Promise<void>
  /** The first probe came back. */
  onProven(): void
  onHung(reason: string): void
}

/** Proves again and again that flows run, by an intent that goes through the built-in flow and back. */
export class Health {
  readonly #o: HealthOptions
  #timer: Timer | undefined
  /** Counts starts and stops, so that an answer for an older life is not taken for this one. */
  #life = 0
  #sinceMs = 0
  #proven = false
  #misses = 0
  #lastMs: number | undefined

  constructor(options: HealthOptions) { this.#o = options }

  /** Duration of the last probe that came back, and how many were lost since. */
  get state(): { proven: boolean; misses: number; lastMs?: number } { return { proven: this.#proven, misses: this.#misses, ...(this.#lastMs === undefined ? {} : { lastMs: this.#lastMs }) } }

  /** A life begins: Node-RED has started its flows. */
  start(): void {
    this.stop()
    this.#sinceMs = this.#o.clock.monoMs()
    this.#proven = false
    this.#lastMs = undefined
    void this.#prove(this.#life)
  }

  /** A deploy has started the flows anew: what is lost meanwhile is no sign. */
  excuse(): void { this.#misses = 0 }

  stop(): void {
    this.#life++
    this.#misses = 0
    this.#o.clock.clearTimeout(this.#timer)
  }

  async #prove(life: number): Promise<void> {
    const { clock, timeoutMs, periodMs, probe } = this.#o
    const startMs = clock.monoMs()
    let failure: string | undefined
    try { await probe(randomUUID(), this.#proven ? timeoutMs : Math.min(FIRST_TIMEOUT_MS, timeoutMs)) } catch (thrown) { failure = toMtorError(thrown).message }
    if (life !== this.#life) return
    const nowMs = clock.monoMs()
    if (failure === undefined) {
      this.#misses = 0
      this.#lastMs = Math.round((nowMs - startMs) * 10) / 10
      if (!this.#proven) { this.#proven = true; this.#o.onProven() }
    } else if (!this.#proven) {
      if (nowMs - this.#sinceMs >= GRACE_MS) { this.#o.onHung(`no probe intent came back within ${Math.round((nowMs - this.#sinceMs) / 1000)} s of its start: ${failure}`); return }
    } else if (++this.#misses >= MISSES) { this.#o.onHung(`${this.#misses} probe intents in a row did not come back: ${failure}`); return }
    this.#timer = clock.setTimeout(() => { void this.#prove(life) }, this.#proven ? Math.max(0, periodMs - (nowMs - startMs)) : Math.min(FIRST_PERIOD_MS, periodMs))
  }
}
