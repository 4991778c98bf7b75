/** What a model that is being brought is at. `waiting`: another process brings it. */
export type Phase = 'waiting' | 'fetch' | 'extract' | 'convert' | 'inspect' | 'verify' | 'copy'
/** Bytes of this phase; `totalBytes` is left out where nobody knows it beforehand. */
export interface Progress { phase: Phase; doneBytes: number; totalBytes?: number }

export interface FetchContext {
  /** Removed when it is over, however. */
  scratch: string
  /** Stays where it was cut off, to go on from there. */
  partsDir: string
  signal?: AbortSignal
  progress(progress: Progress): void
}
