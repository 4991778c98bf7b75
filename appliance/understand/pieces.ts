import { setImmediate as letOthersIn } from 'node:timers/promises'

/** Long work that may be done in pieces: it yields where others may be let in. */
export type Pieces<T> = Generator<void, T>

/** Longest piece, as far as the work yields often enough, ms. */
const PIECE_MS = 10

/** At once. */
export function inOne<T>(work: Pieces<T>): T {
  for (;;) { const { done, value } = work.next(); if (done) return value }
}

/** In pieces, between which the event loop goes round: links are answered and leases renewed meanwhile. */
export async function inPieces<T>(work: Pieces<T>): Promise<T> {
  for (let sinceMs = performance.now(); ;) {
    const { done, value } = work.next()
    if (done) return value
    if (performance.now() - sinceMs < PIECE_MS) continue
    await letOthersIn()
    sinceMs = performance.now()
  }
}
