/** How many frames the least delay is looked for in: 2 s of 32 ms frames. */
const WINDOW = 64

/**
 * Gives each frame of a steady stream the time of its last sample, from the times at which it was read.
 *
 * A read can only be late: it waits for the scheduler, the pipe, or a busy event loop. So the estimate advances by one
 * frame length each time, and follows the earliest arrivals: a read before the estimate pulls it back at once; when
 * every read of two seconds was late, the clocks drifted or samples were lost, and it moves on by the least of these delays.
 * Times never run backwards and never lie after the read.
 */
export class FrameTimes {
  readonly #frameMs: number
  #lastMs: number | undefined
  #leastDelayMs = Infinity
  #inWindow = 0

  constructor(frameMs: number) { this.#frameMs = frameMs }

  /** @param readAtMs when the frame was read, CLOCK_MONOTONIC ms @returns when its last sample was taken, same clock */
  next(readAtMs: number): number {
    if (this.#lastMs === undefined) return (this.#lastMs = readAtMs)
    let endMs = this.#lastMs + this.#frameMs
    if (readAtMs < endMs) {
      endMs = Math.max(readAtMs, this.#lastMs)
      this.#restart()
    } else {
      this.#leastDelayMs = Math.min(this.#leastDelayMs, readAtMs - endMs)
      if (++this.#inWindow === WINDOW) { endMs += this.#leastDelayMs; this.#restart() }
    }
    return (this.#lastMs = endMs)
  }

  #restart() { this.#leastDelayMs = Infinity; this.#inWindow = 0 }
}
