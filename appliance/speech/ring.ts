/** The last samples of a stream, found by their number since the stream began. */
export class SampleRing {
  #data: Int16Array
  #end = 0

  constructor(capacity: number) { this.#data = new Int16Array(capacity) }

  /** Number of the sample that comes next. */
  get end(): number { return this.#end }
  /** Number of the oldest sample kept. */
  get start(): number { return Math.max(0, this.#end - this.#data.length) }

  write(samples: Int16Array): void {
    const kept = samples.length > this.#data.length ? samples.subarray(samples.length - this.#data.length) : samples
    const at = (this.#end + samples.length - kept.length) % this.#data.length
    const first = Math.min(kept.length, this.#data.length - at)
    this.#data.set(kept.subarray(0, first), at)
    this.#data.set(kept.subarray(first), 0)
    this.#end += samples.length
  }

  /** A copy of the samples `from` to `to`, as far as they are kept. */
  slice(from: number, to: number = this.#end): Int16Array {
    const a = Math.max(from, this.start)
    const b = Math.max(a, Math.min(to, this.#end))
    const out = new Int16Array(b - a)
    const at = a % this.#data.length
    const first = Math.min(out.length, this.#data.length - at)
    out.set(this.#data.subarray(at, at + first), 0)
    out.set(this.#data.subarray(0, out.length - first), first)
    return out
  }
}
