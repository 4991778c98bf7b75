import type { Clock } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'

/** A token bucket: `perSecond` sustained, `burst` at once. Time is given, so that one reading serves a whole socket chunk. */
export class TokenBucket {
  readonly #perMs: number
  readonly #burst: number
  #tokens: number
  #atMs: number

  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perMs = perSecond / 1000
    this.#burst = burst
    this.#tokens = burst
    this.#atMs = nowMs
  }

  refill(nowMs: number) {
    if (nowMs <= this.#atMs) return
    this.#tokens = Math.min(this.#burst, this.#tokens + (nowMs - this.#atMs) * this.#perMs)
    this.#atMs = nowMs
  }

  /** Takes one token; false when there is none. */
  take(): boolean {
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}

/** Lets the first in `burst` through, then `perSecond`, and counts what it held back. */
export class Throttle {
  readonly #bucket: TokenBucket
  readonly #clock: Clock
  #held = 0

  constructor(clock: Clock, perSecond: number, burst: number) {
    this.#clock = clock
    this.#bucket = new TokenBucket(perSecond, burst, clock.monoMs())
  }

  /** How many were held back since the last that went through, or undefined when this one is held back too. */
  pass(): number | undefined {
    this.#bucket.refill(this.#clock.monoMs())
    if (!this.#bucket.take()) { this.#held++; return undefined }
    const held = this.#held
    this.#held = 0
    return held
  }
}

/** Runs at most `width` jobs at once and keeps at most `depth` waiting; one more is refused with BUSY. */
export class Gate {
  readonly #width: number
  readonly #depth: number
  #running = 0
  #waiting: (() => void)[] = []

  constructor(width: number, depth: number) {
    this.#width = width
    this.#depth = depth
  }

  async run<T>(job: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#width) {
      if (this.#waiting.length >= this.#depth) throw new MtorError('BUSY', `more than ${this.#depth} clients wait for their password to be checked`)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    } else this.#running++
    // A job that ends hands its place to the next that waits, so `#running` changes only when none does.
    try { return await job() } finally {
      const next = this.#waiting.shift()
      if (next) next(); else this.#running--
    }
  }
}
