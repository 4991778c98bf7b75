import type { Clock } from '../contracts/clock.ts'
import type { Code } from '../contracts/codes.ts'
import { PROTOCOL_VERSION, type Envelope, type Receipt, type Source } from '../contracts/envelope.ts'
import { MtorError, toMtorError } from '../contracts/errors.ts'
import { isFinal, type IntentEvent } from '../contracts/events.ts'
import type { Hub } from '../contracts/hub.ts'
import { uuidv7 } from '../contracts/ids.ts'
import type { Identity } from '../contracts/intents.ts'
import type { EmergencyStop } from '../guard/emergency-stop.ts'
import type { Journal } from '../journal/port.ts'
import { ageMs, policyOf, type Admission } from './admission.ts'
import type { Dispatcher } from './dispatcher.ts'

/** Where an intent may be carried out besides here. Left out: nowhere. */
export interface Elsewhere {
  /** True when another node carries it out, or will. */
  takes(envelope: Envelope): boolean
  /** It was accepted here: another node sees it in the journal; here it is watched until it ends. */
  watch(envelope: Envelope, expiresMonoMs: number): void
  cancel(id: string, reason: MtorError | undefined): void
  /** How many are watched. */
  readonly waiting: number
}

export interface EnvelopeOptions {
  ttlMs?: number
  priority?: number
  /** The sender has asked its operator, or is entitled to decide. */
  confirmed?: boolean
}

interface IntentServiceOptions {
  admission: Admission; journal: Journal; dispatcher: Dispatcher; stop: EmergencyStop; hub: Hub; clock: Clock; maxUnfinished: number
  elsewhere?: Elsewhere
  /** Harmless queries, and the record of a stop, are carried out also while the journal cannot be reached; the receipt says so. */
  serveUnjournalled?: boolean
}

/**
 * The one door: voice, MQTT, WebSocket, flows, sequences and the CLI all submit here.
 * Admit, record, then hand over to the dispatcher; the receipt says accepted only once the journal has it.
 */
export class IntentService {
  readonly #o: IntentServiceOptions
  readonly #resubmitting = new Set<string>()
  #closed = false
  #accepted = 0
  #rejected = 0

