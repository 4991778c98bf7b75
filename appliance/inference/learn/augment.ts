import { RATE_HZ } from './features.ts'

/** What a room, a microphone and the day make of a sound. Samples are floats, full scale is 1; randomness comes from outside. */
export type Random = () => number

const between = (random: Random, low: number, high: number) => low + (high - low) * random()
export const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)]!

export const toFloat = (samples: Int16Array): Float32Array => Float32Array.from(samples, (s) => s / 32768)
export const toInt16 = (samples: Float32Array): Int16Array => Int16Array.from(samples, (s) => Math.max(-32768, Math.min(32767, Math.round(s * 32767))))

export function rms(samples: Float32Array): number {
  let sum = 0
  for (const s of samples) sum += s * s
  return Math.sqrt(sum / Math.max(1, samples.length))
}

/** Faster and higher, or slower and lower, as a tape: another throat. Linear between samples. */
export function resampled(samples: Float32Array, factor: number): Float32Array {
  const out = new Float32Array(Math.floor((samples.length - 1) / factor))
  for (let i = 0; i < out.length; i++) {
    const at = i * factor, whole = Math.floor(at), part = at - whole
    out[i] = samples[whole]! * (1 - part) + samples[whole + 1]! * part
  }
  return out
}

/** Second-order low or high pass, in place. @see R. Bristow-Johnson, Audio EQ Cookbook (W3C note) */
export function filtered(samples: Float32Array, kind: 'low' | 'high', cutoffHz: number): Float32Array {
  const w = 2 * Math.PI * cutoffHz / RATE_HZ, cos = Math.cos(w), alpha = Math.sin(w) / Math.SQRT2
  const a0 = 1 + alpha, a1 = -2 * cos / a0, a2 = (1 - alpha) / a0
  const b1 = (kind === 'low' ? 1 - cos : -(1 + cos)) / a0, b0 = Math.abs(b1) / 2
  let x1 = 0, x2 = 0, y1 = 0, y2 = 0
  for (let i = 0; i < samples.length; i++) {
    const x = samples[i]!
    const y = b0 * x + b1 * x1 + b0 * x2 - a1 * y1 - a2 * y2
    x2 = x1; x1 = x; y2 = y1; y1 = y
    samples[i] = y
  }
  return samples
}

/** Early and late reflections of a room: sparse taps that decay by 60 dB within `decayS`. */
function inRoom(samples: Float32Array, random: Random): Float32Array {
  const decayS = between(random, 0.1, 0.5), wet = between(random, 0.1, 0.6)
  const out = samples.slice()
  const taps = 48
  for (let tap = 0; tap < taps; tap++) {
    const delayS = decayS * random() ** 1.5
    const gain = wet * (random() < 0.5 ? -1 : 1) * 10 ** (-3 * delayS / decayS) * 0.5
    const delay = Math.round(delayS * RATE_HZ) + 16
    for (let i = delay; i < out.length; i++) out[i]! += gain * samples[i - delay]!
  }
  return out
}

/** White, pink-like or brown-like noise, or the hum of a mains supply and its harmonics; root mean square 1. */
export function noise(length: number, random: Random): Float32Array {
  const kind = Math.floor(random() * 4)
  const out = new Float32Array(length)
  if (kind === 3) {
    const baseHz = random() < 0.5 ? 50 : 60
    const parts = Array.from({ length: 8 }, (_, i) => ({ w: 2 * Math.PI * baseHz * (i + 1) / RATE_HZ, gain: random() / (i + 1), phase: 6.3 * random() }))
    for (let i = 0; i < length; i++) { for (const { w, gain, phase } of parts) out[i]! += gain * Math.sin(w * i + phase); out[i]! += 0.05 * (random() - 0.5) }
  } else {
    const keep = [0, 0.85, 0.98][kind]!
    let last = 0
    for (let i = 0; i < length; i++) { last = keep * last + (random() - 0.5); out[i] = last }
  }
  const level = rms(out) || 1
  for (let i = 0; i < length; i++) out[i]! /= level
  return out
}

/** How one sound is changed. */
export interface AugmentOptions { random: Random; /** Other speech, for babble; may be empty. */ babble: readonly Float32Array[]; /** 0: none, 1: as for training. */ strength: number }

/** Another microphone, another room, other noise, another loudness; the length stays. */
export function augment(samples: Float32Array, { random, babble, strength }: AugmentOptions): Float32Array {
  let out: Float32Array = samples.slice()
  if (random() < 0.4 * strength) out = inRoom(out, random)
  const band = random()
  // A third of all examples come through a narrow band, so that the band of a telephone says nothing about the word.
  if (band < 0.2 * strength) filtered(filtered(out, 'low', between(random, 3_000, 3_800)), 'high', between(random, 100, 300))
  else if (band < 0.35 * strength) filtered(out, 'low', between(random, 4_000, 7_000))
  else if (band < 0.5 * strength) filtered(out, 'high', between(random, 80, 400))
  if (random() < 0.5 * strength) tilt(out, between(random, -0.5, 0.5))
  const level = rms(out) || 1e-3
  const snrDb = between(random, 30 - 22 * strength, 45)
  const ground = babble.length > 0 && random() < 0.35 ? babbleOf(out.length, babble, random) : noise(out.length, random)
  const gain = level * 10 ** (-snrDb / 20)
  for (let i = 0; i < out.length; i++) out[i]! += gain * ground[i]!
  const loud = 10 ** (between(random, -30, -12) / 20) / level
  for (let i = 0; i < out.length; i++) out[i] = Math.max(-1, Math.min(1, out[i]! * loud))
  return out
}

/** First-order emphasis of highs (positive) or lows. */
function tilt(samples: Float32Array, amount: number): void {
  let before = 0
  for (let i = 0; i < samples.length; i++) { const s = samples[i]!; samples[i] = s - amount * before; before = s }
}

function babbleOf(length: number, babble: readonly Float32Array[], random: Random): Float32Array {
  const out = new Float32Array(length)
  for (let voices = 1 + Math.floor(3 * random()); voices > 0; voices--) {
    const other = pick(random, babble)
    const from = Math.floor(random() * other.length)
    for (let i = 0; i < length; i++) out[i]! += other[(from + i) % other.length]!
  }
  const level = rms(out) || 1
  for (let i = 0; i < length; i++) out[i]! /= level
  return out
}

/** Where the sound is, without the silence around it: what is within 35 dB of the loudest 20 ms. In samples. */
export function soundingPart(samples: Float32Array): { from: number; to: number } {
  const block = RATE_HZ / 50
  const levels: number[] = []
  for (let at = 0; at + block <= samples.length; at += block) levels.push(rms(samples.subarray(at, at + block)))
  const least = Math.max(...levels, 1e-6) * 10 ** (-35 / 20)
  const first = levels.findIndex((level) => level >= least), last = levels.findLastIndex((level) => level >= least)
  return first < 0 ? { from: 0, to: samples.length } : { from: first * block, to: Math.min(samples.length, (last + 1) * block) }
}
