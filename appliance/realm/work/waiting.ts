import type { Clock, Timer } from '../../contracts/clock.ts'
import type { Envelope } from '../../contracts/envelope.ts'
import type { MtorError } from '../../contracts/errors.ts'

export interface WaitingOptions {
  clock: Clock
  /** Its time to live has run out, or nobody can carry it out. */
  onDue(envelope: Envelope, why: MtorError | undefined): void
  /** Why nobody can carry it out, for now or for good; undefined while somebody may. */
  hopeless(envelope: Envelope): MtorError | undefined
  /** It has waited for a while, and waits still: somebody may have missed it. */
  onStill(envelope: Envelope): void
}

const ROUND_MS = 200
const STILL_MS = 1_000

/** Intents that other nodes are to carry out, and that this node answers for until one has: that none is forgotten. */
export class Waiting {
  readonly #o: WaitingOptions
  readonly #all = new Map<string, { envelope: Envelope; expiresMonoMs: number; saidMs: number }>()
  #timer: Timer | undefined

  constructor(options: WaitingOptions) { this.#o = options }

  get size() { return this.#all.size }
  has(id: string) { return this.#all.has(id) }

  add(envelope: Envelope, expiresMonoMs: number) {
    if (!this.#all.has(envelope.id)) this.#all.set(envelope.id, { envelope, expiresMonoMs, saidMs: this.#o.clock.monoMs() })
    if (!this.#timer) this.#later()
  }

  drop(id: string) { this.#all.delete(id) }

  /** When its time to live ends, ms; undefined where it does not wait here. */
  expiresMs(id: string): number | undefined { return this.#all.get(id)?.expiresMonoMs }

  /** The ids of what matches. */
  ids(predicate: (envelope: Envelope) => boolean): string[] { return [...this.#all.values()].flatMap(({ envelope }) => predicate(envelope) ? [envelope.id] : []) }

  /** Takes out what matches. */
  take(predicate: (envelope: Envelope) => boolean): Envelope[] {
    const taken = [...this.#all.values()].flatMap(({ envelope }) => predicate(envelope) ? [envelope] : [])
    for (const { id } of taken) this.#all.delete(id)
    return taken
  }

  stop() {
    this.#o.clock.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#all.clear()
  }

  #later() { this.#timer = this.#o.clock.setTimeout(() => { this.#round() }, ROUND_MS) }

  #round() {
    this.#timer = undefined
    const { clock, onDue, onStill, hopeless } = this.#o
    const now = clock.monoMs()
    for (const [id, one] of this.#all) {
      const { envelope } = one
      const why = hopeless(envelope)
      if (!why && now <= one.expiresMonoMs) {
        if (now - one.saidMs >= STILL_MS) { one.saidMs = now; onStill(envelope) }
        continue
      }
      this.#all.delete(id)
      onDue(envelope, why)
    }
    if (this.#all.size > 0) this.#later()
  }
}
