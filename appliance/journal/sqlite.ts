import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Clock, Timer } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'
import type { SystemEventInput } from '../contracts/events.ts'
import type { FromWorker, JournalFault, Reply, WorkerOptions } from './messages.ts'
import type { AcceptInput, AcceptOutcome, ClaimInput, FinishInput, Journal, JournalEntry, JournalStats } from './port.ts'

export interface SqliteJournalOptions {
  /** Path of the database; its archive, its counters and a damaged predecessor lie beside it. */
  file: string
  clock: Clock
  /** Finished intents beyond this are moved to the archive, in steps of at most 256. */
  maxFinished: number
  /** The oldest archive file is dropped beyond this, bytes. */
  archiveMaxBytes: number
  onEvent?(event: SystemEventInput): void
  /** A request not answered for this long is rejected with an unknown outcome, ms. Default 10,000. */
  requestTimeoutMs?: number
  /** Most requests in one transaction. Default: all that wait. Only the bench sets it. */
  maxGroup?: number
}

interface Pending { resolve(value: unknown): void; reject(error: MtorError): void; atMs: number }

/** More waiting requests than this are refused with BUSY, so that a hanging disk does not fill the memory. */
const MAX_PENDING = 20_000
const MAX_RESTART_MS = 5_000
const STOP_TIMEOUT_MS = 5_000
const WORKER = new URL(`./worker${extname(import.meta.url)}`, import.meta.url)

/**
 * The journal on SQLite (WAL, synchronous=FULL, group commit), in a thread of its own: a slow or hanging disk never
 * holds up the core's event loop. A rejection with JOURNAL_UNAVAILABLE means that the outcome is unknown; submitting
 * the same again is safe, because `accept` knows an id with its content. If the thread dies it is started again.
 */
export class SqliteJournal implements Journal {
  readonly #options: SqliteJournalOptions
  readonly #gate = new Int32Array(new SharedArrayBuffer(4))
  #worker: Worker | undefined
  #running = false
  /** False until the file was open once: a first start that fails is the caller's to repeat. */
  #opened = false
  #exited: Promise<void> = Promise.resolve()
  #sequence = 0
  #pending = new Map<number, Pending>()
  #outbox: string[] = []
  #flushing = false
  #deadline: Timer | undefined
  #restart: Timer | undefined
  #restartMs = 0
  /** Why the thread could not open its file again; requests are refused with it at once. */
  #failure: MtorError | undefined
  #stalled = false
  #stats: Omit<JournalStats, 'queue'> = { accepted: 0, unfinished: 0, finished: 0, deadLetters: 0, fileBytes: 0, archivedTotal: 0, lastFsyncMs: 0 }

