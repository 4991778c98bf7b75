import Type, { type Static } from 'typebox'
import type { Clock, Timer } from '../contracts/clock.ts'
import type { Envelope, Instant } from '../contracts/envelope.ts'
import { MtorError } from '../contracts/errors.ts'
import { validator } from '../contracts/validate.ts'
import { duration, sentence } from './words.ts'

/** Small durable values (the journal's); undefined deletes. */
export interface DurableValues {
  put(key: string, value: unknown): Promise<void>
  read(key: string): Promise<unknown>
  keys(prefix: string): Promise<string[]>
}

export interface TimersOptions {
  values: DurableValues
  clock: Clock
  /** This node, and what time it is here with the count of boots. */
  node: string
  now(): Instant
  /** Says a sentence to the operator, without being asked. */
  announce(text: string): void
}

const TimerRecord = Type.Object({
  id: Type.String(),
  name: Type.Optional(Type.String()),
  durationS: Type.Number(),
  boot: Type.Integer(),
  dueMonoMs: Type.Number(),
  dueWallMs: Type.Optional(Type.Number()),
}, { additionalProperties: false })
type TimerRecord = Static<typeof TimerRecord>
const recordValidator = validator(TimerRecord)

const PREFIX = 'timers/'
const MAX_TIMERS = 100
/** How long after a reboot a clock is given to become known good (network time takes a while) before timers are lost. */
const CLOCK_WAIT_MS = 60_000
const RECHECK_MS = 5_000
/** Later than this is announced as late, ms. */
const LATE_MS = 2_000

export const spokenTimer = (record: { name?: string; durationS: number }): string => record.name ? `the ${record.name} timer` : `the timer for ${duration(record.durationS)}`

/**
 * Timers that outlive the process. Within a boot they run by the monotonic clock; after a reboot by wall time, where it
 * was known good both then and now. A timer is announced first and forgotten then: a crash between the two repeats an
 * announcement, the other order would lose one.
 */
export class Timers {
  readonly #options: TimersOptions
  readonly #running = new Map<string, TimerRecord>()
  /** Of a former boot, while the clock is not known good yet. */
  readonly #undecided = new Map<string, TimerRecord>()
  /** Announced, but still in the store because it could not be written. */
  readonly #unforgotten = new Set<string>()
  #clockKnownByMonoMs = 0
  #wake: Timer | undefined
  #active = false
  #forgetting: Promise<void> | undefined

