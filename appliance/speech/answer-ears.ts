import type { Completeness } from '../understand/port.ts'
import { textOf, type Recogniser, type SpeechEngine, type Transcript } from './engine.ts'
import { phrasesFor } from './grammar.ts'
import { judge, type CommandTuning } from './judge.ts'
import type { UtteranceMessage } from './messages.ts'

/** The answer to a question of a program. */
export interface ExpectedAnswer {
  /** As that of sentences. */
  completeness(text: string): Completeness
  /** What may be said; nothing: any words, so that the open vocabulary counts. */
  phrases: readonly string[]
}

/** What was made of an utterance. */
export type Heard = Pick<UtteranceMessage, 'text' | 'how' | 'confidence' | 'free' | 'answer'>

export const isFree = (answer: ExpectedAnswer | undefined): boolean => answer?.phrases.length === 0
export const isAnswer = (answer: ExpectedAnswer, text: string): boolean => ['complete', 'extendable'].includes(answer.completeness(text))

const READINGS = 8

/**
 * Hears the answers to one question and nothing else: a grammar of a few phrases gets "two and a half metres" right where
 * that of all commands makes "two metres" of it. Kept for the next question that may be answered alike.
 */
export class AnswerEars {
  readonly #engine: SpeechEngine
  #phrases = ''
  #recogniser: Recogniser | undefined

  constructor(engine: SpeechEngine) { this.#engine = engine }

  /** True where it needs another recogniser for these. */
  differsFor({ phrases }: ExpectedAnswer): boolean { return phrases.length > 0 && phrases.join('\n') !== this.#phrases }

  /** The phrases of which the engine lacks a word: they are never heard. */
  async open({ phrases }: ExpectedAnswer): Promise<string[]> {
    const known = phrasesFor(this.#engine, phrases)
    const recogniser = await this.#engine.open({ kind: 'phrases', phrases: known, readings: READINGS })
    this.#recogniser?.close()
    this.#recogniser = recogniser
    this.#phrases = phrases.join('\n')
    return phrases.filter((phrase) => !known.includes(phrase))
  }

  accept(samples: Int16Array): void | Promise<void> { return this.#recogniser?.accept(samples) }
  final(): Transcript | Promise<Transcript> { return this.#recogniser?.final() ?? { words: [] } }
  reset(): void { this.#recogniser?.reset() }
}

/** Readings that are answers, best first. */
export const answersIn = (answer: ExpectedAnswer, { words, others = [] }: Transcript): string[] => [words, ...others].map(textOf).filter((text) => isAnswer(answer, text))

/**
 * One of the answers that are expected, unless it was a command, and that at least as surely. `transcript`: of the answers' ears;
 * `speechS`: how long there was speech; `completeness`: that of commands alone.
 */
export function shortAnswer(answer: ExpectedAnswer, heard: Heard, transcript: Transcript, speechS: number, completeness: (text: string) => Completeness, tuning: CommandTuning): Heard {
  const readings = [transcript.words, ...transcript.others ?? []].map((words) => judge(words, speechS, (text) => answer.completeness(text), tuning))
  const said = readings.find(({ accepted, text }) => accepted && isAnswer(answer, text))
  const isCommand = heard.how === 'command' && ['complete', 'extendable'].includes(completeness(heard.text))
  if (said && !(isCommand && heard.confidence >= said.confidence)) return { text: said.text, how: 'command', confidence: said.confidence, answer: {} }
  return heard.how === 'command' && isAnswer(answer, heard.text) ? { ...heard, answer: {} } : heard
}
