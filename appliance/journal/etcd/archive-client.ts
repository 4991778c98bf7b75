import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Clock, Timer } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import type { SystemEventInput } from '../../contracts/events.ts'
import type { JournalEntry } from '../port.ts'
import type { ArchiveReply, ArchiveRequest, ArchiveThreadOptions } from './archive-messages.ts'
import { KnownIds } from './known-ids.ts'

const THREAD = new URL(`./archive-thread${extname(import.meta.url)}`, import.meta.url)
/** A disk that takes longer to answer is not waited for, ms. */
const TIMEOUT_MS = 5_000

type Question = ArchiveRequest extends infer R ? R extends { n: number } ? Omit<R, 'n'> : never : never
interface Waiting { resolve(value: never): void; reject(error: MtorError): void; timer: Timer }

export interface ArchiveClientOptions { file: string; maxBytes: number; clock: Clock; onEvent(event: SystemEventInput): void }

/** The archive in its thread, as the journal asks it. A disk that hangs holds up only what must look into the archive. */
export class ArchiveClient {
  readonly #options: ArchiveClientOptions
  readonly #waiting = new Map<number, Waiting>()
  #worker: Worker | undefined
  #n = 0
  /** Kept over a new start of the thread: it may then have too many ids, never too few. */
  readonly known = new KnownIds()

  constructor(options: ArchiveClientOptions) { this.#options = options }

  /** Opens the files; resolves with the number of the last segment that is in the index. */
  async start(): Promise<number> {
    if (this.#worker) throw new MtorError('ALREADY_RUNNING', 'the archive is open already')
    const workerData: ArchiveThreadOptions = { file: this.#options.file, maxBytes: this.#options.maxBytes, memory: this.known.memory }
    const worker = new Worker(THREAD, { name: 'journal-archive', workerData, execArgv: [] })
    this.#worker = worker
    const opened = this.#wait<number>(0, TIMEOUT_MS * 4)
    let cause: unknown
    worker.on('message', (reply: ArchiveReply) => { this.#receive(reply) })
    worker.on('error', (error) => { cause = error })
    worker.on('exit', () => {
      if (this.#worker === worker) this.#worker = undefined
      const error = new MtorError('JOURNAL_UNAVAILABLE', `The archive's thread ended${cause === undefined ? '' : `: ${String(cause)}`}`, { cause })
      for (const { reject, timer } of [...this.#waiting.values()]) { this.#options.clock.clearTimeout(timer); reject(error) }
      this.#waiting.clear()
    })
    return await opened
  }

  get open(): boolean { return this.#worker !== undefined }

  async stop(): Promise<void> {
    const worker = this.#worker
    if (!worker) return
    await this.#ask({ operation: 'close' }).catch(() => { /* it had ended, or hangs */ })
    await worker.terminate()
  }

  segments(segments: { n: number; packed: Uint8Array }[], keepFrom: number) { return this.#ask<void>({ operation: 'segments', segments, keepFrom }) }
  copy(segment: number, rows: Record<string, unknown>[]) { return this.#ask<boolean>({ operation: 'copy', segment, rows }) }
  uncopied() { return this.#ask<number[]>({ operation: 'uncopied' }) }
  hash(id: string) { return this.#ask<string | undefined>({ operation: 'hash', id }) }
  get(id: string) { return this.#ask<JournalEntry | undefined>({ operation: 'get', id }) }

  #ask<T>(question: Question): Promise<T> {
    if (!this.#worker) return Promise.reject(new MtorError('JOURNAL_UNAVAILABLE', 'The archive is not open'))
    const n = ++this.#n
    const answer = this.#wait<T>(n, TIMEOUT_MS)
    this.#worker.postMessage({ ...question, n })
    return answer
  }

  #wait<T>(n: number, timeoutMs: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = this.#options.clock.setTimeout(() => {
        this.#waiting.delete(n)
        reject(new MtorError('JOURNAL_UNAVAILABLE', `No answer from the disk of the archive within ${timeoutMs} ms`))
      }, timeoutMs)
      this.#waiting.set(n, { resolve: resolve as Waiting['resolve'], reject, timer })
    })
  }

  #receive({ n, value, error, events }: ArchiveReply) {
    for (const event of events ?? []) this.#options.onEvent(event)
    const waiting = this.#waiting.get(n)
    if (!waiting) return
    this.#waiting.delete(n)
    this.#options.clock.clearTimeout(waiting.timer)
    if (error === undefined) waiting.resolve(value as never)
    else waiting.reject(new MtorError('JOURNAL_UNAVAILABLE', `The archive: ${error}`))
  }
}
