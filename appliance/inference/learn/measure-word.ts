import type { InferenceSession } from 'onnxruntime-node'
import type { Clip, ClipKind } from './clips.ts'
import { BANDS, normaliseWindow, WINDOW_FRAMES } from './features.ts'
import { FiringRule, STEP_FRAMES, STEP_S } from './spotter.ts'

type Ort = typeof import('onnxruntime-node')
/** The word must be noticed by then after its end. */
const LATEST_S = 0.7

/** Scores of a clip, one each 100 ms, as the exported graph gives them. */
export interface ScoredClip { clip: Clip; scores: Float32Array }

export interface WordLimits { falseRejectPercent: number; falseAcceptsPerHour: number }
export interface Part { what: string; count: number; hours: number; /** Words missed, or times it fired. */ wrong: number }
/** What was measured of a learned word, on voices it was not trained on. */
export interface WordMeasure {
  threshold: number
  falseRejectPercent: number
  falseAcceptsPerHour: number
  /** Of talk and noise, without the words that sound alike, which nobody says all day. */
  hours: number
  /** Share of similar-sounding words that it took for the word. */
  similarAcceptedPercent: number
  parts: Part[]
}

/** Runs the exported graph over clips, as it would hear them. */
export async function scoreClips(ort: Ort, session: InferenceSession, clips: readonly Clip[]): Promise<ScoredClip[]> {
  const scored: ScoredClip[] = []
  for (const clip of clips) {
    const count = Math.max(0, Math.floor((clip.frames - WINDOW_FRAMES) / STEP_FRAMES) + 1)
    const data = new Float32Array(count * WINDOW_FRAMES * BANDS)
    for (let i = 0; i < count; i++) normaliseWindow(clip.bands, i * STEP_FRAMES, data, i * WINDOW_FRAMES * BANDS)
    const result = await session.run({ features: new ort.Tensor('float32', data, [count, WINDOW_FRAMES, BANDS]) })
    scored.push({ clip, scores: result['score']!.data as Float32Array })
  }
  return scored
}

/** Times, in seconds since the beginning of the clip, at which it fires. */
function firings(scores: Float32Array, threshold: number): number[] {
  const rule = new FiringRule(threshold)
  const times: number[] = []
  for (const [i, score] of scores.entries()) if (rule.push(score) !== undefined) times.push(i * STEP_S + 1)
  return times
}

const FRAME_S = 0.01
export function heard({ clip, scores }: ScoredClip, threshold: number): boolean {
  const from = clip.word!.from * FRAME_S, to = clip.word!.to * FRAME_S
  return firings(scores, threshold).some((time) => time >= from + 0.3 * (to - from) && time <= to + LATEST_S)
}
const falseFirings = ({ scores }: ScoredClip, threshold: number) => firings(scores, threshold).length

const TALK: readonly ClipKind[] = ['talk', 'people', 'prompts', 'noise']

export function measureAt(threshold: number, words: readonly ScoredClip[], others: readonly ScoredClip[]): WordMeasure {
  const hoursOf = (list: readonly ScoredClip[]) => list.reduce((sum, { clip }) => sum + clip.seconds, 0) / 3600
  const accepts = (list: readonly ScoredClip[]) => list.reduce((sum, one) => sum + falseFirings(one, threshold), 0)
  const missed = (list: readonly ScoredClip[]) => list.filter((one) => !heard(one, threshold)).length
  const talk = others.filter(({ clip }) => TALK.includes(clip.kind)), similar = others.filter(({ clip }) => clip.kind === 'similar')
  const similarTaken = similar.filter((one) => falseFirings(one, threshold) > 0).length
  const people = words.filter(({ clip }) => clip.human), synthesised = words.filter(({ clip }) => !clip.human)
  const part = (what: string, list: readonly ScoredClip[], wrong: number): Part[] => list.length === 0 ? [] : [{ what, count: list.length, hours: hoursOf(list), wrong }]
  const of = (kind: ClipKind) => others.filter(({ clip }) => clip.kind === kind)
  // Where people were recorded, they are who it is for.
  const judged = people.length > 0 ? people : synthesised
  const hours = hoursOf(talk)
  return {
    threshold, hours,
    falseRejectPercent: 100 * missed(judged) / Math.max(1, judged.length),
    falseAcceptsPerHour: hours === 0 ? 0 : accepts(talk) / hours,
    similarAcceptedPercent: 100 * similarTaken / Math.max(1, similar.length),
    parts: [
      ...part('the word, recorded people', people, missed(people)), ...part('the word, synthesised', synthesised, missed(synthesised)),
      ...part('similar words, synthesised', similar, similarTaken), ...part('talk, synthesised', of('talk'), accepts(of('talk'))),
      ...part('talk, recorded people', of('people'), accepts(of('people'))), ...part('telephone prompts, one woman', of('prompts'), accepts(of('prompts'))), ...part('noise', of('noise'), accepts(of('noise'))),
    ],
  }
}

/** Similar words count as this much talk each: a few seconds would be more than anybody says them. */
const SIMILAR_S = 60

/** What may be given away of what is allowed in order to be further from a false accept: few people are in the validation set. */
const GIVEN_AWAY = 0.2

/**
 * The threshold for a word, from the validation set, both faults counted in units of what is allowed: the highest that does
 * nearly as well as the best.
 */
export function chooseThreshold(words: readonly ScoredClip[], others: readonly ScoredClip[], limits: WordLimits): number {
  // Even steps of the logit, 0.3 to 0.9998: scores crowd at the ends.
  const candidates = Array.from({ length: 80 }, (_, i) => 1 / (1 + Math.exp(0.85 - 9.4 * i / 79)))
  const similar = others.filter(({ clip }) => clip.kind === 'similar').length
  const costs = candidates.map((threshold) => {
    const measure = measureAt(threshold, words, others)
    const accepts = measure.falseAcceptsPerHour * measure.hours + measure.similarAcceptedPercent / 100 * similar
    return measure.falseRejectPercent / limits.falseRejectPercent + accepts / Math.max(0.05, measure.hours + similar * SIMILAR_S / 3600) / limits.falseAcceptsPerHour
  })
  const enough = Math.min(...costs) + GIVEN_AWAY
  return Math.round(1e5 * candidates.findLast((_, i) => costs[i]! <= enough)!) / 1e5
}
