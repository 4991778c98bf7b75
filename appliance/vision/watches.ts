import Type, { type Static } from 'typebox'
import type { Instant } from '../contracts/envelope.ts'
import { validator } from '../contracts/validate.ts'

/** Small durable values (the journal's); undefined deletes. */
export interface DurableValues {
  put(key: string, value: unknown): Promise<void>
  read(key: string): Promise<unknown>
  keys(prefix: string): Promise<string[]>
}

const WatchRecord = Type.Object({
  object: Type.String(),
  durationS: Type.Optional(Type.Number()),
  boot: Type.Integer(),
  endMonoMs: Type.Optional(Type.Number({ description: 'On that boot' })),
  endWallMs: Type.Optional(Type.Number()),
}, { additionalProperties: false })
type WatchRecord = Static<typeof WatchRecord>
const recordValidator = validator(WatchRecord)

/** One object that is watched for. */
export interface Watch {
  object: string
  durationS?: number
  /** By the present boot's monotonic clock; undefined: until told to stop. */
  endMonoMs?: number
  /** It is in view, as far as announced. */
  present: boolean
  /** Looks in a row in which it was seen while absent, or not seen while present. */
  changes: number
}

const PREFIX = 'watches/'
/** Seen in this many looks in a row it has appeared; a single look may err. */
const LOOKS_TO_APPEAR = 2
/** Not seen in this many looks in a row it is gone; something in front of it for a moment is no going. */
const LOOKS_TO_GO = 3

/** What is watched for, kept over restarts. */
export class Watches {
  readonly #values: DurableValues
  readonly #now: () => Instant
  readonly #watches = new Map<string, Watch>()

  constructor(values: DurableValues, now: () => Instant) {
    this.#values = values
    this.#now = now
  }

  get all(): Watch[] { return [...this.#watches.values()] }

  /**
   * Takes up the watches of before. After a reboot a watch ends by wall time where that is known both then and now, else its
   * time begins anew: too long is better than not at all.
   */
  async load(): Promise<void> {
    const { boot, mono, wall } = this.#now()
    for (const key of await this.#values.keys(PREFIX)) {
      const record = await this.#values.read(key)
      if (!recordValidator.check(record)) { await this.#values.put(key, undefined); continue }
      const { object, durationS, endMonoMs, endWallMs } = record
      const leftMs = endMonoMs === undefined || durationS === undefined ? undefined : record.boot === boot ? endMonoMs - mono : endWallMs !== undefined && wall !== undefined ? Math.min(endWallMs - wall, durationS * 1000) : durationS * 1000
      this.#watches.set(object, { object, ...(durationS === undefined ? {} : { durationS }), ...(leftMs === undefined ? {} : { endMonoMs: mono + leftMs }), present: false, changes: 0 })
    }
  }

  /** Watches for an object; asked again, only its end changes. */
  async add(object: string, durationS?: number): Promise<Watch> {
    const { boot, mono, wall } = this.#now()
    const ends = durationS === undefined ? {} : { durationS, endMonoMs: mono + durationS * 1000 }
    const record: WatchRecord = { object, boot, ...ends, ...(durationS === undefined || wall === undefined ? {} : { endWallMs: wall + durationS * 1000 }) }
    await this.#values.put(PREFIX + object, record)
    const { present = false, changes = 0 } = this.#watches.get(object) ?? {}
    const watch: Watch = { object, ...ends, present, changes }
    this.#watches.set(object, watch)
    return watch
  }

  /** Ends the watch for an object, or all. @returns what was watched for */
  async remove(object?: string): Promise<Watch[]> {
    const chosen = this.all.filter((watch) => object === undefined || watch.object === object)
    for (const watch of chosen) {
      await this.#values.put(PREFIX + watch.object, undefined)
      this.#watches.delete(watch.object)
    }
    return chosen
  }

  /** Those whose time is up. One that the store keeps because it cannot be written is over again after the next start. */
  async expire(): Promise<Watch[]> {
    const { mono } = this.#now()
    const over = this.all.filter((watch) => watch.endMonoMs !== undefined && watch.endMonoMs <= mono)
    for (const watch of over) this.#watches.delete(watch.object)
    for (const watch of over) await this.#values.put(PREFIX + watch.object, undefined).catch(() => {})
    return over
  }

  /** What one look has changed: which objects have appeared and which are gone. */
  seen(labels: ReadonlySet<string>): { appeared: Watch[]; gone: Watch[] } {
    const appeared: Watch[] = []
    const gone: Watch[] = []
    for (const watch of this.#watches.values()) {
      watch.changes = labels.has(watch.object) === watch.present ? 0 : watch.changes + 1
      if (watch.changes < (watch.present ? LOOKS_TO_GO : LOOKS_TO_APPEAR)) continue
      watch.present = !watch.present
      watch.changes = 0
      ;(watch.present ? appeared : gone).push(watch)
    }
    return { appeared, gone }
  }
}
