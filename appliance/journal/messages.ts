import type { Code } from '../contracts/codes.ts'
import type { SystemEventInput } from '../contracts/events.ts'
import type { JournalStats } from './port.ts'

/**
 * What the core's thread and the journal's thread say to each other. Both ways one JSON string carries everything of
 * one turn: for 64 accepts there and back about 0.18 ms, as much as a structured clone of them, and half of a post for
 * each. Strings, because each request is then made into one when it is submitted, and one that cannot be does not
 * spoil the others of its turn.
 */
export type Request = [sequence: number, operation: string, args: unknown]

/** No value: undefined. A third element: rejected. */
export type Reply = [sequence: number, value?: unknown, error?: { code: Code; message: string; hint: string }]

export interface FromWorker {
  replies?: Reply[]
  events?: SystemEventInput[]
  stats?: Omit<JournalStats, 'queue'>
  /** The file is open. */
  ready?: true
  /** The file could not be opened; the thread ends. */
  failed?: { code: Code; message: string; hint: string }
}

/** Given to the thread when it starts. */
export interface WorkerOptions {
  file: string
  maxFinished: number
  archiveMaxBytes: number
  /** Most requests in one transaction; only the bench sets it, to measure what group commit brings. */
  maxGroup: number
  /** One Int32: while it is 1 the thread stands still before its next transaction, as on a disk that hangs. */
  gate: SharedArrayBuffer
  /** Unix time at the start, if the board's clock is known good, ms. */
  wallMs?: number
}

/** Faults that a test or a fault injector can put into the journal's thread. */
export interface JournalFault {
  /** The thread sleeps, as on a disk that hangs, ms. */
  stallMs?: number
  /** True: the database may not grow any more (SQLite answers SQLITE_FULL). False: it may again. */
  full?: boolean
  /** The thread ends at once, without closing anything. */
  crash?: boolean
}
