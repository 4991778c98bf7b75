import { MtorError } from '../../appliance/contracts/errors.ts'

/** Questions to another process that are answered by number. */
export class Exchange {
  #next = 1
  readonly #open = new Map<number, PromiseWithResolvers<unknown>>()

  /** @param send gives the number to the other side; false where nobody is there */
  ask<T>(send: (id: number) => boolean): Promise<T> {
    const id = this.#next++
    const answer = Promise.withResolvers<unknown>()
    this.#open.set(id, answer)
    if (!send(id)) this.fail(id, new MtorError('FLOWS_DOWN', 'the other process is not there'))
    return answer.promise as Promise<T>
  }

  answer(id: number, value: unknown): void {
    this.#open.get(id)?.resolve(value)
    this.#open.delete(id)
  }

  fail(id: number, error: MtorError): void {
    this.#open.get(id)?.reject(error)
    this.#open.delete(id)
  }

  /** The other side has gone. */
  failAll(error: MtorError): void { for (const id of [...this.#open.keys()]) this.fail(id, error) }
}