  constructor(options: IntentServiceOptions) { this.#o = options }

  get counts() { return { accepted: this.#accepted, rejected: this.#rejected } }

  /** Answers everything from now on with BUSY (shutting down). */
  close() { this.#closed = true }

  /** An envelope for one who submits by type: id, time, ttl and priority filled in by policy. */
  envelope(type: string, slots: Record<string, unknown>, source: Omit<Source, 'node'>, options: EnvelopeOptions = {}): Envelope {
    const policy = policyOf(type)
    return {
      v: PROTOCOL_VERSION, id: uuidv7(), type, slots, source: { ...source, node: this.#o.hub.node }, issuedAt: this.#o.hub.now(),
      ttlMs: options.ttlMs ?? policy.ttlMs, priority: options.priority ?? policy.priority, ...(options.confirmed ? { confirmed: true } : {}),
    }
  }

  /** Never throws: what is wrong is in the receipt. */
  async submit(input: unknown, identity: Identity): Promise<Receipt> {
    const given = input as { id?: unknown; type?: unknown } | null
    // A stop acts before anything is checked but the right to stop; the record of it follows.
    if (given !== null && typeof given === 'object' && given.type === 'stop' && identity.role !== 'observer') this.#o.stop.trigger(`intent from ${identity.kind} ${identity.client}`)
    const { count: stops } = this.#o.stop
    try {
      if (this.#closed) throw new MtorError('BUSY', 'the appliance is shutting down')
      if (this.#o.dispatcher.unfinished + (this.#o.elsewhere?.waiting ?? 0) >= this.#o.maxUnfinished) throw new MtorError('BUSY', `${this.#o.maxUnfinished} intents are unfinished`)
      const admitted = await this.#o.admission.admit(input, identity)
      if (admitted === 'replayed') return this.#receipt((input as Envelope).id, { duplicate: true })
      return await this.#record(admitted, identity, stops)
    } catch (thrown) {
      this.#rejected += 1
      const error = toMtorError(thrown)
      const id = typeof given?.id === 'string' && /^[0-9a-f-]{36}$/.test(given.id) ? given.id : null
      return { v: PROTOCOL_VERSION, id, accepted: false, code: error.code, message: error.message, say: error.say, hint: error.hint, at: this.#o.hub.now() }
    }
  }

  /** @param stops how many emergency stops there had been when it was submitted */
  async #record(envelope: Envelope, identity: Identity, stops: number): Promise<Receipt> {
    const { journal, dispatcher, hub, clock, stop } = this.#o
    const at = hub.now()
    const age = ageMs(envelope, { node: hub.node, boot: hub.boot }, clock) ?? 0
    const expiresMonoMs = clock.monoMs() + envelope.ttlMs - age
    let outcome: Awaited<ReturnType<Journal['accept']>>
    try { outcome = await journal.accept({ envelope, client: identity.client, acceptedAt: at }) } catch (error) {
      if (!this.#mayGoUnjournalled(envelope, toMtorError(error).code)) throw error
      this.#accepted += 1
      hub.intent({ id: envelope.id, type: envelope.type, state: 'accepted', source: envelope.source, data: { slots: envelope.slots, durable: false } })
      dispatcher.enqueue({ ...dispatcher.jobOf(envelope, expiresMonoMs), unjournalled: true })
      return this.#receipt(envelope.id, { durable: false })
    }
    if (outcome === 'conflict') throw new MtorError('REPLAYED', `id ${envelope.id} was used for another intent`)
    if (outcome === 'duplicate') {
      await this.#adopt(envelope, expiresMonoMs)
      return this.#receipt(envelope.id, { duplicate: true })
    }
    this.#accepted += 1
    hub.intent({ id: envelope.id, type: envelope.type, state: 'accepted', source: envelope.source, data: { slots: envelope.slots } })
    // A stop ends what was asked for before it, also what was still on its way into the journal.
    const over = stop.count !== stops && envelope.type !== 'stop' && policyOf(envelope.type).actuates ? new MtorError('STOPPED', 'stopped before it was started') : dispatcher.over(envelope)
    if (over) void dispatcher.finish({ id: envelope.id, envelope }, { state: 'aborted', code: over.code, message: over.message })
    else this.#carryOut(envelope, expiresMonoMs)
    return this.#receipt(envelope.id, {})
  }

  #carryOut(envelope: Envelope, expiresMonoMs: number): void {
    const { dispatcher, elsewhere } = this.#o
    if (elsewhere?.takes(envelope)) elsewhere.watch(envelope, expiresMonoMs)
    else dispatcher.enqueue(dispatcher.jobOf(envelope, expiresMonoMs))
  }

  /** What may be done again without harm may also be done without a record; nothing that moves. */
  #mayGoUnjournalled({ id, type }: Envelope, code: Code): boolean {
    if (!this.#o.serveUnjournalled || (code !== 'NO_QUORUM' && code !== 'JOURNAL_UNAVAILABLE') || this.#o.dispatcher.has(id)) return false
    const { actuates, repeatable } = policyOf(type)
    return type === 'stop' || (!actuates && repeatable)
  }

  /**
   * A repeat may be of an intent whose first submission was answered JOURNAL_UNAVAILABLE although the journal did get
   * it: then nobody carries it out yet, and this repeat is its acceptance.
   */
  async #adopt(envelope: Envelope, expiresMonoMs: number): Promise<void> {
    const { journal, dispatcher } = this.#o
    if (dispatcher.has(envelope.id) || (await journal.get(envelope.id))?.state !== 'accepted' || dispatcher.has(envelope.id)) return
    this.#carryOut(envelope, expiresMonoMs)
  }

  #receipt(id: string, extra: Partial<Receipt>): Receipt { return { v: PROTOCOL_VERSION, id, accepted: true, ...extra, at: this.#o.hub.now() } }

  /** Submits and waits for the final event; rejects with the receipt's code when it is not accepted. The signal ends the intent, with its reason; what becomes of it is still waited for. */
  async run(envelope: Envelope, identity: Identity, signal?: AbortSignal): Promise<IntentEvent> {
    const { promise, resolve } = Promise.withResolvers<IntentEvent>()
    const off = this.#o.hub.onIntent((event) => { if (event.id === envelope.id && isFinal(event.state)) resolve(event) })
    const cancel = () => {
      const reason = signal?.reason instanceof MtorError ? signal.reason : undefined
      if (this.#o.dispatcher.cancel(({ id }) => id === envelope.id, reason).length === 0) this.#o.elsewhere?.cancel(envelope.id, reason)
    }
    try {
      const receipt = await this.submit(envelope, identity)
      if (!receipt.accepted) throw new MtorError(receipt.code ?? 'INTERNAL', receipt.message ?? 'rejected')
      // Aborted while it went into the journal, it could not be cancelled then.
      if (signal?.aborted) cancel()
      else signal?.addEventListener('abort', cancel, { once: true })
      return await promise
    } finally { off(); signal?.removeEventListener('abort', cancel) }
  }

  /** Submits a dead letter anew under a new id, and takes it off the list. @throws MtorError NOT_FOUND */
  async resubmit(id: string, identity: Identity): Promise<Receipt> {
    if (this.#resubmitting.has(id)) throw new MtorError('NOT_FOUND', `dead letter ${id} is being submitted again already`)
    this.#resubmitting.add(id)
    try {
      const entry = await this.#o.journal.get(id)
      if (!entry?.deadLetter) throw new MtorError('NOT_FOUND', `no dead letter ${id}`)
      const { envelope } = entry
      // It was confirmed when it was accepted, and whoever names it by its id has decided again.
      const source = { kind: identity.kind, ...(envelope.source.operator ? { operator: envelope.source.operator } : {}) }
      const receipt = await this.submit(this.envelope(envelope.type, envelope.slots, source, { confirmed: true }), identity)
      if (receipt.accepted) await this.#o.journal.clearDeadLetter(id)
      return receipt
    } finally { this.#resubmitting.delete(id) }
  }
}
