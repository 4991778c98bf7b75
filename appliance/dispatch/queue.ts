/** One thing waiting to be carried out. */
export interface Queued { id: string; priority: number; device?: string | undefined }

const PRIORITIES = 10

/**
 * Waiting intents: first by priority (0 first), then in order of arrival; at most one at a time per device.
 * `next` skips intents whose device is busy without losing their place.
 */
export class DispatchQueue<T extends Queued> {
  readonly #waiting: Map<string, T>[] = Array.from({ length: PRIORITIES }, () => new Map())
  readonly #busyDevices = new Set<string>()
  #size = 0

  get size() { return this.#size }

  add(item: T): void {
    const bucket = this.#waiting[Math.min(PRIORITIES - 1, Math.max(0, item.priority))]!
    if (bucket.has(item.id)) return
    bucket.set(item.id, item)
    this.#size += 1
  }

  has(id: string): boolean { return this.#waiting.some((bucket) => bucket.has(id)) }

  /** Takes the next runnable item and marks its device busy; undefined when nothing can run now. */
  next(): T | undefined {
    for (const bucket of this.#waiting) {
      for (const item of bucket.values()) {
        if (item.device !== undefined && this.#busyDevices.has(item.device)) continue
        bucket.delete(item.id)
        this.#size -= 1
        if (item.device !== undefined) this.#busyDevices.add(item.device)
        return item
      }
    }
    return undefined
  }

  /** The device of a finished item may serve the next one. */
  release(item: T): void { if (item.device !== undefined) this.#busyDevices.delete(item.device) }

  /** Takes waiting items out (for stop and cancel). */
  remove(predicate: (item: T) => boolean): T[] {
    const removed: T[] = []
    for (const bucket of this.#waiting) {
      for (const item of bucket.values()) if (predicate(item)) { bucket.delete(item.id); removed.push(item) }
    }
    this.#size -= removed.length
    return removed
  }
}
