import { isCode } from '../../contracts/codes.ts'
import type { Clock, Timer } from '../../contracts/clock.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import { joinMessage, type Frame } from './frames.ts'

/** Requests under way to one node, and from one node. */
const MAX_REQUESTS = 512

interface Pending { resolve(answer: unknown): void; reject(error: MtorError): void; release(): void }

export interface RequestOptions { timeoutMs: number; signal?: AbortSignal }

/** Our requests to one node. An answer may come over another link than the one the request went over. */
export class Asking {
  readonly #clock: Clock
  readonly #pending = new Map<number, Pending>()
  #last = 0

  constructor(clock: Clock) { this.#clock = clock }

  /**
   * @param send sends the frame of the request; false when it could not be taken
   * @throws MtorError BUSY, DEADLINE, CANCELLED, NODE_UNREACHABLE, or what the other answered. After the last four it may have been done.
   */
  ask(node: string, { timeoutMs, signal }: RequestOptions, send: (id: number) => boolean, cancel: (id: number) => void): Promise<unknown> {
    if (signal?.aborted) return Promise.reject(new MtorError('CANCELLED', 'cancelled before it was asked'))
    if (this.#pending.size >= MAX_REQUESTS) return Promise.reject(new MtorError('BUSY', `${MAX_REQUESTS} requests to ${node} are under way`))
    const id = ++this.#last
    return new Promise((resolve, reject) => {
      let timer: Timer | undefined
      const giveUp = (error: MtorError) => { this.#settle(id)?.reject(error); cancel(id) }
      const aborted = () => giveUp(new MtorError('CANCELLED', `the request to ${node} was cancelled`, { cause: signal?.reason }))
      this.#pending.set(id, { resolve, reject, release: () => { this.#clock.clearTimeout(timer); signal?.removeEventListener('abort', aborted) } })
      timer = this.#clock.setTimeout(() => giveUp(new MtorError('DEADLINE', `${node} did not answer within ${timeoutMs} ms`)), timeoutMs)
      signal?.addEventListener('abort', aborted, { once: true })
      let sent = false
      try { sent = send(id) } catch (error) { this.#settle(id)?.reject(toMtorError(error)); return }
      if (!sent) this.#settle(id)?.reject(new MtorError('BUSY', `the queue to ${node} is full`))
    })
  }

  /** @throws MtorError MALFORMED for what is no answer; one that comes too late is no fault */
  take(frame: Frame): void {
    const { t, i, e } = frame.header
    if (typeof i !== 'number' || !Number.isSafeInteger(i) || i < 1 || i > this.#last) throw new MtorError('MALFORMED', 'an answer to what was not asked')
    if (t === 'res') { const answer = joinMessage(frame); this.#settle(i)?.resolve(answer); return }
    const { code, message, hint } = (e ?? {}) as { code?: unknown; message?: unknown; hint?: unknown }
    this.#settle(i)?.reject(new MtorError(isCode(code) ? code : 'INTERNAL', typeof message === 'string' ? message : 'the other node gave no reason', typeof hint === 'string' ? { hint } : {}))
  }

  /** The node is gone: nothing that was asked will be answered. */
  fail(error: MtorError): void { for (const id of [...this.#pending.keys()]) this.#settle(id)?.reject(error) }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    pending?.release()
    return pending
  }
}

export type Handler = (from: string, message: unknown, signal: AbortSignal) => Promise<unknown>

/** The requests of one node to us. */
export class Answering {
  readonly #running = new Map<number, AbortController>()

  /** Runs the handler; `reply` gets the answer unless the asker has gone or cancelled. */
  take(id: number, run: ((signal: AbortSignal) => Promise<unknown>) | undefined, channel: string, reply: (answer: { value: unknown } | { error: MtorError }) => void): void {
    if (!run) { reply({ error: new MtorError('NOT_FOUND', `nobody answers on channel ${JSON.stringify(channel)}`) }); return }
    if (this.#running.size >= MAX_REQUESTS) { reply({ error: new MtorError('BUSY', `${MAX_REQUESTS} requests are being answered`) }); return }
    if (this.#running.has(id)) throw new MtorError('MALFORMED', 'a request with the number of another')
    const controller = new AbortController()
    this.#running.set(id, controller)
    void (async () => {
      let answer: { value: unknown } | { error: MtorError }
      try { answer = { value: await run(controller.signal) } } catch (error) { answer = { error: toMtorError(error) } }
      if (this.#running.get(id) !== controller) return
      this.#running.delete(id)
      reply(answer)
    })()
  }

  cancel(id: unknown): void {
    if (typeof id !== 'number') throw new MtorError('MALFORMED', 'a cancellation without a number')
    this.#abort(id, 'the asker has cancelled')
  }

  /** The asker is gone. */
  abortAll(): void { for (const id of [...this.#running.keys()]) this.#abort(id, 'the asker is gone') }

  #abort(id: number, why: string): void {
    const controller = this.#running.get(id)
    this.#running.delete(id)
    controller?.abort(new MtorError('CANCELLED', why))
  }
}
