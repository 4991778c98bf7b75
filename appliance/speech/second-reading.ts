import type { Doubt, Meaning } from '../understand/port.ts'
import { isAgreement, isNumberWord, isPolite, isUnitWord } from '../understand/index.ts'
import type { ActivityTrack } from './activity-track.ts'
import { GARBAGE, textOf, type Word } from './engine.ts'
import { levelDb } from './level.ts'
import { SAMPLE_RATE_HZ } from './vad.ts'

/** A stretch of an utterance, s since its first sample. */
export interface Stretch { startS: number; endS: number }

/** Levels are taken over so much sound. */
const STEP_S = 0.01
const STEP_SAMPLES = STEP_S * SAMPLE_RATE_HZ
/** A word's edges are known to this. */
const EDGE_S = 0.05
/** Sound is speech from this probability of voice on … */
const VOICE = 0.5
/** … unless it is so much softer than the words: a breath, the room. */
const SOFTER_DB = 16
/** Stretches closer together are one: a stop consonant is a short silence inside a word. */
const TOGETHER_S = 0.1
/** Shorter stretches are the end of one word or the beginning of another. */
const SHORTEST_S = 0.05

/**
 * Speech that no word covers. `samples` is the utterance, its first sample has the number `from`; looked at is what lies in
 * `within`.
 */
export function uncovered(words: readonly Word[], samples: Int16Array, from: number, activity: ActivityTrack, within: Stretch): Stretch[] {
  const real = words.filter(({ word }) => word !== GARBAGE)
  const covers = (atS: number) => real.some(({ startS, endS }) => atS > startS - EDGE_S && atS < endS + EDGE_S)
  const levels: number[] = []
  const steps: { atS: number; level: number; isCovered: boolean }[] = []
  for (let at = Math.max(0, Math.round(within.startS / STEP_S)); (at + 1) * STEP_SAMPLES <= samples.length && at * STEP_S < within.endS; at++) {
    const atS = (at + 0.5) * STEP_S
    const level = levelDb(samples.subarray(at * STEP_SAMPLES, (at + 1) * STEP_SAMPLES))
    const isCovered = covers(atS)
    if (isCovered) levels.push(level)
    steps.push({ atS, level, isCovered })
  }
  levels.sort((a, b) => a - b)
  // Of the louder half of the words: the softer half is consonants and pauses.
  const usual = levels[Math.floor(levels.length * 0.75)] ?? -Infinity
  const found: Stretch[] = []
  for (const { atS, level, isCovered } of steps) {
    const isSpeech = !isCovered && level >= usual - SOFTER_DB && activity.at(from + atS * SAMPLE_RATE_HZ) >= VOICE
    if (!isSpeech) continue
    const last = found.at(-1)
    if (last && atS - STEP_S / 2 - last.endS < TOGETHER_S) last.endS = atS + STEP_S / 2
    else found.push({ startS: atS - STEP_S / 2, endS: atS + STEP_S / 2 })
  }
  return found.filter(({ startS, endS }) => endS - startS >= SHORTEST_S)
}

/** What was said, as the commands' grammar has it. */
export interface FirstReading {
  text: string
  words: readonly Word[]
  /** What the text asks for; undefined for an answer such as "confirm". */
  meaning: Meaning | undefined
  /** The recogniser's readings of the same sound, best first, and what they ask for. */
  readings: readonly { text: string; meaning: Meaning | undefined }[]
  /** What any text asks for. */
  meaningOf(text: string): Meaning | undefined
}

export interface SoundOfUtterance {
  samples: Int16Array
  /** Number of the first of them. */
  from: number
  activity: ActivityTrack
  /** From the end of the wake word, or the first speech, to the end of speech. */
  within: Stretch
  /** What was before the wake word. */
  before?: Stretch
}

/**
 * Uncovered speech of this length is doubted, by what the open vocabulary has there: nothing, words that change no meaning
 * ("the"), or others. Of 132 plain commands in ten synthetic voices 11 were doubted, each with a word missing; of 59 that
 * were taken back none passed. Half as long again let two pass.
 */
const DOUBTED_S = { nothing: 0.12, fillers: 0.22, words: 0.05 }
/** Speech before the wake word is doubted from here on: its own beginning is not known to less. */
const BEFORE_WAKE_S = 0.15
/** The open vocabulary is sure of a word from here on. */
const SURE = 0.7
/** Politeness is not longer. */
const MOST_POLITE = 5
/** An open-vocabulary word counts as heard from here on. */
const HEARD = 0.5
/** … and as one that the grammar has not, where its words cover less than this part of it. */
const COVERED = 0.5
const FILLERS: ReadonlySet<string> = new Set(['the', 'a', 'an', 'uh', 'um', 'please', 'just'])

const overlapS = (one: Stretch, other: Stretch): number => Math.max(0, Math.min(one.endS, other.endS) - Math.max(one.startS, other.startS))

/**
 * Was more said than the text explains? Every moment of speech must be a word's, and no other reading of the same sound may
 * ask for something else. `open`: the words of the open vocabulary, in the time of the same utterance. Undefined: there is
 * no doubt.
 */
