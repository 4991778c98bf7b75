import type { Driver } from '../../drivers/port.ts'
import type { Clock, Timer } from '../contracts/clock.ts'
import { CODES, type Code } from '../contracts/codes.ts'
import type { Envelope } from '../contracts/envelope.ts'
import { MtorError, toMtorError } from '../contracts/errors.ts'
import type { DeviceTicket } from '../contracts/events.ts'
import type { Hub } from '../contracts/hub.ts'
import type { Guard } from '../guard/mode.ts'
import type { FinishInput, Journal } from '../journal/port.ts'
import type { Skill } from '../skills/port.ts'
import { policyOf } from './admission.ts'
import type { Handlers } from './handlers.ts'
import { DispatchQueue } from './queue.ts'

/** An accepted intent waiting or running. Times are CLOCK_MONOTONIC ms. */
export interface Job {
  id: string
  priority: number
  device?: string
  envelope: Envelope
  /** Not started after this. */
  expiresMonoMs: number
  attempt: number
  /** Carried out without the journal, which cannot be reached: nothing is claimed, and its end is written once the journal is back. */
  unjournalled?: boolean
}

export interface DispatcherOptions {
  journal: Journal
  hub: Hub
  clock: Clock
  guard: Guard
  skills: readonly Skill[]
  /** Carry out what `takes` says is theirs, before any skill. Left out: there are none. */
  handlers?: Pick<Handlers, 'takes' | 'run'>
  drivers: readonly Driver[]
  /** Present fencing token of a device; undefined while this node does not command it. */
  epochOf(device: string): number | undefined
  /** Takes command of a device anew, under a fresh epoch. */
  renewEpoch(device: string): Promise<void>
  concurrency: number
  retryBaseMs: number
  /** Asked right before a job is claimed. False: another node is to carry it out; it is dropped here and stays accepted in the journal. Left out: this node carries out everything. */
  isOurs?(job: Job): boolean
  /** Told of a job that was dropped for that reason. */
  onLeft?(job: Job): void
  /** Told of an intent that was ended while it ran here: steps of it may be on other nodes. */
  onTakenAway?(id: string, reason: MtorError): void
  /** Waits while it is in doubt whether this node commands the device; false where it does no longer. */
  certain?(device: string): Promise<boolean>
}

/** Failures that may pass, so that a repeatable intent is tried again. */
const MAY_PASS: ReadonlySet<Code> = new Set(['DEVICE_UNREACHABLE', 'BUSY', 'INTERNAL', 'SPEECH_DOWN', 'STALE_EPOCH', 'CAMERA', 'MODEL_UNAVAILABLE', 'NO_HANDLER'])
/** Endings an operator wanted or that resubmitting cannot mend: no dead letter. */
const NO_DEAD_LETTER: ReadonlySet<Code> = new Set(['STOPPED', 'CANCELLED', 'NOT_FITTED', 'NOT_FOUND', 'INVALID_SLOTS', 'POISON', 'NOT_ARMED', 'UNSAFE_MODE', 'EXPIRED'])
/** Types that only wait while they run. */
const WAITING: ReadonlySet<string> = new Set(['sequence.run', 'speech.ask'])
/** Ends of intents without the journal that are remembered until it is back. */
const UNJOURNALLED_MAX = 10_000
/** So many intents that were taken away are remembered. */
const MOST_TAKEN_AWAY = 1_000
/** Codes that mean somebody ended it, rather than that it failed. */
const ABORTS: ReadonlySet<Code> = new Set(['STOPPED', 'CANCELLED'])

/**
 * Carries out accepted intents: by priority, one at a time per device, within the deadline of the type, with retries
 * where the type may be repeated. Every job ends in exactly one final state, written to the journal before it is told.
 */
export class Dispatcher {
  readonly #o: DispatcherOptions
  readonly #queue = new DispatchQueue<Job>()
  readonly #running = new Map<string, { job: Job; abort: AbortController; done: Promise<void> }>()
  readonly #retryTimers = new Map<string, { job: Job; timer: Timer }>()
  readonly #skillOf = new Map<string, Skill>()
  readonly #driverOf = new Map<string, Driver>()
  /** Ended, but the journal does not say so yet. */
  readonly #ending = new Set<string>()
  /** Carried out without the journal, with what became of it: what the journal may have of it is not to be done again. */
  readonly #unjournalled = new Map<string, FinishInput | undefined>()
  /** Intents that were stopped, cancelled or too late, here or on another node, and why: neither they nor steps of theirs are begun any more. */
  readonly #takenAway = new Map<string, MtorError>()
  #accepting = false

