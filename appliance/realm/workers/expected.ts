/** Of a model that has not run yet where it is. */
const UNKNOWN_MS = 1_000
/** Loading and proving it first. */
const LOAD_MS = 5_000

/** How long an answer will take, ms: what runs or waits there, its own run, and the way there and back. */
export function expectedMs({ p50Ms = UNKNOWN_MS, queue, rttMs, isLoaded }: { p50Ms?: number | undefined; queue: number; rttMs: number; isLoaded: boolean }): number {
  return p50Ms + queue * p50Ms + rttMs + (isLoaded ? 0 : LOAD_MS)
}
