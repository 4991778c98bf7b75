/**
 * Seeded random numbers, 0 <= x < 1: mulberry32 by Tommy Ettinger (public domain), a 32-bit counter through a mixing
 * function. Its period of 2^32 is plenty for choosing faults and inputs; it is no cryptography.
 */
export function mulberry32(seed: number): () => number {
  let counter = seed >>> 0
  return () => {
    counter = (counter + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(counter ^ (counter >>> 15), counter | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
