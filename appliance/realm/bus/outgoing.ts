import type { Item } from '../../bus/mesh/index.ts'
import { sizeOf } from './items.ts'

/** How much may be on its way to one node without having been acknowledged. */
export const WINDOW_BYTES = 256 * 1024
/** One batch is not longer than this (a single item may be): what is more urgent goes in between. */
const BATCH_BYTES = 32 * 1024
const BATCH_ITEMS = 256
/** A message for a node that is away is of use to it for so long; what is retained, and who is where, it is told anyway. */
const KEEP_MS = 60_000

/** `held`: what of it counts for the bound of the queue; what all nodes keep anyway does not. */
interface Waiting { item: Item; bytes: number; held: number; atMs: number }

const isMessage = ({ item }: Waiting) => item.kind === 'publish' && !item.retain
const isQos0 = ({ item }: Waiting) => item.kind === 'publish' && item.qos === 0

/**
 * What waits to be taken by one other node: numbered when it is sent, kept until it was acknowledged. Bounded: when the
 * other does not keep up, or is away, the oldest QoS 0 goes first, then the oldest QoS 1. Of states nothing is lost,
 * since all of them are told anew when one had to go.
 */
export class Outgoing {
  readonly #maxBytes: number
  #waiting: Waiting[] = []
  #sent: (Waiting & { seq: number })[] = []
  #heldBytes = 0
  #sentBytes = 0
  #seq = 0
  /** Since the last time that it was asked for. */
  #dropped = 0
  /** States were dropped: the other must be told all of them. */
  isIncomplete = false

  constructor(maxBytes: number) { this.#maxBytes = maxBytes }

  get bytes() { return this.#heldBytes }
  get waiting() { return this.#waiting.length }
  get unacknowledged() { return this.#sent.length }

  /** @param isAway the other is not there: of what is only for now, nothing is kept */
  push(item: Item, atMs: number, isAway = false): void {
    const bytes = sizeOf(item)
    const waiting = { item, bytes, held: bytes, atMs }
    if (isAway && isQos0(waiting)) { this.#drop(waiting); return }
    this.#waiting.push(waiting)
    this.#heldBytes += bytes
    if (this.#heldBytes > this.#maxBytes) this.#makeRoom()
  }

  /** All states: who is where goes before everything, what is retained behind it. */
  putSnapshot({ clients, retained }: { clients: readonly Item[]; retained: readonly Item[] }, atMs: number): void {
    const waiting = (item: Item): Waiting => ({ item, bytes: sizeOf(item), held: 0, atMs })
    this.#waiting = [...clients.map(waiting), ...this.#waiting, ...retained.map(waiting)]
    this.isIncomplete = false
  }

  /** The next batch, or undefined while the window is full or nothing waits. */
  next(): { seq: number; items: Item[] } | undefined {
    if (this.#waiting.length === 0 || this.#sentBytes >= WINDOW_BYTES) return undefined
    let count = 0
    for (let bytes = 0; count < this.#waiting.length && count < BATCH_ITEMS; count++) {
      bytes += this.#waiting[count]!.bytes
      if (count > 0 && bytes > BATCH_BYTES) break
    }
    const batch = this.#waiting.splice(0, count)
    const seq = this.#seq + 1
    for (const waiting of batch) {
      this.#sent.push({ ...waiting, seq: ++this.#seq })
      this.#sentBytes += waiting.bytes
    }
    return { seq, items: batch.map(({ item }) => item) }
  }

  /** The other has everything up to `seq`. False where that cannot be. */
  acknowledge(seq: number): boolean {
    if (seq > this.#seq) return false
    let count = 0
    while (count < this.#sent.length && this.#sent[count]!.seq <= seq) {
      const { bytes, held } = this.#sent[count++]!
      this.#sentBytes -= bytes
      this.#heldBytes -= held
    }
    this.#sent.splice(0, count)
    // What comes before the oldest that is still here was acknowledged and is gone.
    return (this.#sent[0]?.seq ?? this.#seq + 1) === seq + 1
  }

  /** Everything that was sent and not acknowledged, to be sent again as it was. */
  again(): { seq: number; items: Item[] }[] {
    const batches: { seq: number; items: Item[]; bytes: number }[] = []
    for (const { item, seq, bytes } of this.#sent) {
      const last = batches.at(-1)
      if (!last || last.items.length >= BATCH_ITEMS || last.bytes + bytes > BATCH_BYTES) batches.push({ seq, items: [item], bytes })
      else { last.items.push(item); last.bytes += bytes }
    }
    return batches
  }

  /** The other knows nothing of what was sent: numbers begin anew, with what is not for now only. */
  restart(): void {
    this.#waiting = [...this.#sent.filter((waiting) => !isQos0(waiting)), ...this.#waiting]
    this.#sent = []
    this.#sentBytes = 0
    this.#seq = 0
    this.#recount()
  }

  /** What has waited too long. */
  expire(nowMs: number): void {
    this.#waiting = this.#waiting.filter((waiting) => {
      const isLate = isMessage(waiting) && nowMs - waiting.atMs > KEEP_MS
      if (isLate) this.#dropped += 1
      return !isLate
    })
    this.#recount()
  }

  clear(): void {
    this.#waiting = []
    this.#sent = []
    this.restart()
  }

  /** How many messages were dropped since this was last asked. */
  takeDropped(): number {
    const dropped = this.#dropped
    this.#dropped = 0
    return dropped
  }

  /** Down to three quarters at once, so that a queue that stays full is not gone through for every message. */
  #makeRoom(): void {
    const targetBytes = this.#maxBytes * 0.75
    for (const isNext of [(waiting: Waiting) => isQos0(waiting) && isMessage(waiting), isMessage, () => true]) {
      if (this.#heldBytes <= targetBytes) return
      this.#waiting = this.#waiting.filter((waiting) => {
        if (this.#heldBytes <= targetBytes || !isNext(waiting)) return true
        this.#heldBytes -= waiting.held
        this.#drop(waiting)
        return false
      })
    }
  }

  #drop(waiting: Waiting): void {
    if (isMessage(waiting)) this.#dropped += 1
    else this.isIncomplete = true
  }

  #recount(): void { this.#heldBytes = [...this.#waiting, ...this.#sent].reduce((sum, { held }) => sum + held, 0) }
}
