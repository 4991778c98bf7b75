import type { Clock } from '../../contracts/clock.ts'
import { LinesFile } from './lines-file.ts'

/**
 * crash: it ended by itself or was killed from outside · hang: it did not answer in time · stopped: the kernel gave it no time · wrong-answer: a
 * known answer came out wrong, or it was outvoted · memory: beyond all bounds · load: a model could not be loaded · provider: an
 * execution provider was lost · failed: the model's own code failed
 */
export type FaultKind = 'crash' | 'hang' | 'stopped' | 'wrong-answer' | 'memory' | 'load' | 'provider' | 'failed'

/** One line of the report. */
export interface Fault {
  id: number
  /** Unix time, ms; absent while the board's clock is not known good. */
  at?: number
  /** Since boot, ms. */
  mono: number
  group: string
  worker: string
  pid?: number
  model?: string
  provider?: string
  kind: FaultKind
  detail: string
  done: string
  /** From when the worker was given the work to when the fault was noticed, ms. */
  noticedAfterMs?: number
  /** From when it was noticed to the next proven answer or proof of the same model by a worker that serves, ms. Absent: it never was. */
  recoveredAfterMs?: number
}

const MOST_BYTES = 1024 * 1024
const KEPT = 500

/**
 * The fault report. A line is written when service is back, or at stop; the event of a fault is raised at once, and is in the log however this
 * process ends.
 */
export class FaultReport {
  readonly #clock: Clock
  readonly #file: LinesFile
  #faults: Fault[] = []
  #open: { fault: Fault; atMs: number }[] = []
  #ids = 0

  constructor(clock: Clock, file: string, onLost: (error: unknown) => void) { this.#clock = clock; this.#file = new LinesFile(file, MOST_BYTES, onLost) }

  async start(): Promise<void> {
    this.#faults = (await this.#file.read()).filter((line): line is Record<string, unknown> & Fault => typeof line.id === 'number' && typeof line.kind === 'string').slice(-KEPT)
    this.#ids = Math.max(0, ...this.#faults.map(({ id }) => id))
  }

  async stop(): Promise<void> {
    for (const { fault } of this.#open) this.#file.append(fault)
    this.#open = []
    await this.#file.flush()
  }

  add(fault: Omit<Fault, 'id' | 'at' | 'mono'>): Fault {
    const atMs = this.#clock.monoMs()
    const wallMs = this.#clock.wallMs()
    const full: Fault = { id: ++this.#ids, ...(wallMs === undefined ? {} : { at: Math.round(wallMs) }), mono: Math.round(atMs), ...fault }
    this.#faults.push(full)
    if (this.#faults.length > KEPT) this.#faults.shift()
    this.#open.push({ fault: full, atMs })
    // What never comes back does not pile up.
    if (this.#open.length > KEPT) this.#file.append(this.#open.shift()!.fault)
    return full
  }

  /** A worker of the group that serves has just answered or proven itself with this model. */
  recovered(group: string, model: string): void {
    if (this.#open.length === 0) return
    const now = this.#clock.monoMs()
    this.#open = this.#open.filter(({ fault, atMs }) => {
      if (fault.group !== group || (fault.model !== undefined && fault.model !== model)) return true
      fault.recoveredAfterMs = Math.round((now - atMs) * 10) / 10
      this.#file.append(fault)
      return false
    })
  }

  /** The latest, oldest first. */
  list(most = KEPT): Fault[] { return this.#faults.slice(-most) }
}
