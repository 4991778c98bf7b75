import { GARBAGE, textOf, type Word } from './engine.ts'
import { WAKE_WORD } from './grammar.ts'

/** Thresholds between a command and speech that is in no grammar. */
export interface CommandTuning {
  /** Mean posterior of the words, and the least of one. */
  minMean: number
  minWord: number
  /** Garbage among the words, as a part of the time of all words. */
  maxGarbage: number
  /** Part of the time of speech that the words must cover. */
  minCover: number
}

export const VOSK_COMMANDS: CommandTuning = { minMean: 0.75, minWord: 0.35, maxGarbage: 0.25, minCover: 0.5 }

/** The words behind the wake word, where it opens the utterance. */
export function afterWakeWord(words: readonly Word[]): Word[] {
  const at = words.findIndex((w) => w.word !== GARBAGE)
  return at >= 0 && words[at]!.word === WAKE_WORD ? words.slice(at + 1) : [...words]
}

/** The same for a text. */
export function textAfterWakeWord(text: string): string {
  const words = text.split(' ').filter((word) => word !== GARBAGE && word !== '')
  return (words[0] === WAKE_WORD ? words.slice(1) : words).join(' ')
}

export interface Judgement { text: string; confidence: number; accepted: boolean }

/** Is this a sentence of the grammar, or was other speech forced into it? `speechS`: how long there was speech, the wake word left out. */
export function judge(words: readonly Word[], speechS: number, tuning: CommandTuning): Judgement {
  const real = words.filter((w) => w.word !== GARBAGE)
  const lengthS = (list: readonly Word[]) => list.reduce((sum, w) => sum + w.endS - w.startS, 0)
  const text = textOf(words)
  if (real.length === 0) return { text, confidence: 0, accepted: false }
  const mean = real.reduce((sum, w) => sum + w.confidence, 0) / real.length
  const least = Math.min(...real.map((w) => w.confidence))
  const garbage = lengthS(words) === 0 ? 0 : 1 - lengthS(real) / lengthS(words)
  const accepted = mean >= tuning.minMean && least >= tuning.minWord && garbage <= tuning.maxGarbage && lengthS(real) >= tuning.minCover * speechS
  return { text, confidence: mean * (1 - garbage), accepted }
}
