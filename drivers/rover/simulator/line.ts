import type { Clock } from '../../../appliance/contracts/clock.ts'
import type { MtorError } from '../../../appliance/contracts/errors.ts'
import { encodeFrame, FrameDecoder, type Message, type MessageType } from '../protocol.ts'

/** What the line does to bytes and frames; fractions are chances from 0 to 1. */
export interface LineFaults { dropByteFraction: number; corruptByteFraction: number; dropFrameFraction: number; delayMs: number }
export type Direction = 'toController' | 'toHost'
export const DIRECTIONS: readonly Direction[] = ['toController', 'toHost']
export const NO_FAULTS: LineFaults = { dropByteFraction: 0, corruptByteFraction: 0, dropFrameFraction: 0, delayMs: 0 }

/** The cable between host and controller, with faults that can be turned on. Order is kept, also when delayed. */
export class Line {
  readonly faults: Record<Direction, LineFaults> = { toController: { ...NO_FAULTS }, toHost: { ...NO_FAULTS } }
  #clock: Clock
  #random: () => number
  #onMessage: (message: Message | MtorError) => void
  #write: (bytes: Uint8Array) => void
  #decoder = new FrameDecoder()
  #dropNext: { direction: Direction; type: MessageType; count: number }[] = []
  #lastArrivalMs: Record<Direction, number> = { toController: 0, toHost: 0 }

  constructor(parts: { clock: Clock; random: () => number; onMessage(message: Message | MtorError): void; write(bytes: Uint8Array): void }) {
    this.#clock = parts.clock
    this.#random = parts.random
    this.#onMessage = parts.onMessage
    this.#write = parts.write
  }

  /** The next `count` frames of this type in this direction vanish. */
  dropNext(direction: Direction, type: MessageType, count: number): void { this.#dropNext.push({ direction, type, count }) }

  /** Bytes from the host. */
  fromHost(bytes: Uint8Array): void {
    const damaged = this.#damage('toController', bytes)
    this.#later('toController', () => {
      for (const message of this.#decoder.feed(damaged)) {
        if ('code' in message || !this.#drops('toController', message.type)) this.#onMessage(message)
      }
    })
  }

  /** A message from the controller. */
  send(message: Message): void {
    if (this.#drops('toHost', message.type)) return
    const damaged = this.#damage('toHost', encodeFrame(message))
    this.#later('toHost', () => this.#write(damaged))
  }

  #drops(direction: Direction, type: MessageType): boolean {
    const next = this.#dropNext.find((d) => d.direction === direction && d.type === type && d.count > 0)
    if (next) { next.count--; return true }
    const { dropFrameFraction } = this.faults[direction]
    return dropFrameFraction > 0 && this.#random() < dropFrameFraction
  }

  #damage(direction: Direction, bytes: Uint8Array): Uint8Array {
    const { dropByteFraction, corruptByteFraction } = this.faults[direction]
    if (dropByteFraction === 0 && corruptByteFraction === 0) return bytes
    const out: number[] = []
    for (const byte of bytes) {
      if (this.#random() < dropByteFraction) continue
      out.push(this.#random() < corruptByteFraction ? byte ^ (1 << Math.floor(this.#random() * 8)) : byte)
    }
    return Uint8Array.from(out)
  }

  #later(direction: Direction, deliver: () => void): void {
    const now = this.#clock.monoMs()
    const at = Math.max(now + this.faults[direction].delayMs, this.#lastArrivalMs[direction])
    if (at <= now) { deliver(); return }
    this.#lastArrivalMs[direction] = at
    this.#clock.setTimeout(deliver, at - now)
  }
}
