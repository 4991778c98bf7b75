/** What waits: priority 0 goes first, within one priority who came first. */
export interface Waiting { readonly priority: number; /** Order of arrival; one that is put back keeps its place. */ readonly order: number }

/** A bounded queue by priority. Deadlines and cancelling are its requests' own affair (request.ts): they take themselves out. */
export class Queue<T extends Waiting> {
  readonly #most: number
  #items: T[] = []

  constructor(most: number) { this.#most = most }

  get size(): number { return this.#items.length }
  get isFull(): boolean { return this.#items.length >= this.#most }

  add(item: T): void {
    let at = this.#items.length
    while (at > 0 && isBefore(item, this.#items[at - 1]!)) at--
    this.#items.splice(at, 0, item)
  }

  /** In the order in which they are to be served; adding and removing meanwhile is fine. */
  list(): readonly T[] { return [...this.#items] }

  remove(item: T): boolean {
    const at = this.#items.indexOf(item)
    if (at >= 0) this.#items.splice(at, 1)
    return at >= 0
  }

  removeWhere(test: (item: T) => boolean): void { this.#items = this.#items.filter((item) => !test(item)) }
}

const isBefore = (a: Waiting, b: Waiting) => a.priority < b.priority || (a.priority === b.priority && a.order < b.order)
