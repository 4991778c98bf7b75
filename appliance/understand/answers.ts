import type { AnswerKind } from '../contracts/intents.ts'
import { numberWords } from './numbers.ts'
import type { Completeness } from './port.ts'
import { isQuantityPrefix, quantityAnswer } from './quantities.ts'
import { isQuantity } from './slots.ts'
import { FILLERS, NEGATIONS, tokenize } from './words.ts'

/** What answer is expected to a question. */
export interface AnswerForm { kind: AnswerKind; /** Of a choice. */ values?: readonly string[] | undefined }
export type AnswerValue = boolean | number | string

/** Answers that carry out what was asked about. Only said whole, and only while a question is open. */
export const CONFIRMS: ReadonlySet<string> = new Set(['confirm', 'confirmed', 'i confirm', 'yes', 'yes confirm', 'yes confirmed', 'affirmative', 'yes do it', 'do it', 'yes go ahead', 'go ahead'])
/** Not "right" alone: to "Did you mean: turn left?" it may say the opposite. */
export const AGREES: ReadonlySet<string> = new Set([...CONFIRMS, 'yeah', 'yep', 'yup', 'correct', 'that is right', 'yes that is right', 'exactly', 'sure', 'okay', 'yes i did'])
/** Ends a question rather than answering it. */
const CANCELS: ReadonlySet<string> = new Set(['cancel', 'no cancel'])
const NOES: ReadonlySet<string> = new Set(['no', 'nope', 'no thanks', 'no thank you', 'negative', 'wrong', 'that is wrong', 'do not', 'do not do it', 'no do not'])
export const DECLINES: ReadonlySet<string> = new Set([...NOES, ...CANCELS])
/** Words around one of the values of a choice: more is another sentence. */
const MOST_AROUND = 3

export const answerTokens = (text: string) => tokenize(text).filter(({ word }) => !FILLERS.has(word))
/** The words of an answer without fillers and the wake word. */
export const plain = (text: string): string => answerTokens(text).map(({ word }) => word).filter((word) => word !== 'computer').join(' ')
/** "Yes?" asks; it does not confirm. */
export const isFirm = (text: string): boolean => !/\?\s*$/.test(text)
export const cancels = (text: string): boolean => CANCELS.has(plain(text))

/** The same with numbers in words, as they are heard. */
const spoken = (text: string): string => plain(text).split(' ').map((word) => /^\d{1,2}$/.test(word) ? numberWords(Number(word)) : word).join(' ')

/** What a text says as an answer, quantities in SI units; undefined where it is none. */
export function answerOf({ kind, values = [] }: AnswerForm, text: string): AnswerValue | undefined {
  if (isQuantity(kind)) return quantityAnswer(kind, answerTokens(text))
  const said = plain(text)
  if (kind === 'text') return said === '' ? undefined : text.trim()
  if (kind === 'choice') return choiceOf(values, spoken(text))
  if (NOES.has(said)) return false
  return isFirm(text) && (kind === 'confirm' ? CONFIRMS : AGREES).has(said) ? true : undefined
}

/** The value that was said whole, or the one that a short sentence names ("the red one"). */
function choiceOf(values: readonly string[], said: string): string | undefined {
  const whole = values.find((value) => spoken(value) === said)
  const words = said.split(' ')
  if (whole !== undefined || words.some((word) => NEGATIONS.has(word))) return whole
  const named = values.filter((value) => ` ${said} `.includes(` ${spoken(value)} `) && words.length - spoken(value).split(' ').length <= MOST_AROUND)
  return named.length === 1 ? named[0] : undefined
}

/** How far an answer has come, for deciding how long a silence ends it. */
export function answerCompleteness(form: AnswerForm, text: string): Completeness {
  const { kind, values = [] } = form
  const value = answerOf(form, text)
  if (kind === 'text') return value === undefined ? 'nothing' : 'extendable'
  const said = spoken(text)
  const goesOn = isQuantity(kind) ? isQuantityPrefix(kind, answerTokens(text), 0)
    : kind === 'choice' ? said !== '' && values.some((each) => spoken(each).startsWith(`${said} `))
      : value === undefined && said !== '' && [...AGREES, ...NOES].some((each) => each.startsWith(`${said} `))
  return value === undefined ? (goesOn ? 'prefix' : 'nothing') : goesOn ? 'extendable' : 'complete'
}
