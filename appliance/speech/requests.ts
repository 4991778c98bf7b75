import type { MtorError } from '../contracts/errors.ts'

/** What was asked of a child process and is not answered yet. */
export class Requests<T> {
  #last = 0
  #open = new Map<number, PromiseWithResolvers<T>>()

  get size(): number { return this.#open.size }

  open(): { requestId: number; answer: Promise<T> } {
    const requestId = ++this.#last
    const request = quietPromise<T>()
    this.#open.set(requestId, request)
    return { requestId, answer: request.promise }
  }

  /** What is not open any more is nobody's. */
  settle(requestId: number, answer: { value: T } | { error: MtorError }): void {
    const request = this.#open.get(requestId)
    this.#open.delete(requestId)
    if ('error' in answer) request?.reject(answer.error)
    else request?.resolve(answer.value)
  }

  rejectAll(error: MtorError): void {
    for (const request of this.#open.values()) request.reject(error)
    this.#open.clear()
  }
}

/** A promise whose rejection is no unhandled one where nobody waits. */
export function quietPromise<T>(): PromiseWithResolvers<T> {
  const made = Promise.withResolvers<T>()
  made.promise.catch(() => {})
  return made
}