  constructor(options: SqliteJournalOptions) { this.#options = options }

  /** Opens the file; a damaged one is set aside. Rejects with JOURNAL_UNAVAILABLE when it belongs to a newer release or cannot be used. */
  async start() {
    if (this.#running) return
    this.#running = true
    this.#opened = false
    this.#failure = undefined
    this.#restartMs = 0
    await this.#spawn()
  }

  /** Makes durable what was submitted, then closes. Stopping twice is fine. */
  async stop() {
    if (!this.#running) return this.#exited
    this.#running = false
    const { clock } = this.#options
    clock.clearTimeout(this.#restart)
    this.#outbox.push(`[0,"close"]`)
    this.#flush()
    const worker = this.#worker
    const giveUp = clock.setTimeout(() => { void worker?.terminate() }, STOP_TIMEOUT_MS)
    await this.#exited
    clock.clearTimeout(giveUp)
    clock.clearTimeout(this.#deadline)
    this.#deadline = undefined
    this.#rejectAll(new MtorError('JOURNAL_UNAVAILABLE', 'The journal was stopped'))
  }

  boot(bootId: string) { return this.#request<number>('boot', bootId) }
  accept(input: AcceptInput) { return this.#request<AcceptOutcome>('accept', input) }
  claim(id: string, input: ClaimInput) { return this.#request<Awaited<ReturnType<Journal['claim']>>>('claim', { ...input, id }) }
  progress(id: string, data: Record<string, unknown>) { return this.#request<void>('progress', { id, data }) }
  finish(id: string, input: FinishInput) {
    const wall = this.#options.clock.wallMs()
    return this.#request<boolean>('finish', { ...input, id, wall: wall === undefined ? undefined : Math.round(wall) })
  }
  get(id: string) { return this.#request<JournalEntry | undefined>('get', id) }
  unfinished() { return this.#request<JournalEntry[]>('unfinished', null) }
  list(query: Parameters<Journal['list']>[0] = {}) { return this.#request<JournalEntry[]>('list', query) }
  clearDeadLetter(id: string) { return this.#request<boolean>('clearDeadLetter', id) }
  nextEpoch(device: string, above = 0) { return this.#request<number>('nextEpoch', { device, above }) }
  put(key: string, value: unknown) { return this.#request<void>('put', { key, value }) }
  read(key: string) { return this.#request<unknown>('read', key) }
  keys(prefix: string) { return this.#request<string[]>('keys', prefix) }

  /** As of the last group; never waits, so that a hanging disk can be seen from outside. */
  stats(): Promise<JournalStats> { return Promise.resolve({ ...this.#stats, queue: this.#pending.size }) }

  /**
   * Fault hook for tests and fault injection: from now on the journal's thread stands still, as on a disk that hangs,
   * until the returned function is called or `ms` have passed. The core's thread is not held up.
   * From another process: a JSON fault in the file named by the environment variable MTOR_JOURNAL_FAULT_FILE.
   */
  stallForTest(ms?: number): () => void {
    const { clock } = this.#options
    const release = () => {
      clock.clearTimeout(timer)
      Atomics.store(this.#gate, 0, 0)
      Atomics.notify(this.#gate, 0)
    }
    Atomics.store(this.#gate, 0, 1)
    const timer = ms === undefined ? undefined : clock.setTimeout(release, ms)
    return release
  }

  /** Fault hook: see JournalFault. Resolves when it is in place; rejects when it was a crash. */
  faultForTest(fault: JournalFault) { return this.#request<void>('fault', fault) }

  #request<T>(operation: string, args: unknown): Promise<T> {
    if (!this.#running) return Promise.reject(new MtorError('JOURNAL_UNAVAILABLE', 'The journal is not started'))
    if (this.#failure) return Promise.reject(this.#failure)
    if (this.#pending.size >= MAX_PENDING) return Promise.reject(new MtorError('BUSY', `${MAX_PENDING} requests already wait for the disk`))
    return new Promise<T>((resolve, reject) => {
      const text = `[${++this.#sequence},"${operation}",${jsonOf(args)}]`
      this.#pending.set(this.#sequence, { resolve: resolve as Pending['resolve'], reject, atMs: this.#options.clock.monoMs() })
      this.#outbox.push(text)
      this.#deadline ??= this.#options.clock.setTimeout(() => { this.#checkDeadline() }, this.#timeoutMs)
      if (this.#flushing) return
      this.#flushing = true
      setImmediate(() => { this.#flush() })
    })
  }

  /** One post for everything of this turn. While the thread is being started again, it waits here. */
  #flush() {
    this.#flushing = false
    if (!this.#worker || !this.#outbox.length) return
    this.#worker.postMessage(`[${this.#outbox.join(',')}]`)
    this.#outbox = []
  }

  #spawn(): Promise<void> {
    const { file, maxFinished, archiveMaxBytes, maxGroup = Infinity, clock } = this.#options
    const workerData: WorkerOptions = { file, maxFinished, archiveMaxBytes, maxGroup, gate: this.#gate.buffer as SharedArrayBuffer, wallMs: clock.wallMs() }
    const worker = new Worker(WORKER, { name: 'journal', workerData, execArgv: [] })
    this.#worker = worker
    return new Promise((resolve, reject) => {
      let cause: unknown
      let failure: MtorError | undefined
      worker.on('message', (text: string) => {
        const message = JSON.parse(text) as FromWorker
        if (message.failed) failure = errorOf(message.failed)
        if (message.ready) {
          if (this.#opened) this.#event({ severity: 'info', component: 'journal', name: 'journal.recovered', message: 'The journal\'s thread runs again' })
          this.#opened = true
          this.#failure = undefined
          resolve()
        }
        this.#receive(message)
      })
      worker.on('error', (error) => { cause = error })
      this.#exited = new Promise((exited) => {
        worker.on('exit', (code) => {
          this.#worker = undefined
          const error = failure ?? new MtorError('JOURNAL_UNAVAILABLE', `The journal's thread ended with ${cause instanceof Error ? cause.message : `code ${code}`}; the outcome of what was waiting is unknown`, { cause })
          this.#ended(error, failure !== undefined)
          reject(error)
          exited()
        })
      })
      // What was submitted while no thread was there.
      this.#flush()
    })
  }

  #receive({ replies, events, stats }: FromWorker) {
    if (stats) this.#stats = stats
    if (replies) this.#restartMs = 0
    if (replies && this.#stalled) {
      this.#stalled = false
      this.#event({ severity: 'info', component: 'journal', name: 'journal.resumed', message: 'The journal answers again' })
    }
    for (const event of events ?? []) this.#event(event)
    for (const reply of replies ?? []) this.#settle(reply)
  }

  #settle([sequence, value, error]: Reply) {
    const pending = this.#pending.get(sequence)
    if (!pending) return
    this.#pending.delete(sequence)
    if (error) pending.reject(errorOf(error))
    else pending.resolve(value)
  }

  /** The thread is gone without having been asked: what waited has an unknown outcome, and a new one is started. */
  #ended(error: MtorError, couldNotOpen: boolean) {
    this.#rejectAll(error)
    if (!this.#opened) this.#running = false
    if (!this.#running) return
    // At once the first time, then with growing pauses; meanwhile requests are refused if the file could not be opened.
    if (couldNotOpen || this.#restartMs > 0) this.#failure = error
    this.#event({ severity: 'critical', component: 'journal', name: 'journal.down', code: error.code, message: error.message })
    const again = () => { if (this.#running) this.#spawn().catch(() => { /* #ended starts the next one */ }) }
    if (this.#restartMs === 0) setImmediate(again)
    else this.#restart = this.#options.clock.setTimeout(again, this.#restartMs)
    this.#restartMs = Math.min(MAX_RESTART_MS, this.#restartMs * 2 || 100)
  }

  #rejectAll(error: MtorError) {
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    this.#outbox = []
    for (const { reject } of pending) reject(error)
  }

  get #timeoutMs() { return this.#options.requestTimeoutMs ?? 10_000 }

  /** Rejects what has waited too long. The oldest comes first in the map; the timer runs only while something waits. */
  #checkDeadline() {
    this.#deadline = undefined
    const { clock } = this.#options
    const nowMs = clock.monoMs()
    for (const [sequence, pending] of this.#pending) {
      const leftMs = pending.atMs + this.#timeoutMs - nowMs
      if (leftMs > 0) {
        this.#deadline = clock.setTimeout(() => { this.#checkDeadline() }, leftMs)
        return
      }
      if (!this.#stalled) {
        this.#stalled = true
        this.#event({ severity: 'critical', component: 'journal', name: 'journal.stalled', code: 'JOURNAL_UNAVAILABLE', message: `The disk has not answered for ${this.#timeoutMs} ms` })
      }
      this.#pending.delete(sequence)
      pending.reject(new MtorError('JOURNAL_UNAVAILABLE', `No answer from the disk within ${this.#timeoutMs} ms; the outcome is unknown`))
    }
  }

  #event(event: SystemEventInput) { this.#options.onEvent?.(event) }
}

function jsonOf(value: unknown): string {
  try { return JSON.stringify(value) } catch (error) { throw new MtorError('MALFORMED', `The journal takes what JSON can hold: ${String(error)}`, { cause: error }) }
}

const errorOf = ({ code, message, hint }: { code: MtorError['code']; message: string; hint: string }) => new MtorError(code, message, { hint })