  constructor(options: DispatcherOptions) {
    this.#o = options
    for (const skill of options.skills) for (const type of skill.types) this.#skillOf.set(type, skill)
    for (const driver of options.drivers) this.#driverOf.set(driver.id, driver)
    options.guard.onChange(() => this.#abortRefused())
  }

  start(): void { this.#accepting = true; this.#pump() }

  /** Takes no new work and ends what runs with INTERRUPTED; waiting jobs stay in the journal for the next start. */
  async stop(): Promise<void> {
    this.#accepting = false
    for (const { timer } of this.#retryTimers.values()) this.#o.clock.clearTimeout(timer)
    this.#retryTimers.clear()
    for (const { abort } of this.#running.values()) abort.abort(new MtorError('INTERRUPTED', 'the appliance is shutting down'))
    await Promise.all([...this.#running.values()].map((r) => r.done))
  }

  /** Waiting, running and about to be retried. */
  get unfinished() { return this.#queue.size + this.#running.size + this.#retryTimers.size }

  /** True while the intent waits, runs, is about to be tried again, or its end is being written. */
  has(id: string): boolean { return this.#running.has(id) || this.#retryTimers.has(id) || this.#ending.has(id) || this.#queue.has(id) }

  /** The device that intents of this type command on this node. */
  deviceFor(type: string): string | undefined {
    const kind = policyOf(type).deviceKind
    return kind === undefined ? undefined : this.#o.drivers.find((d) => d.kind === kind)?.id
  }

  /** The job of an entry that is durable. */
  jobOf(envelope: Envelope, expiresMonoMs: number, attempt = 0): Job {
    const { deviceSlot } = policyOf(envelope.type)
    const named = deviceSlot === undefined ? undefined : envelope.slots[deviceSlot] as string
    const device = named === undefined ? this.deviceFor(envelope.type) : this.#driverOf.get(named)?.id
    return { id: envelope.id, priority: envelope.priority, envelope, expiresMonoMs, attempt, ...(device === undefined ? {} : { device }) }
  }

  /** Takes a job whose intent is durable; one that is here already is not taken twice. */
  enqueue(job: Job): void {
    if (this.has(job.id)) return
    // A stop is reported at once: it must not wait behind the very motion it ended.
    this.#queue.add(job.envelope.type === 'stop' ? { ...job, device: undefined } : job)
    this.#pump()
  }

  /** Ends every running and waiting actuation with STOPPED. Called by the stop path after the drivers were told. */
  abortActuations(reason: string): void {
    this.#abort((job) => policyOf(job.envelope.type).actuates && job.envelope.type !== 'stop', new MtorError('STOPPED', `stopped (${reason})`))
  }

  /** Ends what matches (for "cancel", and for the steps of what was ended itself); returns what that was. */
  cancel(predicate: (envelope: Envelope) => boolean, reason = new MtorError('CANCELLED', 'cancelled on request')): Envelope[] {
    return this.#abort((job) => predicate(job.envelope), reason)
  }

  /** What the new mode or arming does not allow must not go on either; what waits is refused when its turn comes. */
  #abortRefused(): void {
    for (const { job, abort } of this.#running.values()) {
      const refusal = this.#o.guard.refusal(job.envelope.type)
      if (refusal) abort.abort(refusal)
    }
  }

  #abort(predicate: (job: Job) => boolean, reason: MtorError): Envelope[] {
    const waiting = this.#queue.remove(predicate)
    for (const [id, { job, timer }] of this.#retryTimers) {
      if (!predicate(job)) continue
      this.#o.clock.clearTimeout(timer)
      this.#retryTimers.delete(id)
      waiting.push(job)
    }
    const ended = waiting.map((job) => job.envelope)
    for (const job of waiting) void this.finish(job, { state: 'aborted', code: reason.code, message: reason.message })
    for (const { job, abort } of this.#running.values()) if (predicate(job)) { abort.abort(reason); ended.push(job.envelope) }
    return ended
  }

  /** An intent has ended before it was done, here or on another node: it takes its steps with it, also those that are still to come. */
  takeAway(id: string, reason: MtorError): void {
    if (this.#takenAway.has(id)) return
    this.#takenAway.set(id, reason)
    if (this.#takenAway.size > MOST_TAKEN_AWAY) this.#takenAway.delete(this.#takenAway.keys().next().value!)
    this.#abort(({ envelope: { id: own, parent, type } }) => own === id || (parent === id && type !== 'stop'), reason)
  }

  /** Why an intent is not to be begun any more: whoever submitted it may not have heard yet that it was ended, or what it is a step of. */
  over({ id, parent, type }: Envelope): MtorError | undefined {
    const own = this.#takenAway.get(id)
    // What was too late may be tried again.
    if (own && ABORTS.has(own.code)) return own
    const whole = parent === undefined || type === 'stop' ? undefined : this.#takenAway.get(parent)
    return whole && new MtorError(whole.code, `the intent it is a step of has ended: ${whole.message}`)
  }

  /** A sequence or a flow waits for its steps, a question for a person: if they took places, sixteen of them would leave none for the steps. */
  get #occupied(): number {
    let count = 0
    for (const { job: { envelope: { type } } } of this.#running.values()) if (!WAITING.has(type) && !this.#o.handlers?.takes(type)) count += 1
    return count
  }

  #pump(): void {
    while (this.#accepting && this.#occupied < this.#o.concurrency) {
      const job = this.#queue.next()
      if (!job) return
      const abort = new AbortController()
      abort.signal.addEventListener('abort', () => {
        const reason = toMtorError(abort.signal.reason)
        const isNews = !this.#takenAway.has(job.id)
        this.takeAway(job.id, reason)
        if (isNews) this.#o.onTakenAway?.(job.id, reason)
      }, { once: true })
      const done = this.#run(job, abort).catch((error: unknown) => {
        this.#o.hub.system({ severity: 'error', component: 'dispatch', name: 'job.broken', code: 'INTERNAL', message: String(error), data: { id: job.id } })
      }).finally(() => {
        this.#running.delete(job.id)
        this.#queue.release(job)
        this.#pump()
      })
      this.#running.set(job.id, { job, abort, done })
    }
  }

  async #run(job: Job, abort: AbortController): Promise<void> {
    const { clock, guard, hub } = this.#o
    const { envelope } = job
    const over = this.over(envelope)
    if (over) return this.finish(job, { state: 'aborted', code: over.code, message: over.message })
    if (clock.monoMs() > job.expiresMonoMs) return this.finish(job, { state: 'expired', code: 'EXPIRED', message: 'its time to live ran out before it could be started' })
    const refusal = guard.refusal(envelope.type)
    if (refusal) return this.finish(job, { state: 'failed', code: refusal.code, message: refusal.message })

    const policy = policyOf(envelope.type)
    let ticket: DeviceTicket | undefined
    if (this.#isLeft(job)) return
    try {
      if (policy.deviceKind !== undefined && envelope.type !== 'stop' && job.device === undefined) throw new MtorError('NOT_FITTED', `no ${policy.deviceKind} is configured`)
      if (policy.deviceSlot !== undefined && job.device === undefined) throw new MtorError('NOT_FOUND', `no device ${JSON.stringify(envelope.slots[policy.deviceSlot])} is configured`)
      const claimed = job.unjournalled ? { attempt: job.attempt + 1 } : await this.#claim(job, abort.signal)
      if (!claimed) return
      job.attempt = claimed.attempt
      ticket = claimed.ticket
      hub.intent({ id: job.id, type: envelope.type, state: 'started', source: envelope.source, ...(ticket ? { ticket } : {}) })
    } catch (error) { return this.#failed(job, toMtorError(error)) }

    const deadline = clock.setTimeout(() => abort.abort(new MtorError('DEADLINE', `not done within ${policy.deadlineMs} ms`)), policy.deadlineMs)
    try {
      const { handlers } = this.#o
      const handled = handlers?.takes(envelope.type)
      const skill = this.#skillOf.get(envelope.type)
      if (!skill && !handled) throw new MtorError('NOT_FITTED', `no skill is installed for ${envelope.type}`)
      const result = await raceAbort(abort.signal, handled ? handlers!.run(envelope, { deadlineMs: policy.deadlineMs, signal: abort.signal, progress: (data) => this.#progress(job, data) }) : skill!.run({
        intent: envelope, slots: envelope.slots, signal: abort.signal,
        progress: (data) => this.#progress(job, data),
        command: async (command, args) => {
          const driver = job.device === undefined ? undefined : this.#driverOf.get(job.device)
          if (!driver || !ticket) throw new MtorError('NOT_FITTED', `${envelope.type} has no device to command`)
          if (this.#o.certain && !await this.#o.certain(job.device!)) throw new MtorError('STALE_EPOCH', `another node commands ${job.device} now`, { data: { sent: false } })
          abort.signal.throwIfAborted()
          const { data } = await driver.execute(command, args, { intentId: job.id, ticket, signal: abort.signal, onProgress: (d) => this.#progress(job, d), onStarted: () => this.#progress(job, { deviceStarted: true }) })
          return data
        },
      }))
      await this.finish(job, { state: 'succeeded', say: result.say, ...(result.data ? { data: result.data } : {}) })
    } catch (error) {
      await this.#failed(job, abort.signal.aborted ? toMtorError(abort.signal.reason) : toMtorError(error))
    } finally { clock.clearTimeout(deadline) }
  }

  /**
   * A claim that the journal cannot write yet is tried again until the intent expires: it is accepted, so it may not be
   * lost. After the loss of its file the journal calls our epoch burnt (STALE_EPOCH): then a fresh one is taken.
   */
  async #claim(job: Job, signal: AbortSignal): Promise<{ attempt: number; ticket?: DeviceTicket } | undefined> {
    let isStale = false
    for (let pauseMs = this.#o.retryBaseMs; ; pauseMs = Math.min(5_000, pauseMs * 2)) {
      try {
        if (this.#isLeft(job)) return undefined
        if (isStale && job.device !== undefined) await this.#o.renewEpoch(job.device)
        const epoch = job.device === undefined ? undefined : this.#o.epochOf(job.device)
        return await this.#o.journal.claim(job.id, { node: this.#o.hub.node, ...(job.device !== undefined && epoch !== undefined ? { device: job.device, epoch } : {}) })
      } catch (error) {
        if (signal.aborted) throw signal.reason
        const { code } = toMtorError(error)
        if ((code !== 'JOURNAL_UNAVAILABLE' && code !== 'NO_QUORUM' && code !== 'STALE_EPOCH') || this.#o.clock.monoMs() > job.expiresMonoMs) throw error
        isStale ||= code === 'STALE_EPOCH'
        await this.#pause(pauseMs)
      }
    }
  }

  /** Another node is to carry it out. */
  #isLeft(job: Job): boolean {
    if (job.unjournalled || this.#o.isOurs?.(job) !== false) return false
    this.#o.onLeft?.(job)
    return true
  }

  #progress(job: Job, data: Record<string, unknown>): void {
    this.#o.hub.intent({ id: job.id, type: job.envelope.type, state: 'progress', data })
  }

  async #failed(job: Job, error: MtorError): Promise<void> {
    const policy = policyOf(job.envelope.type)
    const pauseMs = this.#o.retryBaseMs * 2 ** Math.max(0, job.attempt - 1)
    const inTime = this.#o.clock.monoMs() + pauseMs <= job.expiresMonoMs
    const mayRepeat = policy.repeatable && job.attempt <= policy.retries && MAY_PASS.has(error.code)
    // The right to command was lost before anything was sent: it is begun anew once this node has it again.
    const unsent = this.#o.isOurs !== undefined && error.code === 'STALE_EPOCH' && error.data?.sent === false
    if (this.#accepting && job.attempt > 0 && (mayRepeat || unsent) && inTime) {
      this.#o.hub.intent({ id: job.id, type: job.envelope.type, state: 'progress', code: error.code, message: `attempt ${job.attempt} failed, trying again in ${pauseMs} ms: ${error.message}` })
      const timer = this.#o.clock.setTimeout(() => { this.#retryTimers.delete(job.id); this.enqueue(job) }, pauseMs)
      this.#retryTimers.set(job.id, { job, timer })
      return
    }
    const state = ABORTS.has(error.code) ? 'aborted' : error.code === 'EXPIRED' ? 'expired' : 'failed'
    await this.finish(job, { state, code: error.code, message: error.message, say: error.say, ...(error.data ? { data: error.data } : {}), deadLetter: state === 'failed' && !NO_DEAD_LETTER.has(error.code) })
  }

  /** True once nothing runs for a device; false after `timeoutMs`. With a reason, what runs is ended. */
  async idle(device: string, timeoutMs: number, reason?: MtorError): Promise<boolean> {
    const running = [...this.#running.values()].filter(({ job }) => job.device === device)
    if (reason) for (const { abort } of running) abort.abort(reason)
    const { promise: late, resolve } = Promise.withResolvers<false>()
    const timer = this.#o.clock.setTimeout(() => resolve(false), timeoutMs)
    try { return await Promise.race([Promise.all(running.map(({ done }) => done)).then(() => true), late]) } finally { this.#o.clock.clearTimeout(timer) }
  }

  /** What became of an intent that was carried out without the journal; undefined where none was. */
  unjournalled(id: string): FinishInput | undefined { return this.#unjournalled.get(id) }

  /** The journal has it, with what became of it. */
  journalled(id: string): void { this.#unjournalled.delete(id) }

  /** Writes the final state, however long the journal needs, then tells it. */
  async finish(job: Pick<Job, 'id' | 'envelope' | 'unjournalled'>, input: FinishInput): Promise<void> {
    if (job.unjournalled) {
      const say = input.say ?? (input.code ? CODES[input.code].say : undefined)
      this.#unjournalled.set(job.id, input)
      if (this.#unjournalled.size > UNJOURNALLED_MAX) this.#unjournalled.delete(this.#unjournalled.keys().next().value!)
      this.#tellEnd(job, input, say)
      return
    }
    this.#ending.add(job.id)
    try { await this.#writeEnd(job, input) } finally { this.#ending.delete(job.id) }
  }

  async #writeEnd(job: Pick<Job, 'id' | 'envelope'>, input: FinishInput): Promise<void> {
    const say = input.say ?? (input.code ? CODES[input.code].say : undefined)
    for (let pauseMs = this.#o.retryBaseMs; ; pauseMs = Math.min(5_000, pauseMs * 2)) {
      try {
        const first = await this.#o.journal.finish(job.id, { ...input, ...(say === undefined ? {} : { say }) })
        if (!first) return
        break
      } catch (error) {
        this.#o.hub.system({ severity: 'error', component: 'dispatch', name: 'finish.delayed', code: 'JOURNAL_UNAVAILABLE', message: `cannot write the end of ${job.id} yet: ${toMtorError(error).message}` })
        // On the way down the journal entry stays claimed, and the next start decides from the device what became of it.
        if (!this.#accepting) return
        await this.#pause(pauseMs)
      }
    }
    this.#tellEnd(job, input, say)
  }

  #tellEnd(job: Pick<Job, 'id' | 'envelope'>, input: FinishInput, say: string | undefined): void {
    this.#o.hub.intent({
      id: job.id, type: job.envelope.type, state: input.state, source: job.envelope.source,
      ...(input.code ? { code: input.code } : {}), ...(input.message === undefined ? {} : { message: input.message }),
      ...(say === undefined ? {} : { say }), ...(input.data ? { data: input.data } : {}),
    })
  }

  #pause(ms: number) { return new Promise<void>((resolve) => { this.#o.clock.setTimeout(resolve, ms) }) }

  /** Running and waiting jobs, for status. */
  snapshot() {
    return { running: [...this.#running.values()].map(({ job }) => ({ id: job.id, type: job.envelope.type, ...(job.device ? { device: job.device } : {}) })), waiting: this.#queue.size, retrying: this.#retryTimers.size }
  }
}

/**
 * A skill gets a moment after an abort to end by itself (a driver then reports how far it got); a skill that ignores
 * the signal is left behind, so that it cannot hold its device for ever.
 */
async function raceAbort<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const GRACE_MS = 1_000
  let onAbort: (() => void) | undefined
  let timer: NodeJS.Timeout | undefined
  const left = new Promise<never>((_, reject) => {
    onAbort = () => { timer = setTimeout(() => reject(signal.reason as Error), GRACE_MS) }
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
  try { return await Promise.race([work, left]) } finally {
    if (onAbort) signal.removeEventListener('abort', onAbort)
    clearTimeout(timer)
    work.catch(() => {})
  }
}

