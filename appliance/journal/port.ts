import type { Envelope } from '../contracts/envelope.ts'
import type { DeviceTicket, FinalState } from '../contracts/events.ts'
import type { Code } from '../contracts/codes.ts'

/** One intent as the journal knows it. */
export interface JournalEntry {
  envelope: Envelope
  state: 'accepted' | 'claimed' | FinalState
  /** When this realm made it durable; expiry is judged against this with the boot's monotonic clock. */
  acceptedAt: { boot: number; mono: number; wall?: number }
  /** Who submitted it. */
  client: string
  claim?: { node: string; ticket?: DeviceTicket; attempt: number }
  progress?: Record<string, unknown>
  final?: { code?: Code; message?: string; say?: string; data?: Record<string, unknown> }
  /** Set on a failed intent that an operator may look at and resubmit. */
  deadLetter: boolean
  finishedWall?: number
}

export interface AcceptInput { envelope: Envelope; client: string; acceptedAt: JournalEntry['acceptedAt'] }
/** 'accepted': durable now. 'duplicate': the same content was accepted before. 'conflict': the id was used for something else. */
export type AcceptOutcome = 'accepted' | 'duplicate' | 'conflict'

export interface ClaimInput { node: string; device?: string; epoch?: number }
export interface FinishInput { state: FinalState; code?: Code; message?: string; say?: string; data?: Record<string, unknown>; deadLetter?: boolean }

/**
 * accepted = unfinished + finished, counted over the journal's whole life; `finished` includes `archivedTotal`.
 * `queue`: requests that wait for the disk. `lastFsyncMs`: duration of the last commit. Never waits for the disk.
 */
export interface JournalStats { accepted: number; unfinished: number; finished: number; deadLetters: number; queue: number; fileBytes: number; archivedTotal: number; lastFsyncMs: number }

/**
 * What makes an intent durable. Every promise resolves only after the fact is on stable storage, and rejects with
 * JOURNAL_UNAVAILABLE where that could not be reached. All adapters pass `journal/contract.ts`.
 */
export interface Journal {
  start(): Promise<void>
  stop(): Promise<void>
  /** Counts boots: grows when `bootId` differs from the last one stored. */
  boot(bootId: string): Promise<number>
  accept(input: AcceptInput): Promise<AcceptOutcome>
  /** Takes an accepted intent for carrying out. With `device`, a fresh (epoch, sequence) ticket is made and stored. Undefined when it is already claimed by another node or final. Claiming again on the same node counts one more attempt and makes a new ticket. An `epoch` older than the device's rejects with STALE_EPOCH; without one the device's own is taken. */
  claim(id: string, input: ClaimInput): Promise<{ attempt: number; ticket?: DeviceTicket } | undefined>
  /** Keeps the latest data. Changes nothing on an unknown or final intent. */
  progress(id: string, data: Record<string, unknown>): Promise<void>
  /** Writes the one final state. False when it already had one, is unknown, or in a realm is another living node's to end (then nothing changes). */
  finish(id: string, input: FinishInput): Promise<boolean>
  get(id: string): Promise<JournalEntry | undefined>
  /** Accepted or claimed, in order of acceptance. */
  unfinished(): Promise<JournalEntry[]>
  /** Newest first. */
  list(query?: { state?: JournalEntry['state']; deadLetter?: boolean; limit?: number }): Promise<JournalEntry[]>
  /** Takes an entry off the dead-letter list (after resubmission, or to drop it). False if it is not there. */
  clearDeadLetter(id: string): Promise<boolean>
  /** The next fencing token of a device: strictly greater than every one given before, across restarts. */
  /** With `above`, also greater than that: a device may remember an epoch that this journal lost. */
  nextEpoch(device: string, above?: number): Promise<number>
  /** Small durable values of other parts (timers, notes, mode). Keys are namespaced "part/…"; undefined deletes. */
  put(key: string, value: unknown): Promise<void>
  read(key: string): Promise<unknown>
  keys(prefix: string): Promise<string[]>
  stats(): Promise<JournalStats>
}
