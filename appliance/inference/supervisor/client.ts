import type { Clock, Timer } from '../../contracts/clock.ts'
import { Keeper } from '../keeper.ts'
import type { FromWorker, ToWorker } from '../messages.ts'
import type { WorkerStatus } from '../port.ts'
import type { FaultKind } from './faults.ts'
import type { Reference } from './proof.ts'

/** A process that lived this long after its first proof is of use: when it is lost, the next one starts without a pause. */
const HEALTHY_MS = 1_000
/** Before a lost worker that was replaced by the standby is started again as the new standby. */
const STANDBY_START_MS = 250
/** From the fork to its first word, on a slow board that has much else to do. */
const START_MS = 30_000
/** Only while something is asked of it is a worker looked at so often. */
const POLL_MS = 40
/** A worker takes what it is given before it does any work: without that for so long it hangs. Far more than scheduling delays. */
export const TAKE_MS = 300
/** A plan for a new shape. On the fastest boards that takes seconds, on a small one far more. */
const PREPARE_MS = 60_000
/** A worker has what the core, the ears and the drivers leave: without that its busy loop is felt on the bus. */
const NICENESS = 5
/** While at it, a worker may take this many times its ceiling; beyond that it endangers the board. */
const WILD = 2

/** How a worker's process was lost. */
export interface Loss {
  kind: 'lost'
  why: FaultKind
  detail: string
  pid: number | undefined
  /** Since it was given what it was doing, ms; undefined where it had nothing to do. */
  afterMs?: number
  /** By a SIGKILL that was not ours. */
  isKilled: boolean
  /** What was asked never reached it. */
  isUnheard?: boolean
}

/** One model as this process has it loaded. */
export interface LoadedModel {
  version: string
  provider: string
  /** The list it was loaded from. */
  offered: readonly string[]
  reference: Reference
  memoryMB: number
  provenMs: number
  /** What the last proof took, ms. */
  proofMs: number
}

type Request = Extract<ToWorker, { requestId: number }>
type Asked = Request extends infer R ? R extends Request ? Omit<R, 'requestId'> : never : never
type Reply = Exclude<Extract<FromWorker, { requestId: number }>, { kind: 'taken' | 'preparing' }>
/** The reply to each kind of request. */
interface Replies { load: 'loaded'; run: 'answer'; prove: 'proven' }
type ReplyTo<K extends keyof Replies> = Extract<Reply, { kind: Replies[K] | 'failed' }>

interface Pending { requestId: number; resolve(reply: Reply | Loss): void; onTaken(): void; onPreparing(): void }

export interface WorkerOptions {
  name: string
  group: string
  file: string
  clock: Clock
  /** RSS above which it is killed at once while working, bytes, before `WILD`. */
  ceilingBytes(): number
  /** Its process is up and has nothing loaded. */
  onUp(): void
  /** Its process is lost, unplanned; called once for each process, before whoever waits for a reply hears of it. */
  onLost(loss: Loss): void
  onLog(message: Extract<FromWorker, { kind: 'log' }>): void
}

/**
 * The core's side of one inference worker: one request at a time, each with a limit. A process that hangs, is stopped, or grows
 * wildly is killed at once, and the request is answered with the loss; the Keeper starts the next process.
 */
export class WorkerClient {
  readonly name: string
  readonly group: string
  role: 'active' | 'standby' | 'extra' = 'active'
  /** Taken by a piece of work that may consist of several requests. */
  isBusy = false
  /** What it is doing has taken suspiciously long. */
  isSuspect = false
  /** To be proven before all else: it has just been promoted. */
  isProofUrgent = false
  /** A provider failed in its process for want of memory: there it would fail for ever (seen of CUDA). */
  isSpoilt = false
  readonly models = new Map<string, LoadedModel>()
  lastUsedMs: number
  /** Processes in a row that ended before their first word. */
  failedStarts = 0
  readonly #o: WorkerOptions
  readonly #keeper: Keeper<ToWorker, FromWorker>
  #state: 'down' | 'starting' | 'up' = 'down'
  #takes = false
  #pid: number | undefined
  #pending: Pending | undefined
  #startTimer: Timer | undefined
  #poll: Timer | undefined
  #requests = 0