export function doubtOf(first: FirstReading, open: readonly Word[], sound: SoundOfUtterance): Doubt | undefined {
  const { words } = first
  const { samples, from, activity, within } = sound
  const real = words.filter(({ word }) => word !== GARBAGE)
  const later = open.filter(({ word, startS, endS }) => word !== GARBAGE && (startS + endS) / 2 > within.startS)
  const heard = textOf(later)
  const withHeard = heard === '' ? {} : { heard }
  const beside = later.filter((word) => {
    const coveredS = real.reduce((sum, each) => sum + overlapS(each, word), 0)
    return word.confidence >= HEARD && coveredS < COVERED * (word.endS - word.startS)
  })
  for (const gap of uncovered(words, samples, from, activity, within)) {
    const around = { startS: gap.startS - EDGE_S, endS: gap.endS + EDGE_S }
    const there = beside.filter((word) => overlapS(word, around) > 0)
    const isFilled = there.every(({ word }) => FILLERS.has(word))
    const doubtedS = there.length === 0 ? DOUBTED_S.nothing : isFilled ? DOUBTED_S.fillers : DOUBTED_S.words
    if (gap.endS - gap.startS >= doubtedS) return { reason: there.length > 0 && !isFilled ? 'words' : 'sound', ...withHeard }
  }
  if (hasMore(first.text, later) || (isAgreement(first.text) && isOther(first.text, later))) return { reason: 'words', ...withHeard }
  if (sound.before && isAnnounced(open, sound, sound.before)) return { reason: 'words', ...withHeard }
  if (politeness(first).some((word) => !later.some((other) => isSameWord(other, word)))) return { reason: 'words', ...withHeard }
  const rival = rivalOf(first)
  return rival && { reason: rival, ...withHeard }
}

/** What the open vocabulary writes for numbers. */
const SOUNDS_LIKE: Readonly<Record<string, string>> = { to: 'two', too: 'two', for: 'four' }

/** The open vocabulary has every word of the text and others beside them: "are the lights on". */
function hasMore(text: string, open: readonly Word[]): boolean {
  const said = text.split(' ')
  let at = 0
  const others: Word[] = []
  for (const word of open) {
    const isNext = said[at] !== undefined && (word.word === said[at] || SOUNDS_LIKE[word.word] === said[at])
    if (isNext) at++
    else others.push(word)
  }
  return at === said.length && others.some(({ word, confidence }) => confidence >= SURE && !FILLERS.has(word) && !isPolite(word))
}

/** The open vocabulary is sure of words, and none of them is one of the answer: "conform". */
function isOther(text: string, open: readonly Word[]): boolean {
  const said = text.split(' ')
  // "Confirmed" is another form of "confirm"; "unconfirmed" is not.
  const isForm = (word: string) => said.some((each) => word.startsWith(each) || (word.length > 2 && each.startsWith(word)))
  return open.some(({ confidence }) => confidence >= SURE) && !open.some(({ word }) => isForm(word))
}

/** "Super computer, lights on": the wake word opens what is said, politeness aside. */
function isAnnounced(open: readonly Word[], { samples, from, activity, within }: SoundOfUtterance, before: Stretch): boolean {
  const command: Word = { word: '', ...within, confidence: 1 }
  const looked = { startS: before.startS, endS: within.endS }
  const spoken = uncovered([command], samples, from, activity, looked).filter(({ startS }) => startS < before.endS - EDGE_S)
  const there = open.filter((word) => word.confidence >= HEARD && (word.startS + word.endS) / 2 < before.endS)
  const isPoliteOpening = there.length > 0 && there.every(({ word }) => isPolite(word) || FILLERS.has(word))
  return !isPoliteOpening && spoken.some((gap) => Math.min(gap.endS, before.endS) - gap.startS >= BEFORE_WAKE_S)
}

const isSameWord = (one: Word, other: Word): boolean => (one.word === other.word || (isPolite(one.word) && isPolite(other.word))) && overlapS(one, other) > COVERED * (other.endS - other.startS)

/**
 * Words around a command that may be left out: "could you", "now". A grammar that knows "could you" and not "did you" hears
 * the one in the other, so that the open vocabulary must have heard them too.
 */
function politeness({ text, words, meaning, meaningOf }: FirstReading): Word[] {
  if (!meaning?.isConsequential) return []
  const real = words.filter(({ word }) => word !== GARBAGE)
  // More words than the text has: several readings that ask for the same.
  const said = text.split(' ')
  const own = real.slice(0, said.length)
  const isWithout = (from: number, to: number) => meaningOf(said.slice(from, to).join(' '))?.key === meaning.key
  let before = 0
  let behind = said.length
  for (let at = 1; at <= MOST_POLITE && at < said.length && isPolite(said[at - 1]!); at++) if (isWithout(at, said.length)) before = at
  for (let at = said.length - 1; said.length - at <= MOST_POLITE && at > before && isPolite(said[at]!); at--) if (isWithout(before, at)) behind = at
  return [...own.slice(0, before), ...own.slice(behind)]
}

/** Another reading of the same sound that asks for something else: 'number' where only its numbers differ. */
function rivalOf({ text, meaning, readings }: FirstReading): 'number' | 'words' | undefined {
  if (!meaning?.isConsequential) return undefined
  // The text is not the best reading where that makes no sentence: its numbers and units must be that one's all the same.
  if (quantityWords(readings[0]?.text ?? text) !== quantityWords(text)) return 'number'
  const others = readings.filter((other) => other.meaning && other.meaning.key !== meaning.key && !isPartOf(other.text, text))
  if (others.length === 0) return undefined
  return others.every((other) => other.meaning!.type === meaning.type) ? 'number' : 'words'
}

const quantityWords = (text: string): string => text.split(' ').filter((word) => isNumberWord(word) || isUnitWord(word)).join(' ')

/** True where the one has the other's words in their order, less some: it explains less of the sound. */
function isPartOf(one: string, other: string): boolean {
  const words = other.split(' ')
  let at = 0
  return one.split(' ').every((word) => {
    const found = words.indexOf(word, at)
    at = found + 1
    return found >= 0
  })
}
