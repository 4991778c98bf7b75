import { noise } from '../inference/learn/augment.ts'
import { SAMPLE_RATE_HZ } from './vad.ts'

const WINDOW_SAMPLES = 0.3 * SAMPLE_RATE_HZ
const STEP_SAMPLES = 0.05 * SAMPLE_RATE_HZ
const FULL_SCALE = 32_767

const rms = (samples: Int16Array) => Math.sqrt(samples.reduce((sum, s) => sum + s * s, 0) / Math.max(1, samples.length))
const clipped = (value: number) => Math.max(-32_768, Math.min(FULL_SCALE, Math.round(value)))
const ratio = (db: number) => 10 ** (db / 20)

/** Root mean square of the loudest 0.3 s: of speech, without the pauses in it and around it. */
export function speechLevel(samples: Int16Array): number {
  let loudest = 1
  for (let from = 0; from === 0 || from + WINDOW_SAMPLES <= samples.length; from += STEP_SAMPLES) loudest = Math.max(loudest, rms(samples.subarray(from, from + WINDOW_SAMPLES)))
  return loudest
}

/** Louder by `gainDb`, cut off at full scale as an analogue-to-digital converter does. */
export const amplified = (samples: Int16Array, gainDb: number): Int16Array => samples.map((s) => clipped(s * ratio(gainDb)))

/**
 * A word over a voice that goes on all the while, from `atS` on: what a microphone hears that is near the loudspeaker. The word
 * is louder than the voice by `louderDb` (level of speech). Where both together are over full scale, all is quieter.
 */
export function overVoice(word: Int16Array, voice: Int16Array, louderDb: number, atS: number): Int16Array {
  const gain = speechLevel(word) / speechLevel(voice) * ratio(-louderDb)
  const at = Math.round(atS * SAMPLE_RATE_HZ)
  const mixed = Float64Array.from({ length: Math.max(voice.length, at + word.length + WINDOW_SAMPLES) }, (_, i) => voice[i % voice.length]! * gain)
  for (const [i, sample] of word.entries()) mixed[at + i]! += sample
  const peak = mixed.reduce((most, s) => Math.max(most, Math.abs(s)), 1)
  return Int16Array.from(mixed, (s) => clipped(s * Math.min(1, FULL_SCALE / peak)))
}

/** In noise that is quieter by `snrDb`, with some of it before and behind. */
export function inNoise(samples: Int16Array, snrDb: number, random: () => number): Int16Array {
  const around = SAMPLE_RATE_HZ / 2
  const ground = noise(samples.length + 2 * around, random)
  const gain = speechLevel(samples) * ratio(-snrDb)
  return Int16Array.from(ground, (s, i) => clipped(gain * s + (samples[i - around] ?? 0)))
}

/** End of the last 20 ms that are within 25 dB of the loudest: where a word ends, without what a microphone hears behind it. Seconds. */
export function soundEndS(samples: Int16Array): number {
  const block = SAMPLE_RATE_HZ / 50
  const levels = Array.from({ length: Math.floor(samples.length / block) }, (_, i) => rms(samples.subarray(i * block, (i + 1) * block)))
  const least = Math.max(...levels) * ratio(-25)
  return (levels.findLastIndex((level) => level >= least) + 1) * block / SAMPLE_RATE_HZ
}