  constructor(options: WorkerOptions) {
    this.#o = options
    this.name = options.name
    this.group = options.group
    this.lastUsedMs = options.clock.monoMs()
    this.#keeper = new Keeper<ToWorker, FromWorker>({
      file: options.file, clock: options.clock, healthyMs: HEALTHY_MS, env: { MALLOC_ARENA_MAX: '2' }, execArgv: ['--max-old-space-size=256'], niceness: NICENESS, shutdown: { kind: 'shutdown' },
      onStart: (pid) => this.#onStart(pid),
      onMessage: (message) => this.#receive(message),
      onGone: ({ reason, planned }) => {
        if (!planned) this.#lose('crash', reason, reason === 'killed by SIGKILL')
        this.#forget()
        // Another serves already: what was asked of it now comes before the start of a new process.
        return this.role === 'standby' ? STANDBY_START_MS : 0
      },
    })
  }

  get pid(): number | undefined { return this.#keeper.pid }
  get isUp(): boolean { return this.#state === 'up' && this.#keeper.up }
  get isFree(): boolean { return this.isUp && !this.isBusy }
  get restarts(): number { return this.#keeper.restarts }
  get rssBytes(): number | undefined { return this.#keeper.state?.rssBytes }

  start(): void { this.#keeper.start() }

  async stop(): Promise<void> {
    this.#forget()
    const pending = this.#take()
    pending?.resolve({ kind: 'lost', why: 'crash', detail: 'the appliance is stopping', pid: this.pid, isKilled: false })
    await this.#keeper.stop()
  }

  /** It has proven itself: should it end later, the next one starts at once. */
  healthy(): void { this.#keeper.healthy() }

  /** Replaces its process in order. Not while it has something to do. */
  renew(reason: string): void {
    this.#forget()
    this.#keeper.renew(reason)
  }

  /** Ends its process at once because of a fault; whoever waits for a reply gets the loss. */
  kill(why: FaultKind, detail: string): void {
    if (this.#state === 'down' || !this.#keeper.up) return
    this.#keeper.kill(detail)
    this.#lose(why, detail, false)
    this.#forget()
  }

  /** Has the kernel stopped it? Then it is killed before it is given anything. */
  isStopped(): boolean {
    if (!this.#keeper.state?.stopped) return false
    this.kill('stopped', 'the process is stopped')
    return true
  }

  unload(model: string): void {
    this.models.delete(model)
    this.#keeper.send({ kind: 'unload', model })
  }

  /** Only with MTOR_INFERENCE_FAULTS=1. */
  inject(fault: Extract<ToWorker, { kind: 'fault' }>['fault']): boolean { return this.#keeper.send({ kind: 'fault', fault }) }

  /**
   * Asks for one thing. `limitMs`: without a reply by then the worker hangs. `slow`: called once where there is no reply after `afterMs`, or
   * where the worker has not even taken the request after `takeMs`.
   * @throws what structured clone throws of an input that cannot be sent
   */
  ask<A extends Asked>(request: A, limitMs: number, slow?: { afterMs: number | undefined; takeMs: number; call(): void }): Promise<ReplyTo<A['kind']> | Loss> {
    const { clock } = this.#o
    const requestId = ++this.#requests
    const open = Promise.withResolvers<Reply | Loss>()
    // What came while the core itself was held up is read first: a limit never beats an answer that is already here.
    const unless = (act: () => void) => () => { setImmediate(() => { if (this.#pending?.requestId === requestId) act() }) }
    const timers: Timer[] = []
    const slowOnce = once(() => { this.isSuspect = true; slow?.call() })
    if (slow?.afterMs !== undefined) timers.push(clock.setTimeout(unless(slowOnce), slow.afterMs))
    const taking: Timer[] = this.#takes ? [
      ...(slow ? [clock.setTimeout(unless(slowOnce), slow.takeMs)] : []),
      clock.setTimeout(unless(() => this.kill('hang', `it did not take a request within ${TAKE_MS} ms`)), TAKE_MS),
    ] : []
    const limited = (ms: number) => clock.setTimeout(unless(() => this.kill('hang', `no answer within ${Math.round(ms)} ms`)), ms)
    let limit = limited(limitMs)
    const clear = (list: readonly Timer[]) => { for (const timer of list) clock.clearTimeout(timer) }
    const pending: Pending = {
      requestId,
      resolve: (reply) => { clear([limit, ...timers, ...taking]); open.resolve(reply) },
      onTaken: () => clear(taking),
      onPreparing: () => { clear([limit, ...timers]); limit = limited(Math.max(limitMs, PREPARE_MS)) },
    }
    let isSent: boolean
    try { isSent = this.#keeper.send({ ...request, requestId } as unknown as ToWorker) } catch (error) { clear([limit, ...timers, ...taking]); throw error }
    this.lastUsedMs = clock.monoMs()
    if (isSent) {
      this.#pending = pending
      this.#watch()
    } else {
      pending.resolve({ kind: 'lost', why: 'crash', detail: 'its process is going', pid: this.pid, isKilled: false, isUnheard: true })
      this.#deaf()
    }
    return open.promise as Promise<ReplyTo<A['kind']> | Loss>
  }

  /** Its channel is closed: its end is about to be told, or else is brought about. */
  #deaf(): void {
    this.#state = 'down'
    const { pid } = this
    this.#o.clock.clearTimeout(this.#startTimer)
    this.#startTimer = this.#o.clock.setTimeout(() => { if (this.pid === pid && this.#state === 'down') this.#keeper.kill('it does not listen') }, TAKE_MS)
  }

  status(gpuBytes: number | undefined): WorkerStatus {
    const proven = [...this.models.values()].map(({ provenMs }) => provenMs)
    const state = this.#state === 'down' ? 'down' : this.#state === 'starting' ? 'starting' : this.role === 'standby' ? 'standby' : this.isBusy ? 'busy' : 'idle'
    const rssBytes = this.rssBytes
    return {
      worker: this.name, group: this.group, state, restarts: this.restarts,
      ...(this.pid === undefined ? {} : { pid: this.pid }), ...(rssBytes === undefined ? {} : { rssBytes }), ...(gpuBytes === undefined ? {} : { gpuBytes }),
      ...(proven.length === 0 ? {} : { provenAgeMs: Math.round(this.#o.clock.monoMs() - Math.min(...proven)) }),
    }
  }

  #onStart(pid: number | undefined): void {
    this.#pid = pid
    this.#state = 'starting'
    this.#takes = false
    this.#o.clock.clearTimeout(this.#startTimer)
    this.#startTimer = this.#o.clock.setTimeout(() => { if (this.#state === 'starting' && this.#pid === pid) this.kill('hang', `not up within ${START_MS} ms`) }, START_MS)
    this.#watch()
  }

  #receive(message: FromWorker): void {
    if (message.kind === 'log') { this.#o.onLog(message); return }
    if (message.kind === 'up') {
      if (this.#state !== 'starting') return
      this.#o.clock.clearTimeout(this.#startTimer)
      this.#state = 'up'
      this.failedStarts = 0
      this.#o.onUp()
      return
    }
    if (message.kind === 'taken') {
      this.#takes = true
      if (this.#pending?.requestId === message.requestId) this.#pending.onTaken()
      return
    }
    if (this.#pending?.requestId !== message.requestId) return
    if (message.kind === 'preparing') { this.#pending.onPreparing(); return }
    this.isSuspect = false
    this.#take()!.resolve(message)
  }

  #take(): Pending | undefined {
    const pending = this.#pending
    this.#pending = undefined
    return pending
  }

  /** Once for each process. */
  #lose(why: FaultKind, detail: string, isKilled: boolean): void {
    if (this.#pid === undefined) return
    const pid = this.#pid
    this.#pid = undefined
    const pending = this.#take()
    if (this.#state === 'starting') this.failedStarts++
    // A wrong proof is found when the reply is in.
    const isAtWork = pending !== undefined || this.isBusy
    const loss: Loss = { kind: 'lost', why, detail, pid, isKilled, ...(isAtWork ? { afterMs: this.#o.clock.monoMs() - this.lastUsedMs } : {}) }
    this.#state = 'down'
    this.#o.onLost(loss)
    pending?.resolve(loss)
  }

  /** What was known of the process is over with it. */
  #forget(): void {
    this.#state = 'down'
    this.isSuspect = false
    this.isProofUrgent = false
    this.isSpoilt = false
    this.models.clear()
    this.#o.clock.clearTimeout(this.#startTimer)
    this.#o.clock.clearTimeout(this.#poll)
    this.#poll = undefined
  }

  /** Looks at the process while something is expected of it. */
  #watch(): void {
    if (this.#poll || (!this.#pending && this.#state !== 'starting')) return
    this.#poll = this.#o.clock.setTimeout(() => {
      this.#poll = undefined
      const state = this.#keeper.state
      const ceilingBytes = this.#o.ceilingBytes() * WILD
      if (state?.stopped) this.kill('stopped', 'the process is stopped')
      else if (state && state.rssBytes > ceilingBytes) this.kill('memory', `${Math.round(state.rssBytes / 1048576)} MB while at work, ${WILD} times its ceiling`)
      else this.#watch()
    }, POLL_MS)
  }
}

function once(call: () => void): () => void {
  let isDone = false
  return () => { if (!isDone) { isDone = true; call() } }
}
