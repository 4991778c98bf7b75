import { toMtorError } from '../../contracts/errors.ts'
import type { FromWorker, PlainError, ToWorker } from '../messages.ts'
import { classify } from '../providers/faults.ts'
import { InnerFaults, LOST_PROVIDER } from './inner-faults.ts'
import { Models } from './models.ts'

const SHUTDOWN_MS = 1_000

type Request = Extract<ToWorker, { requestId: number }>

/** Takes the messages of the core one at a time, in order, and answers each request exactly once. */
export class Conversation {
  readonly #send: (message: FromWorker) => void
  readonly #models: Models
  readonly #faults: InnerFaults
  /** The run or proof that is being done; loading has its own limit. */
  #asked: number | undefined
  #turn: Promise<unknown> = Promise.resolve()

  constructor(send: (message: FromWorker) => void) {
    this.#send = send
    this.#models = new Models({
      log: (level, message, data) => send({ kind: 'log', level, message, data }),
      preparing: () => { if (this.#asked !== undefined) send({ kind: 'preparing', requestId: this.#asked }) },
    })
    this.#faults = new InnerFaults(this.#models)
  }

  take(message: ToWorker): void {
    if (message.kind === 'shutdown') {
      // What is being run may still be answered, within bounds.
      setTimeout(() => process.exit(0), SHUTDOWN_MS)
      void this.#turn.finally(async () => { await this.#models.close().catch(() => {}); process.exit(0) })
      return
    }
    if ('requestId' in message) this.#send({ kind: 'taken', requestId: message.requestId })
    this.#turn = this.#turn.then(() => this.#do(message)).catch((error: unknown) => {
      this.#send({ kind: 'log', level: 'error', message: `${message.kind}: ${toMtorError(error).message}` })
    })
  }

  async #do(message: Exclude<ToWorker, { kind: 'shutdown' }>): Promise<void> {
    if (message.kind === 'fault') {
      if (process.env['MTOR_INFERENCE_FAULTS'] === '1') await this.#faults.inject(message.fault)
      else this.#send({ kind: 'log', level: 'warn', message: `fault ${message.fault.name} is not injected: MTOR_INFERENCE_FAULTS is not 1` })
      return
    }
    if (message.kind === 'unload') return await this.#models.unload(message.model)
    this.#asked = message.kind === 'load' ? undefined : message.requestId
    try { this.#send(await this.#answer(message)) } catch (thrown) { this.#send({ kind: 'failed', requestId: message.requestId, ...this.#failure(message, thrown) }) }
  }

  async #answer(message: Request): Promise<FromWorker> {
    const { requestId } = message
    if (message.kind === 'load') return { kind: 'loaded', requestId, ...await this.#models.load(message) }
    if (this.#faults.providerLost) throw LOST_PROVIDER
    if (message.kind === 'run') this.#faults.meet(message.input)
    if (message.kind === 'run') return { kind: 'answer', requestId, ...await this.#models.run(message) }
    return { kind: 'proven', requestId, ...await this.#models.prove(message) }
  }

  #failure(message: Request, thrown: unknown): { error: PlainError; gpu?: boolean } {
    const { error, gpu } = classify(thrown, message.kind === 'load' ? 'own' : this.#models.provider(message.model))
    return { error: { code: error.code, message: error.message, ...(error.data ? { data: error.data } : {}) }, ...(gpu ? { gpu } : {}) }
  }
}