  constructor(options: TimersOptions) { this.#options = options }

  /** Takes up the timers of before. What is due is announced from the clock's next turn on, not within. */
  async start(): Promise<void> {
    if (this.#active) return
    this.#active = true
    this.#clockKnownByMonoMs = this.#options.clock.monoMs() + CLOCK_WAIT_MS
    for (const key of await this.#options.values.keys(PREFIX)) {
      if (this.#unforgotten.has(key.slice(PREFIX.length))) continue
      const record = await this.#options.values.read(key)
      if (!recordValidator.check(record) || key !== PREFIX + record.id) {
        this.#unforgotten.add(key.slice(PREFIX.length))
        this.#announce('A timer was damaged and is lost.')
      } else if (record.boot === this.#options.now().boot) this.#running.set(record.id, record)
      else this.#undecided.set(record.id, record)
    }
    this.#wakeIn(0)
  }

  async stop(): Promise<void> {
    this.#active = false
    this.#options.clock.clearTimeout(this.#wake)
    await this.#forgetting
    this.#running.clear()
    this.#undecided.clear()
  }

  /** Starts a timer; it counts from when the request was made, if that was on this boot of this node. @throws MtorError BUSY at 100 timers */
  async set(intent: Envelope, durationS: number, name?: string): Promise<TimerRecord> {
    if (this.#running.size + this.#undecided.size >= MAX_TIMERS) throw new MtorError('BUSY', `${MAX_TIMERS} timers are running, no more fit`, { say: 'Too many timers are running.' })
    const { boot, mono, wall } = this.#options.now()
    const { source, issuedAt } = intent
    const sinceMs = source.node === this.#options.node && issuedAt.boot === boot ? Math.max(0, mono - issuedAt.mono) : 0
    const leftMs = durationS * 1000 - sinceMs
    const record: TimerRecord = { id: intent.id, ...(name === undefined ? {} : { name }), durationS, boot, dueMonoMs: mono + leftMs, ...(wall === undefined ? {} : { dueWallMs: wall + leftMs }) }
    await this.#options.values.put(PREFIX + record.id, record)
    this.#running.set(record.id, record)
    this.#schedule()
    return record
  }

  /** Running timers, the next first, with the seconds left; those that wait for the clock have none. */
  list(): (TimerRecord & { leftS?: number })[] {
    const nowMs = this.#options.clock.monoMs()
    const running = [...this.#running.values()].sort((a, b) => a.dueMonoMs - b.dueMonoMs)
    return [...running.map((record) => ({ ...record, leftS: Math.max(0, (record.dueMonoMs - nowMs) / 1000) })), ...this.#undecided.values()]
  }

  /** Cancels the timers of that name, or all. @returns what was cancelled */
  async cancel(name?: string): Promise<TimerRecord[]> {
    const same = (a: string, b?: string) => a.trim().toLowerCase() === b?.trim().toLowerCase()
    const chosen = [...this.#running.values(), ...this.#undecided.values()].filter((record) => name === undefined || same(name, record.name))
    for (const { id } of chosen) {
      await this.#options.values.put(PREFIX + id, undefined)
      this.#running.delete(id)
      this.#undecided.delete(id)
    }
    this.#schedule()
    return chosen
  }

  #schedule(): void {
    const nowMs = this.#options.clock.monoMs()
    const waits = [...this.#running.values()].map((record) => record.dueMonoMs - nowMs)
    if (this.#undecided.size > 0 || this.#unforgotten.size > 0) waits.push(RECHECK_MS)
    if (waits.length > 0) this.#wakeIn(Math.min(...waits))
    else this.#options.clock.clearTimeout(this.#wake)
  }

  #wakeIn(delayMs: number): void {
    this.#options.clock.clearTimeout(this.#wake)
    if (this.#active) this.#wake = this.#options.clock.setTimeout(() => this.#tick(), Math.max(0, delayMs))
  }

  /** Announces without waiting for the store, which may be stalled. */
  #tick(): void {
    const { wall, mono } = this.#options.now()
    for (const record of this.#undecided.values()) {
      if (record.dueWallMs !== undefined && wall !== undefined) {
        this.#undecided.delete(record.id)
        // Wall time may have been set back meanwhile; no timer runs longer than it was asked to.
        // The store keeps the old record: by wall time it still says when.
        this.#running.set(record.id, { ...record, dueMonoMs: mono + Math.min(record.dueWallMs - wall, record.durationS * 1000) })
      } else if (record.dueWallMs === undefined || mono >= this.#clockKnownByMonoMs) {
        this.#undecided.delete(record.id)
        this.#unforgotten.add(record.id)
        this.#announce(`${sentence(spokenTimer(record))} is lost: I was switched off and do not know for how long.`)
      }
    }
    for (const record of this.#running.values()) {
      const lateMs = mono - record.dueMonoMs
      if (lateMs < 0) continue
      this.#running.delete(record.id)
      this.#unforgotten.add(record.id)
      this.#announce(lateMs > LATE_MS ? `${sentence(spokenTimer(record))} was done ${duration(lateMs / 1000, 2)} ago.` : `${sentence(spokenTimer(record))} is done.`)
    }
    this.#forgetting ??= this.#forget().finally(() => { this.#forgetting = undefined })
    this.#schedule()
  }

  async #forget(): Promise<void> {
    for (const id of this.#unforgotten) {
      try {
        await this.#options.values.put(PREFIX + id, undefined)
        this.#unforgotten.delete(id)
      } catch { /* The store is down; a later tick tries again, and the timer is not announced a second time. */ }
    }
  }

  #announce(text: string): void {
    try { this.#options.announce(text) } catch { /* Who cannot speak reports that; the other timers go on. */ }
  }
}
