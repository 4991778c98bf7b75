import { readFileSync } from 'node:fs'

/**
 * Time, injected. `monoMs` is CLOCK_MONOTONIC in milliseconds (the same in every process of a board,
 * counted from boot); `wallMs` is Unix time, or undefined while the board's clock is not known good.
 */
export interface Clock {
  monoMs(): number
  wallMs(): number | undefined
  setTimeout(callback: () => void, delayMs: number): Timer
  clearTimeout(timer: Timer | undefined): void
}
export interface Timer { readonly timer: unknown }

/** A board that never had its clock set starts in 1970 or at its image's build date: before this, wall time is not believed. */
const EARLIEST_GOOD_WALL_MS = Date.UTC(2025, 0, 1)

export const systemClock: Clock = {
  monoMs: () => Number(process.hrtime.bigint() / 1000n) / 1000,
  wallMs: () => { const now = Date.now(); return now >= EARLIEST_GOOD_WALL_MS ? now : undefined },
  setTimeout: (callback, delayMs) => ({ timer: setTimeout(callback, delayMs) }),
  clearTimeout: (timer) => { if (timer) clearTimeout(timer.timer as NodeJS.Timeout) },
}

/** A clock for tests: time moves only by `advance`, which fires due timers in order. */
export class ManualClock implements Clock {
  #nowMs: number
  #wallOffsetMs: number | undefined
  #timers: { atMs: number; callback: () => void; timer: symbol }[] = []
  /** `wallMs` left out: a good wall clock; undefined: a wall clock that is not known good. */
  constructor(...[nowMs = 1_000, ...wall]: [nowMs?: number, wallMs?: number | undefined]) {
    this.#nowMs = nowMs
    const wallMs = wall.length === 0 ? Date.UTC(2026, 0, 1) : wall[0]
    this.#wallOffsetMs = wallMs === undefined ? undefined : wallMs - nowMs
  }
  monoMs() { return this.#nowMs }
  wallMs() { return this.#wallOffsetMs === undefined ? undefined : this.#nowMs + this.#wallOffsetMs }
  setTimeout(callback: () => void, delayMs: number): Timer {
    const timer = Symbol('timer')
    this.#timers.push({ atMs: this.#nowMs + Math.max(0, delayMs), callback, timer })
    return { timer }
  }
  clearTimeout(timer: Timer | undefined) { if (timer) this.#timers = this.#timers.filter((t) => t.timer !== timer.timer) }
  /** Moves time by `ms`, firing what falls due, and lets promises settle between timers. */
  async advance(ms: number) {
    const untilMs = this.#nowMs + ms
    for (;;) {
      const next = this.#timers.filter((t) => t.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0]
      if (!next) break
      this.#timers.splice(this.#timers.indexOf(next), 1)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.callback()
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.#nowMs = untilMs
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** The kernel's id of this boot: changes at every power-on. @see proc(5), /proc/sys/kernel/random/boot_id */
export function bootId(): string {
  try { return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() } catch { return 'unknown' }
}
