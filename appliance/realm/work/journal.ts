import type { Clock, Timer } from '../../contracts/clock.ts'
import type { Envelope } from '../../contracts/envelope.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { SystemEventInput } from '../../contracts/events.ts'
import type { EtcdJournal } from '../../journal/etcd/index.ts'
import type { AcceptInput, AcceptOutcome, ClaimInput, FinishInput, Journal, JournalEntry, JournalStats } from '../../journal/port.ts'

export interface RealmJournalOptions {
  /** What is this node's own: mode, timers and other small values, and the intents it accepts while it stands alone. */
  local: Journal
  /** A journal on etcd, not started; asked for anew with every try, because addresses may have become known. */
  make(onEvent: (event: SystemEventInput) => void): EtcdJournal
  clock: Clock
  onEvent(event: SystemEventInput): void
  /** Asked before each try whether this node may open the shared journal at all. @throws MtorError VERSION_MISMATCH, and what etcd throws */
  admit?(): Promise<void>
  /** How long the start waits for a majority, ms. */
  startWaitMs: number
}

const AGAIN_MS = 500
const LOST_SAY = 'I have lost the other nodes. I still answer, but I will not move anything.'
const REFUSED_SAY = 'My software does not fit that of the other nodes. I will not move anything.'
const BACK_SAY = 'The other nodes are back.'

/**
 * The journal of a node in a realm. Intents are on etcd, shared by all nodes; small values stay on this node's disk, so
 * that mode and timers need no majority. Without a majority it refuses with NO_QUORUM and says so aloud, once.
 */
export class RealmJournal implements Journal {
  readonly #o: RealmJournalOptions
  readonly #onUp: ((etcd: EtcdJournal) => void | Promise<void>)[] = []
  /** Unfinished intents that only this node's disk has. */
  readonly #local = new Set<string>()
  /** Went to etcd, and nobody knows whether they got there: may be accepted nowhere else. */
  readonly #unknown = new Set<string>()
  #etcd: EtcdJournal | undefined
  /** Why this node may not open the shared journal. */
  #refusal: MtorError | undefined
  #running = false
  #lost = false
  #retry: Timer | undefined
  #starting: Promise<void> | undefined
  /** Whether an intent may be accepted by this node alone, on its own disk. */
  standsAlone: (envelope: Envelope) => boolean = () => false

