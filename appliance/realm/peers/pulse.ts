import type { Clock } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import type { Frame } from './frames.ts'

/** How many of our beats are remembered, to know how long the answer took. */
const REMEMBERED_BEATS = 64
/** Of so many measurements of the clocks the one with the quickest answer is the truest. @see RFC 5905 §10, clock filter */
const CLOCK_SAMPLES = 8
/** Before the other is given up, we must have had this many turns to hear it: a process that was stopped itself has everything still to read. */
const TURNS = 3
const RTT_SHARE = 0.2
/** A slow link is not a cut one: so much of its time there and back is allowed for. */
const MAX_SLOW_MS = 2_000

export interface PulseOptions {
  clock: Clock
  heartbeatMs: number
  offlineAfterMs: number
  /** Every time there and back as it is measured, ms. */
  onRtt?(rttMs: number): void
}

/**
 * The heartbeat of a link. Every beat says which of the other's beats was heard last, so that each side knows whether
 * it is heard: a link that is cut one way is noticed at both ends. Also measures time there and back and how far the
 * wall clocks are apart.
 */
export class Pulse {
  readonly #options: PulseOptions
  #beat = 0
  readonly #sentAtMs = new Map<number, number>()
  #echo: { beat: number; atMs: number } | undefined
  #heardAtMs: number
  /** When the latest of our beats that the other has heard was sent. */
  #hearsAtMs: number
  #turnsSinceHeard = 0
  #turnsSinceHears = 0
  #rttMs: number | undefined
  readonly #samples: { rttMs: number; offsetMs: number }[] = []
  /** The other's wall clock: whether it is known good there, and how far ours is ahead as seen from there. */
  peerClock: { good: boolean; offsetSeenThereMs?: number } | undefined

  constructor(options: PulseOptions) {
    this.#options = options
    this.#heardAtMs = this.#hearsAtMs = options.clock.monoMs()
  }

  /** Time there and back, ms, smoothed. */
  get rttMs(): number | undefined { return this.#rttMs }
  /** Since anything came from the other, ms. */
  get silentMs(): number { return this.#options.clock.monoMs() - this.#heardAtMs }
  /** How far the other's wall clock is ahead of ours, ms; undefined unless both are known good. */
  get offsetMs(): number | undefined {
    return this.#samples.length === 0 ? undefined : this.#samples.reduce((best, sample) => sample.rttMs < best.rttMs ? sample : best).offsetMs
  }

  /** The greeting is over: the times count from now. */
  begin(): void { this.#heardAtMs = this.#hearsAtMs = this.#options.clock.monoMs() }

  heard(): void { this.#heardAtMs = this.#options.clock.monoMs(); this.#turnsSinceHeard = 0 }

  /** What is wrong, looked at before every beat. */
  trouble(): 'silent' | 'unheard' | undefined {
    const { clock, offlineAfterMs } = this.#options
    const nowMs = clock.monoMs()
    this.#turnsSinceHeard += 1
    this.#turnsSinceHears += 1
    if (nowMs - this.#heardAtMs > offlineAfterMs && this.#turnsSinceHeard > TURNS) return 'silent'
    // While it is quiet itself, it will be called silent in a moment.
    const isHeard = nowMs - this.#heardAtMs < offlineAfterMs / 2
    if (isHeard && nowMs - this.#hearsAtMs > offlineAfterMs + Math.min(this.#rttMs ?? 0, MAX_SLOW_MS) && this.#turnsSinceHears > TURNS) return 'unheard'
    return undefined
  }

  /** The next beat. @param received how many bytes of messages have come, in all */
  next(received: number): Frame['header'] {
    const { clock } = this.#options
    const nowMs = clock.monoMs()
    this.#sentAtMs.set(++this.#beat, nowMs)
    this.#sentAtMs.delete(this.#beat - REMEMBERED_BEATS)
    const wall = clock.wallMs()
    const offsetMs = this.offsetMs
    return {
      t: 'beat', s: this.#beat, a: received,
      ...(this.#echo ? { e: this.#echo.beat, d: round(nowMs - this.#echo.atMs) } : {}),
      ...(wall === undefined ? {} : { w: round(wall) }), ...(offsetMs === undefined ? {} : { o: round(offsetMs) }),
    }
  }

  /** Takes the other's beat; returns what it says to have received of ours. @throws MtorError MALFORMED */
  take({ s, a, e, d, w, o }: Frame['header']): unknown {
    const nowMs = this.#options.clock.monoMs()
    if (!isCount(s) || (this.#echo && s <= this.#echo.beat)) throw new MtorError('MALFORMED', 'a beat out of turn')
    this.#echo = { beat: s, atMs: nowMs }
    if (w !== undefined && !isTime(w)) throw new MtorError('MALFORMED', 'a beat with a wall clock that is no time')
    if (o !== undefined && !isTime(o)) throw new MtorError('MALFORMED', 'a beat with an offset that is no time')
    this.peerClock = { good: w !== undefined, ...(o === undefined ? {} : { offsetSeenThereMs: o }) }
    if (e === undefined) return a
    if (!isCount(e) || e > this.#beat || !isTime(d) || d < 0) throw new MtorError('MALFORMED', 'a beat that answers none of ours')
    const sentAtMs = this.#sentAtMs.get(e)
    if (sentAtMs === undefined) return a
    if (sentAtMs > this.#hearsAtMs) { this.#hearsAtMs = sentAtMs; this.#turnsSinceHears = 0 }
    const rttMs = Math.max(0, nowMs - sentAtMs - d)
    this.#options.onRtt?.(rttMs)
    this.#rttMs = this.#rttMs === undefined ? rttMs : this.#rttMs + RTT_SHARE * (rttMs - this.#rttMs)
    const wallMs = this.#options.clock.wallMs()
    if (w === undefined || wallMs === undefined) { this.#samples.length = 0; return a }
    this.#samples.push({ rttMs, offsetMs: w + rttMs / 2 - wallMs })
    if (this.#samples.length > CLOCK_SAMPLES) this.#samples.shift()
    return a
  }
}

const round = (ms: number) => Math.round(ms * 100) / 100
const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value > 0
const isTime = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)
