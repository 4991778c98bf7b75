import { HOP_SAMPLES, SAMPLE_RATE_HZ } from './mel.ts'

/** What the encoder has positions for. */
export const MAX_WINDOW_S = 30
/** A cut is looked for in the last of a window's seconds. */
const CUT_WITHIN_S = 8
/** Loudness is judged over this much. */
const CUT_SAMPLES = 0.2 * SAMPLE_RATE_HZ

/** A sound cut, where it is quietest, into windows the encoder can take. */
export function windowsOf(samples: Int16Array): Int16Array[] {
  const windows: Int16Array[] = []
  let rest = samples
  while (rest.length > MAX_WINDOW_S * SAMPLE_RATE_HZ) {
    const cut = quietest(rest, (MAX_WINDOW_S - CUT_WITHIN_S) * SAMPLE_RATE_HZ, MAX_WINDOW_S * SAMPLE_RATE_HZ)
    windows.push(rest.subarray(0, cut))
    rest = rest.subarray(cut)
  }
  windows.push(rest)
  return windows
}

/** Middle of the quietest stretch that lies between two samples. */
function quietest(samples: Int16Array, from: number, to: number): number {
  let best = to
  let least = Infinity
  for (let at = from; at + CUT_SAMPLES <= to; at += HOP_SAMPLES) {
    let energy = 0
    for (let i = at; i < at + CUT_SAMPLES; i++) energy += samples[i]! ** 2
    if (energy < least) { least = energy; best = at + CUT_SAMPLES / 2 }
  }
  return best
}