  constructor(options: RealmJournalOptions) { this.#o = options }

  /** Undefined until a majority was there for the first time. */
  get etcd(): EtcdJournal | undefined { return this.#etcd }
  /** False while requests are refused for want of a majority. */
  get hasQuorum(): boolean { return this.#etcd !== undefined && !this.#lost }
  get local(): Journal { return this.#o.local }
  isLocal(id: string): boolean { return this.#local.has(id) }

  /** Called when etcd is there for the first time; at once where it is already. */
  onUp(listener: (etcd: EtcdJournal) => void | Promise<void>): void {
    this.#onUp.push(listener)
    if (this.#etcd) void this.#follow(this.#etcd, listener)
  }

  async start(): Promise<void> {
    if (this.#running) return
    this.#running = true
    await this.#o.local.start()
    for (const { envelope } of await this.#o.local.unfinished()) this.#local.add(envelope.id)
    const { clock, startWaitMs } = this.#o
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = clock.setTimeout(() => { if (this.#refusal) this.#lost = true; else this.#loses('no majority of the realm could be reached since the start'); resolve() }, startWaitMs)
    this.#try(() => { clock.clearTimeout(timer); resolve() })
    await promise
  }

  async stop(): Promise<void> {
    this.#running = false
    this.#o.clock.clearTimeout(this.#retry)
    await this.#starting
    await this.#etcd?.stop()
    await this.#o.local.stop()
  }

  /** Numbers of boots are the realm's; 0 until they are known. */
  async boot(bootId: string): Promise<number> {
    await this.#o.local.boot(bootId)
    return this.hasQuorum ? await this.#etcd!.boot(bootId) : 0
  }

  async accept(input: AcceptInput): Promise<AcceptOutcome> {
    const { id } = input.envelope
    if (this.#local.has(id)) return await this.#o.local.accept(input)
    if (!this.hasQuorum && !this.#unknown.has(id) && this.standsAlone(input.envelope)) {
      const outcome = await this.#o.local.accept(input)
      this.#local.add(id)
      return outcome
    }
    const wasLost = this.#lost
    try { return await this.#shared.accept(input) } catch (error) {
      if (this.#etcd && !wasLost) { this.#unknown.add(id); if (this.#unknown.size > 10_000) this.#unknown.delete(this.#unknown.values().next().value!) }
      throw error
    }
  }

  claim(id: string, input: ClaimInput) { return this.#of(id).then((journal) => journal.claim(id, input)) }
  progress(id: string, data: Record<string, unknown>) { return this.#of(id).then((journal) => journal.progress(id, data)) }

  async finish(id: string, input: FinishInput): Promise<boolean> {
    if (!this.#local.has(id)) return await this.#shared.finish(id, input)
    const first = await this.#o.local.finish(id, input)
    this.#local.delete(id)
    return first
  }

  async get(id: string): Promise<JournalEntry | undefined> {
    if (this.#local.has(id) || !this.#etcd) return await this.#o.local.get(id)
    return await this.#etcd.get(id) ?? await this.#o.local.get(id)
  }

  /** Of the whole realm. */
  async unfinished(): Promise<JournalEntry[]> { return [...await this.#shared.unfinished(), ...await this.#o.local.unfinished()] }

  /** Without a majority: what this node's own disk has. */
  async list(query: Parameters<Journal['list']>[0] = {}): Promise<JournalEntry[]> {
    const own = await this.#o.local.list(query)
    if (!this.hasQuorum) return own
    return [...await this.#etcd!.list(query), ...own].slice(0, query.limit ?? 100)
  }

  async clearDeadLetter(id: string): Promise<boolean> { return await this.#o.local.clearDeadLetter(id) || await this.#shared.clearDeadLetter(id) }
  async nextEpoch(device: string, above?: number): Promise<number> { return await this.#shared.nextEpoch(device, above) }
  put(key: string, value: unknown) { return this.#o.local.put(key, value) }
  read(key: string) { return this.#o.local.read(key) }
  keys(prefix: string) { return this.#o.local.keys(prefix) }
  stats(): Promise<JournalStats> { return (this.#etcd ?? this.#o.local).stats() }

  get #shared(): EtcdJournal {
    if (this.#refusal) throw this.#refusal
    if (!this.#etcd) throw new MtorError('NO_QUORUM', 'no majority of the realm could be reached since the start')
    return this.#etcd
  }

  async #of(id: string): Promise<Journal> { return this.#local.has(id) ? this.#o.local : this.#shared }

  /** Tries until etcd is there; `done` is called once it is. */
  #try(done: () => void) {
    const etcd = this.#o.make((event) => { this.#told(event) })
    this.#starting = (async () => {
      try {
        await this.#o.admit?.()
        await etcd.start()
      } catch (thrown) {
        const error = toMtorError(thrown)
        const isNew = error.code === 'VERSION_MISMATCH' && this.#refusal?.message !== error.message
        if (error.code === 'VERSION_MISMATCH') this.#refusal = error
        if (isNew) this.#o.onEvent({ severity: 'critical', component: 'journal', name: 'journal.refused', code: error.code, message: `this node does not work with its realm: ${error.message}`, data: error.data, say: REFUSED_SAY })
        else this.#o.onEvent({ severity: 'debug', component: 'journal', name: 'journal.not-yet', code: error.code, message: error.message, ...(error.data ? { data: error.data } : {}) })
        if (this.#running) this.#retry = this.#o.clock.setTimeout(() => { this.#try(done) }, AGAIN_MS)
        return
      }
      if (!this.#running) { await etcd.stop(); return }
      this.#etcd = etcd
      this.#refusal = undefined
      for (const listener of this.#onUp) await this.#follow(etcd, listener)
      if (this.#lost) this.#finds()
      done()
    })()
  }

  /** What follows the journal reads from it first; where that fails, it is tried again beside the rest: without it this node would own nothing. */
  async #follow(etcd: EtcdJournal, listener: (etcd: EtcdJournal) => void | Promise<void>): Promise<void> {
    try { await listener(etcd) } catch (thrown) {
      const error = toMtorError(thrown)
      this.#o.onEvent({ severity: 'warning', component: 'journal', name: 'journal.follower-failed', code: error.code, message: error.message })
      if (this.#running) this.#o.clock.setTimeout(() => { if (this.#running) void this.#follow(etcd, listener) }, AGAIN_MS)
    }
  }

  #told(event: SystemEventInput) {
    if (event.name === 'journal.unavailable') this.#loses(event.message ?? 'no majority', event)
    else if (event.name === 'journal.recovered') this.#finds(event)
    else this.#o.onEvent(event)
  }

  #loses(message: string, event: SystemEventInput = { severity: 'critical', component: 'journal', name: 'journal.unavailable', code: 'NO_QUORUM', message }) {
    const again = this.#lost
    this.#lost = true
    this.#o.onEvent({ ...event, ...(again ? {} : { say: LOST_SAY }) })
  }

  #finds(event: SystemEventInput = { severity: 'info', component: 'journal', name: 'journal.recovered', message: 'a majority of the realm is there' }) {
    const wasLost = this.#lost
    this.#lost = false
    this.#o.onEvent({ ...event, ...(wasLost ? { say: BACK_SAY } : {}) })
  }
}
