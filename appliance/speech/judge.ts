import type { Completeness } from '../understand/port.ts'
import { GARBAGE, textOf, type Word } from './engine.ts'
import { WAKE_WORD } from './grammar.ts'

/** Thresholds between a command and speech that is in no grammar. */
export interface CommandTuning {
  /** Mean posterior of the words, and the least of one, where the sentence is a whole one. */
  minMean: number
  minWord: number
  /** The same where it is only the beginning of one. */
  minMeanOfPrefix: number
  minWordOfPrefix: number
  /** Garbage among the words, as a part of the time of all words. */
  maxGarbage: number
  /** Part of the time of speech that the words must cover. */
  minCover: number
}

export const VOSK_COMMANDS: CommandTuning = { minMean: 0.45, minWord: 0.25, minMeanOfPrefix: 0.8, minWordOfPrefix: 0.5, maxGarbage: 0.25, minCover: 0.5 }

/** Answers of one word that sound like a word of longer sentences. */
const ANSWERS: Readonly<Record<string, string>> = { know: 'no', won: 'one', to: 'two', too: 'two', for: 'four', ate: 'eight' }

/** The words behind the wake word, which ended `wakeEndS` into the utterance; without that, where it opens the utterance. */
export function afterWakeWord(words: readonly Word[], wakeEndS?: number): Word[] {
  // By time, not by text: the commands' grammar may hear the wake word as something else.
  if (wakeEndS !== undefined) return words.filter((w) => (w.startS + w.endS) / 2 > wakeEndS)
  const at = words.findIndex((w) => w.word !== GARBAGE)
  return at >= 0 && words[at]!.word === WAKE_WORD ? words.slice(at + 1) : [...words]
}

/** The same for a text. */
export function textAfterWakeWord(text: string): string {
  const words = text.split(' ').filter((word) => word !== GARBAGE && word !== '')
  return (words[0] === WAKE_WORD ? words.slice(1) : words).join(' ')
}

export interface Judgement { text: string; confidence: number; accepted: boolean }

/**
 * Is this a sentence of the grammar, or was other speech forced into it? The recogniser's grammar holds pairs of words
 * and lets any speech through as a salad of them, often with full confidence: that the words make a sentence decides
 * first, how sure they are only second. `speechS`: how long there was speech, the wake word left out.
 */
export function judge(words: readonly Word[], speechS: number, completeness: (text: string) => Completeness, tuning: CommandTuning): Judgement {
  const real = words.filter((w) => w.word !== GARBAGE)
  const lengthS = (list: readonly Word[]) => list.reduce((sum, w) => sum + w.endS - w.startS, 0)
  let text = textOf(words)
  if (real.length === 0) return { text, confidence: 0, accepted: false }
  if (completeness(text) !== 'complete' && Object.hasOwn(ANSWERS, text)) text = ANSWERS[text]!
  const mean = real.reduce((sum, w) => sum + w.confidence, 0) / real.length
  const least = Math.min(...real.map((w) => w.confidence))
  const garbage = 1 - lengthS(real) / Math.max(lengthS(words), 1e-3)
  const known = completeness(text)
  const sure = known === 'nothing' ? false : known === 'prefix'
    ? real.length > 1 && mean >= tuning.minMeanOfPrefix && least >= tuning.minWordOfPrefix
    : mean >= tuning.minMean && least >= tuning.minWord
  return { text, confidence: mean * (1 - garbage), accepted: sure && garbage <= tuning.maxGarbage && lengthS(real) >= tuning.minCover * speechS }
}
