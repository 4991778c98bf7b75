import type { SystemEventInput } from '../../contracts/events.ts'

export interface ArchiveThreadOptions { file: string; maxBytes: number; memory: SharedArrayBuffer }

/** What the archive's thread is asked. A row is one of the SQLite journal's (`rowOf`). */
export type ArchiveRequest = { n: number } & (
  | { operation: 'segments'; segments: { n: number; packed: Uint8Array }[]; keepFrom: number }
  | { operation: 'copy'; segment: number; rows: Record<string, unknown>[] }
  | { operation: 'uncopied' }
  | { operation: 'hash'; id: string }
  | { operation: 'get'; id: string }
  | { operation: 'close' }
)

/** Number 0: it is open, and the value is the last segment it has. */
export interface ArchiveReply { n: number; value?: unknown; error?: string; events?: SystemEventInput[] }
