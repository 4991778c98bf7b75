import type { Clock, Timer } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import type { Answer, TaskName } from '../port.ts'
import type { ModelRecord } from './book.ts'
import type { Waiting } from './queue.ts'
import type { Vote } from './vote.ts'

type AnyAnswer = Answer<TaskName>

export interface RequestOptions {
  record: ModelRecord
  /** Left out: the model is only to be loaded and proven. */
  input?: Record<string, unknown>
  inputBytes: number
  deadlineMs: number
  priority: number
  votes: number
  order: number
  clock: Clock
  signal?: AbortSignal
  /** It was answered, refused, cancelled, or is too late: whoever has something of it drops it. */
  onSettled(): void
}

/** One caller's request, until it is answered: it is answered once, by its deadline at the latest. */
export class Request implements Waiting {
  readonly record: ModelRecord
  readonly input: Record<string, unknown> | undefined
  readonly inputBytes: number
  readonly priority: number
  readonly order: number
  readonly votes: number
  readonly askedMs: number
  readonly answer: Promise<AnyAnswer>
  /** Runs begun. */
  attempts = 0
  /** Runs that are going on. */
  running = 0
  /** Workers lost while they ran it. */
  losses = 0
  /** Times that something else was in its way: a load that failed, a lost provider, a wrong proof. */
  mishaps = 0
  queuedMs: number | undefined
  /** Workers that have been given it: each has one vote. */
  readonly workers = new Set<string>()
  readonly cast: (Vote<AnyAnswer['output']> & { answer: AnyAnswer })[] = []
  /** Of votes that will not come. */
  lostVotes = 0
  /** The last thing that was in the way of a vote. */
  problem: MtorError | undefined
  isAnswered = false
  readonly #o: RequestOptions
  readonly #open = Promise.withResolvers<AnyAnswer>()
  readonly #timer: Timer
  readonly #onAbort = () => { this.fail(new MtorError('CANCELLED', `${this.record.name}: cancelled`, { cause: this.#o.signal?.reason })) }
  #isSettled = false

  constructor(options: RequestOptions) {
    this.#o = options
    this.record = options.record
    this.input = options.input
    this.inputBytes = options.inputBytes
    this.priority = options.priority
    this.order = options.order
    this.votes = options.votes
    this.askedMs = options.clock.monoMs()
    this.answer = this.#open.promise
    this.#timer = options.clock.setTimeout(() => { this.expire() }, options.deadlineMs)
    options.signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  get isSettled(): boolean { return this.#isSettled }
  /** A late timer must not let it run. */
  get isLate(): boolean { return this.#o.clock.monoMs() - this.askedMs >= this.#o.deadlineMs }

  begin(worker: string): void {
    this.attempts++
    this.running++
    this.workers.add(worker)
    this.queuedMs ??= this.#o.clock.monoMs() - this.askedMs
  }

  succeed(answer: AnyAnswer): void { this.#settle(() => { this.isAnswered = true; this.#open.resolve(answer) }) }
  /** The model is loaded and proven, where no more was asked for. */
  loaded(): void { this.#settle(() => { this.isAnswered = true; this.#open.resolve(undefined as never) }) }
  fail(error: MtorError): void { this.#settle(() => { this.#open.reject(error) }) }

  expire(): void {
    const where = this.attempts === 0 ? 'it still waited for a worker' : this.running > 0 ? 'a worker was at it' : 'it waited to be tried again'
    this.fail(new MtorError('DEADLINE', `${this.record.name}: no answer within ${Math.round(this.#o.deadlineMs)} ms; ${where}`))
  }

  #settle(act: () => void): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#o.clock.clearTimeout(this.#timer)
    this.#o.signal?.removeEventListener('abort', this.#onAbort)
    act()
    this.#o.onSettled()
  }
}
