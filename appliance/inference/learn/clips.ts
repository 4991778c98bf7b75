import type { Random } from './augment.ts'
import { augment, noise, pick, resampled, rms, soundingPart } from './augment.ts'
import { BANDS, FRAME_SAMPLES, HOP_SAMPLES, logMel, RATE_HZ, WINDOW_FRAMES } from './features.ts'

/** What a clip is: the word itself, a word that sounds like it, synthesised talk, people talking, or noise. */
export type ClipKind = 'word' | 'similar' | 'talk' | 'people' | 'prompts' | 'noise'

/** Sound as features, and where the word is in it. */
export interface Clip {
  kind: ClipKind
  source: string
  /** A recording of somebody, not of a synthesiser. */
  human: boolean
  bands: Float32Array
  frames: number
  seconds: number
  /** First and last frame of the word. */
  word?: { from: number; to: number }
}

/** A sound before it is changed; `part`: where the word is in it, samples. */
export interface RawSound { kind: ClipKind; source: string; human: boolean; samples: Float32Array; part?: { from: number; to: number } }

const frameAt = (sample: number) => Math.round((sample - FRAME_SAMPLES / 2) / HOP_SAMPLES)
/** Windows may end this long before and after the word does, frames. */
export const END_BEFORE = 3
export const END_AFTER = 27
const LEAD_S = 1.05
const TAIL_S = 0.45

export function clipOf(raw: Omit<RawSound, 'samples' | 'part'>, samples: Float32Array, part?: { from: number; to: number }): Clip {
  // Nothing is shorter than a window.
  const padded = samples.length >= RATE_HZ ? samples : new Float32Array(RATE_HZ)
  if (padded !== samples) padded.set(samples, RATE_HZ - samples.length)
  const shift = padded === samples ? 0 : RATE_HZ - samples.length
  const bands = logMel(padded)
  return { kind: raw.kind, source: raw.source, human: raw.human, bands, frames: bands.length / BANDS, seconds: samples.length / RATE_HZ, ...part ? { word: { from: frameAt(part.from + shift), to: frameAt(part.to + shift) } } : {} }
}

/**
 * One example of a sound, changed at random. The word gets what may be before and behind it: silence, or other talk. At
 * most what can be heard of a recording's own surroundings is left of them.
 */
export function example(raw: RawSound, random: Random, talk: readonly Float32Array[], strength: number): Clip {
  const factor = strength > 0 ? 1 + 0.2 * (2 * random() - 1) * strength : 1
  const samples = factor === 1 ? raw.samples : resampled(raw.samples, factor)
  if (!raw.part) return clipOf(raw, augment(samples, { random, babble: talk, strength }))
  const from = Math.floor(raw.part.from / factor), to = Math.min(samples.length, Math.floor(raw.part.to / factor))
  const margin = Math.round(0.04 * RATE_HZ)
  const word = samples.subarray(Math.max(0, from - margin), Math.min(samples.length, to + margin))
  const before = Math.round(LEAD_S * RATE_HZ), after = Math.round(TAIL_S * RATE_HZ)
  const all = new Float32Array(before + word.length + after)
  const level = rms(word)
  if (talk.length > 0 && random() < 0.3 * strength) place(all, 0, before - Math.round(random() * 0.3 * RATE_HZ), pick(random, talk), level, random)
  if (talk.length > 0 && random() < 0.2 * strength) place(all, before + word.length + Math.round((0.05 + 0.2 * random()) * RATE_HZ), all.length, pick(random, talk), level, random)
  all.set(word, before)
  return clipOf(raw, augment(all, { random, babble: talk, strength }), { from: before + margin, to: before + word.length - margin })
}

/** Some of other talk, as loud as the word. */
function place(all: Float32Array, from: number, to: number, talk: Float32Array, level: number, random: Random): void {
  const start = Math.floor(random() * Math.max(1, talk.length - (to - from)))
  const gain = level / (rms(talk) || 1)
  for (let i = from; i < to && start + i - from < talk.length; i++) all[i] = gain * talk[start + i - from]!
}

/** Nothing that is faded over in so short a time clicks, 4 ms. */
const FADE_SAMPLES = 64

/** The pieces of a word in another order, or the word backwards: the same voice saying nothing. */
export function scrambled(raw: RawSound, random: Random): RawSound {
  const word = raw.samples.subarray(raw.part!.from, raw.part!.to)
  let samples: Float32Array
  if (random() < 0.3) samples = word.slice().reverse()
  else {
    const cuts = [0, 0.2 + 0.2 * random(), 0.55 + 0.25 * random(), 1].map((at) => Math.round(at * word.length))
    const order = pick(random, [[2, 1, 0], [1, 2, 0], [2, 0, 1], [1, 0, 2], [0, 2, 1]])
    samples = new Float32Array(word.length)
    let at = 0
    for (const piece of order) {
      const part = word.subarray(cuts[piece]!, cuts[piece + 1]!)
      for (let i = 0; i < part.length; i++) samples[at + i] = part[i]! * Math.min(1, i / FADE_SAMPLES, (part.length - i) / FADE_SAMPLES)
      at += part.length
    }
  }
  return { kind: 'similar', source: `${raw.source}, scrambled`, human: raw.human, samples }
}

/** Seconds of noise, of changing kinds and loudness. */
export function noiseClip(seconds: number, random: Random): Clip {
  const all = new Float32Array(Math.round(seconds * RATE_HZ))
  for (let at = 0; at < all.length;) {
    const part = noise(Math.min(all.length - at, Math.round((0.3 + 2 * random()) * RATE_HZ)), random)
    const gain = 10 ** ((-60 + 45 * random()) / 20)
    for (let i = 0; i < part.length; i++) all[at + i] = gain * part[i]!
    at += part.length
  }
  return clipOf({ kind: 'noise', source: 'noise', human: false }, all)
}

/** Starts of windows that hold the word, first and last; of a word longer than a window the end counts. */
export function wordWindows(clip: Clip): { first: number; last: number } {
  const limit = clip.frames - WINDOW_FRAMES
  const clamp = (start: number) => Math.max(0, Math.min(limit, start))
  const end = clip.word!.to - WINDOW_FRAMES + 1
  // A late window must not cut off the beginning.
  return { first: clamp(end - END_BEFORE), last: clamp(Math.max(end - END_BEFORE, Math.min(end + END_AFTER, clip.word!.from))) }
}

/** Start of a window that holds a part of the word only, and so is not it; undefined where the clip has no room for it. */
export function partWindow(clip: Clip, random: Random): number | undefined {
  const { from, to } = clip.word!
  const length = to - from
  const limit = clip.frames - WINDOW_FRAMES
  const start = random() < 0.6 ? from + Math.round(random() * 0.55 * length) - WINDOW_FRAMES : from + Math.round((0.5 + 0.5 * random()) * length)
  return start >= 0 && start <= limit ? start : undefined
}

/** The word inside a synthesised sound. */
export const wordPart = soundingPart
