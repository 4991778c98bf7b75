/** How much may be under way unconfirmed at the most: on a link of 1 ms there and back this allows 64 MB/s. */
export const MAX_WINDOW_BYTES = 64 * 1024
/** And at the least: on a link of 1 Mbit/s this much takes 65 ms. */
export const MIN_WINDOW_BYTES = 8 * 1024
/** What our own messages may add to the time that a beat takes; a stop would wait as long. */
const TOLERATED_MS = 40

/**
 * How much of what waits may be given to the kernel. What it has cannot be overtaken, and it would take megabytes: over a
 * slow link a stop would wait for all of them. The heartbeat goes the same way, so that its time shows how much lies
 * before it: when that grows the window is halved. It begins small, and opens step by step while it is made use of.
 */
export class SendWindow {
  #bytes = MIN_WINDOW_BYTES
  #wasFull = false
  #leastMs = Infinity

  get bytes() { return this.#bytes }

  /** True when no more may be given now. */
  isFull(unconfirmedBytes: number): boolean {
    const full = unconfirmedBytes >= this.#bytes
    this.#wasFull ||= full
    return full
  }

  /** A beat has come back after this time. */
  measured(rttMs: number): void {
    this.#leastMs = Math.min(this.#leastMs, rttMs)
    if (rttMs > this.#leastMs + TOLERATED_MS) this.#bytes = Math.max(MIN_WINDOW_BYTES, this.#bytes / 2)
    // That a quiet link is quick says nothing of what it can carry.
    else if (this.#wasFull && rttMs < this.#leastMs + TOLERATED_MS / 2) this.#bytes = Math.min(MAX_WINDOW_BYTES, this.#bytes + MIN_WINDOW_BYTES)
    this.#wasFull = false
  }
}
