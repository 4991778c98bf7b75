import type { Clock } from '../../contracts/clock.ts'
import type { JournalEntry } from '../../journal/port.ts'

/** More intents than this are not remembered; of one that was forgotten the wall clocks must tell. */
const REMEMBERED = 20_000
/** A node that has held its lease this long has heard all that happened before, so that what it hears now has just happened, ms. */
const CAUGHT_UP_MS = 3_000

/**
 * How old intents are that other nodes accepted. Boards share no monotonic clock, and a wall clock may be wrong by
 * hours, so an age is believed in this order: what the accepting node says over a live link; when this node first saw
 * the intent, if it was certainly up to date then; both wall clocks, where both are known good.
 */
export class Ages {
  readonly #clock: Clock
  readonly #seen = new Map<string, { atMs: number; ageMs: number }>()
  #heldSinceMs: number | undefined

  constructor(clock: Clock) { this.#clock = clock }

  /** The lease of this node is held, or not: without it nothing is known to be up to date. */
  lease(held: boolean) { this.#heldSinceMs = held ? this.#heldSinceMs ?? this.#clock.monoMs() : undefined }

  /** This node sees an intent for the first time. */
  saw(id: string) {
    const now = this.#clock.monoMs()
    if (this.#heldSinceMs !== undefined && now - this.#heldSinceMs >= CAUGHT_UP_MS && !this.#seen.has(id)) this.#remember(id, { atMs: now, ageMs: 0 })
  }

  /** The accepting node says over its link how old it is. */
  told(id: string, ageMs: number) { this.#remember(id, { atMs: this.#clock.monoMs(), ageMs }) }

  forget(id: string) { this.#seen.delete(id) }

  /** Undefined when nobody can tell. */
  of({ envelope, acceptedAt }: JournalEntry): number | undefined {
    const known = this.#seen.get(envelope.id)
    if (known) return known.ageMs + this.#clock.monoMs() - known.atMs
    const wall = this.#clock.wallMs()
    return acceptedAt.wall !== undefined && wall !== undefined ? Math.max(0, wall - acceptedAt.wall) : undefined
  }

  #remember(id: string, seen: { atMs: number; ageMs: number }) {
    this.#seen.set(id, seen)
    if (this.#seen.size > REMEMBERED) this.#seen.delete(this.#seen.keys().next().value!)
  }
}
