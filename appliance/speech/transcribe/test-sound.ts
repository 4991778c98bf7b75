import { SAMPLE_RATE_HZ } from './mel.ts'

/**
 * "We were away", made of nothing but vowels and glides: three resonators on a train of pulses. It needs no recording and
 * no synthesiser, and a model that is sound understands it.
 */

/** What the mouth does: at a time, s, three resonances, Hz, and how loud. */
const TARGETS: readonly [atS: number, f1: number, f2: number, f3: number, gain: number][] = [
  [0.00, 290, 610, 2150, 0], [0.06, 290, 610, 2150, 0.6],
  [0.16, 280, 2250, 2900, 1], [0.26, 280, 2250, 2900, 1],
  [0.36, 300, 650, 2150, 0.6],
  [0.46, 480, 1350, 1650, 1], [0.56, 480, 1350, 1650, 1],
  [0.64, 560, 1300, 2300, 0.9], [0.70, 560, 1250, 2300, 0.9],
  [0.80, 300, 650, 2150, 0.6],
  [0.92, 530, 1850, 2500, 1], [1.04, 480, 1950, 2550, 1], [1.20, 330, 2200, 2800, 0.8], [1.30, 300, 2250, 2850, 0],
]
const BANDWIDTHS_HZ = [60, 90, 150]
/** The voice falls, as at the end of a sentence. */
const PITCH_HZ = { from: 125, to: 95 }
const LEAD_S = 0.1
const TAIL_S = 0.2
const PEAK = 0.5 * 32_767

/** 16 kHz; the same samples each time on one kind of machine. */
export function testSound(): Int16Array {
  const spokenS = TARGETS.at(-1)![0]
  const samples = new Float64Array(Math.round((LEAD_S + spokenS + TAIL_S) * SAMPLE_RATE_HZ))
  const filters = BANDWIDTHS_HZ.map((bandwidthHz) => new Resonator(bandwidthHz))
  const lead = Math.round(LEAD_S * SAMPLE_RATE_HZ)
  let phase = 0
  for (let i = 0; i < spokenS * SAMPLE_RATE_HZ; i++) {
    const atS = i / SAMPLE_RATE_HZ
    const [f1, f2, f3, gain] = mouth(atS)
    phase += (PITCH_HZ.from + (PITCH_HZ.to - PITCH_HZ.from) * (atS / spokenS)) / SAMPLE_RATE_HZ
    const pulse = phase >= 1 ? gain : 0
    phase %= 1
    samples[lead + i] = [f1, f2, f3].reduce((signal, hz, n) => filters[n]!.next(signal, hz), pulse)
  }
  const peak = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  return Int16Array.from(samples, (value) => Math.round((value / peak) * PEAK))
}

function mouth(atS: number): [number, number, number, number] {
  const next = Math.max(1, TARGETS.findIndex(([at]) => at > atS))
  const [from, to] = [TARGETS[next - 1]!, TARGETS[next]!]
  const part = (atS - from[0]) / (to[0] - from[0])
  return [1, 2, 3, 4].map((n) => from[n]! + (to[n]! - from[n]!) * part) as [number, number, number, number]
}

/** A resonance of unit gain at 0 Hz. @see D. Klatt, "Software for a cascade/parallel formant synthesizer", JASA 67 (1980) */
class Resonator {
  readonly #radius: number
  #one = 0
  #two = 0
  constructor(bandwidthHz: number) { this.#radius = Math.exp((-Math.PI * bandwidthHz) / SAMPLE_RATE_HZ) }
  next(input: number, hz: number): number {
    const c = -(this.#radius ** 2)
    const b = 2 * this.#radius * Math.cos((2 * Math.PI * hz) / SAMPLE_RATE_HZ)
    const out = (1 - b - c) * input + b * this.#one + c * this.#two
    this.#two = this.#one
    this.#one = out
    return out
  }
}
