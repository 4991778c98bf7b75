import { MtorError } from '../../contracts/errors.ts'
import { decodeFrame, encodeFrame, type Frame } from './frames.ts'

/** 0 goes before everything. */
export type Priority = 0 | 1 | 2 | 3
export const PRIORITIES = 4

/** Longer messages are cut, so that a more urgent one can go in between. */
export const FRAGMENT_BYTES = 4 * 1024
interface Waiting { frame: Buffer; sent: number }

/** What waits to be sent to one peer: a queue for each priority, each bounded. */
export class Outbox {
  readonly #maxBytes: number
  readonly #queues: Waiting[][] = Array.from({ length: PRIORITIES }, () => [])
  readonly #bytes: number[] = Array.from({ length: PRIORITIES }, () => 0)

  constructor(maxBytes: number) { this.#maxBytes = maxBytes }

  get bytes() { return this.#bytes.reduce((sum, bytes) => sum + bytes, 0) }

  /** False when the queue of that priority is full. */
  push(priority: Priority, frame: Buffer): boolean {
    if (this.#bytes[priority]! > 0 && this.#bytes[priority]! + frame.length > this.#maxBytes) return false
    this.#queues[priority]!.push({ frame, sent: 0 })
    this.#bytes[priority]! += frame.length
    return true
  }

  /** The next frame for the wire; with `urgentOnly` only of priority 0. */
  next(urgentOnly: boolean): Buffer | undefined {
    const priority = this.#queues.findIndex((queue) => queue.length > 0)
    if (priority < 0 || (urgentOnly && priority > 0)) return undefined
    const queue = this.#queues[priority]!
    const waiting = queue[0]!
    const { frame, sent } = waiting
    if (frame.length <= FRAGMENT_BYTES) {
      queue.shift()
      this.#bytes[priority]! -= frame.length
      return frame
    }
    const part = frame.subarray(sent, sent + FRAGMENT_BYTES)
    waiting.sent += part.length
    this.#bytes[priority]! -= part.length
    if (waiting.sent === frame.length) queue.shift()
    return encodeFrame({ t: 'part', p: priority, ...(sent === 0 ? { n: frame.length } : {}) }, part)
  }
}

/** Puts the parts of cut messages together again; of each priority there is at most one under way. */
export class Assembly {
  readonly #maxBytes: number
  readonly #open: ({ parts: Buffer[]; bytes: number; wanted: number } | undefined)[] = Array.from({ length: PRIORITIES }, () => undefined)

  constructor(maxBytes: number) { this.#maxBytes = maxBytes }

  /** The whole frame with its last part, until then undefined. @throws MtorError MALFORMED, TOO_LARGE */
  add({ header, binary }: Pick<Frame, 'header' | 'binary'>): Frame | undefined {
    const { p, n } = header
    if (typeof p !== 'number' || !Number.isInteger(p) || p < 0 || p >= PRIORITIES) throw new MtorError('MALFORMED', 'a part without a priority')
    if (binary.length === 0) throw new MtorError('MALFORMED', 'a part without bytes')
    let open = this.#open[p]
    if (n !== undefined) {
      if (open) throw new MtorError('MALFORMED', 'a message begins before the last has ended')
      if (typeof n !== 'number' || !Number.isInteger(n) || n <= FRAGMENT_BYTES) throw new MtorError('MALFORMED', 'a cut message of no length')
      if (n > this.#maxBytes) throw new MtorError('TOO_LARGE', `a message of ${n} bytes, at most ${this.#maxBytes}`)
      open = this.#open[p] = { parts: [], bytes: 0, wanted: n }
    }
    if (!open) throw new MtorError('MALFORMED', 'a part of no message')
    // A copy: the bytes of the wire are not ours to keep.
    open.parts.push(Buffer.from(binary))
    open.bytes += binary.length
    if (open.bytes > open.wanted) throw new MtorError('MALFORMED', 'a message is longer than it said')
    if (open.bytes < open.wanted) return undefined
    this.#open[p] = undefined
    const whole = decodeFrame(Buffer.concat(open.parts))
    if (whole.header.t === 'part') throw new MtorError('MALFORMED', 'a part within parts')
    return whole
  }
}
