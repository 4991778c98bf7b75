import { systemClock, type Clock } from '../../appliance/contracts/clock.ts'
import type { Envelope, Receipt } from '../../appliance/contracts/envelope.ts'
import { MtorError } from '../../appliance/contracts/errors.ts'
import type { IntentEvent } from '../../appliance/contracts/events.ts'
import { uuidv7 } from '../../appliance/contracts/ids.ts'
import { PROTOCOL_VERSION } from '../../appliance/contracts/protocol.ts'
import type { Topics } from '../../appliance/contracts/topics.ts'
import type { Connection } from './connection.ts'
import { parsed } from './json.ts'
import { machineName } from './settings.ts'

export interface Submission {
  type: string
  slots: Record<string, unknown>
  /** Whoever submits has asked, or is entitled to decide: what must be confirmed is rejected without it. */
  confirmed?: boolean | undefined
  /** The intent that this is a step of: ends with it. */
  parent?: string | undefined
  ttlMs?: number | undefined
  priority?: number | undefined
  /** How long a receipt is waited for, ms. */
  receiptMs?: number | undefined
  /** How long the result is waited for after the receipt, ms. */
  resultMs?: number | undefined
}
/** What became of a submission: first the receipt, then how it ended. */
export interface Submitted { id: string; receipt: Receipt; final: Promise<IntentEvent>; /** Waits no longer; the intent goes on. */ forget(): void }

const RECEIPT_MS = 10_000, RESULT_MS = 3600_000, TTL_MS = 30_000
const isFinal = (state: unknown) => state === 'succeeded' || state === 'failed' || state === 'expired' || state === 'aborted'

/** Submits intents and brings back what became of them. */
export class Submitter {
  readonly #connection: Connection
  readonly #topics: Topics
  readonly #clock: Clock
  readonly #pending = new Set<() => void>()

  constructor(connection: Connection, topics: Topics, clock: Clock = systemClock) {
    this.#connection = connection
    this.#topics = topics
    this.#clock = clock
  }

  /** Waits for nothing any more. */
  stop(): void { for (const forget of [...this.#pending]) forget() }

  /**
   * @throws MtorError the receipt's code where it was not accepted; NOT_RUNNING without a connection or a receipt.
   * `final` rejects with DEADLINE where no result came, and with INTERRUPTED where the connection was given up
   */
  async submit({ type, slots, confirmed, parent, ttlMs, priority, receiptMs = RECEIPT_MS, resultMs = RESULT_MS }: Submission): Promise<Submitted> {
    if (!this.#connection.ready) throw new MtorError('NOT_RUNNING', `no connection to ${this.#connection.settings.url}${this.#connection.trouble ? `: ${this.#connection.trouble}` : ''}`)
    const wall = this.#clock.wallMs()
    const envelope: Envelope = {
      v: PROTOCOL_VERSION, id: uuidv7(), type, slots, source: { kind: 'flow', node: machineName() },
      issuedAt: { boot: 0, mono: this.#clock.monoMs(), ...(wall === undefined ? {} : { wall }) }, ttlMs: ttlMs ?? TTL_MS, priority: priority ?? 5,
      ...(confirmed ? { confirmed: true } : {}), ...(parent === undefined ? {} : { parent }),
    }
    const receipt = deferred<Receipt>(), final = deferred<IntentEvent>()
    final.promise.catch(() => {})
    const listen = (topic: string, take: (value: Record<string, unknown>) => void) => this.#connection.subscribe(topic, (message) => { const value = parsed(message); if (value) take(value) })
    let isAnswered = false
    // The same id again after a break: an intent that had been accepted is not accepted twice.
    const send = () => { this.#connection.publish(this.#topics.submit, envelope).catch((error: MtorError) => { if (error.code === 'TOO_LARGE') receipt.reject(error) }) }
    const listening: { there: Promise<void>; off(): void }[] = [
      listen(this.#topics.receipt(envelope.id), (value) => receipt.resolve(value as unknown as Receipt)),
      listen(this.#topics.intentEvent(envelope.id), (value) => { if (isFinal(value.state)) { final.resolve(value as unknown as IntentEvent); forget() } }),
      { there: Promise.resolve(), off: this.#connection.onState(() => { if (this.#connection.ready && !isAnswered) send() }) },
    ]
    let timer = this.#clock.setTimeout(() => receipt.reject(new MtorError('NOT_RUNNING', `no receipt of ${type} within ${receiptMs} ms`)), receiptMs)
    const forget = () => {
      this.#clock.clearTimeout(timer)
      for (const { off } of listening.splice(0)) off()
      this.#pending.delete(forget)
      const given = new MtorError('INTERRUPTED', `the connection was given up before ${type} had ended`)
      receipt.reject(given)
      final.reject(given)
    }
    this.#pending.add(forget)
    try {
      await Promise.all(listening.map(({ there }) => there))
      send()
      const answer = await receipt.promise
      isAnswered = true
      if (!answer.accepted) throw new MtorError(answer.code ?? 'INTERNAL', answer.message ?? 'rejected', { ...(answer.say ? { say: answer.say } : {}), ...(answer.hint ? { hint: answer.hint } : {}), data: { receipt: answer } })
      this.#clock.clearTimeout(timer)
      if (listening.length > 0) timer = this.#clock.setTimeout(() => { final.reject(new MtorError('DEADLINE', `no result of ${type} within ${resultMs} ms`)); forget() }, resultMs)
      return { id: envelope.id, receipt: answer, final: final.promise, forget }
    } catch (error) {
      forget()
      throw error
    }
  }

  /** Submits and waits for the end. @throws MtorError also where it did not succeed, with the code it ended with */
  async run(submission: Submission): Promise<IntentEvent> {
    const { final } = await this.submit(submission)
    const event = await final
    if (event.state !== 'succeeded') throw errorOf(event)
    return event
  }
}

/** The error that an intent ended with. */
export function errorOf(event: IntentEvent): MtorError {
  return new MtorError(event.code ?? (event.state === 'expired' ? 'EXPIRED' : event.state === 'aborted' ? 'CANCELLED' : 'INTERNAL'), `${event.type} ${event.state}${event.message ? `: ${event.message}` : ''}`, { ...(event.say ? { say: event.say } : {}), data: { event } })
}

/** Promise.withResolvers, which Node-RED's oldest Node lacks. */
function deferred<T>() {
  let resolve!: (value: T) => void, reject!: (error: unknown) => void
  const promise = new Promise<T>((yes, no) => { resolve = yes; reject = no })
  return { promise, resolve, reject }
}
