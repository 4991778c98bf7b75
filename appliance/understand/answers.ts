import type { AnswerKind } from '../contracts/intents.ts'
import { numberWords, parseNumber } from './numbers.ts'
import type { Completeness } from './port.ts'
import { isQuantityPrefix, quantityAnswer, type Quantity } from './quantities.ts'
import { isQuantity } from './slots.ts'
import { without, withoutHesitations } from './hesitations.ts'
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
const NOES: ReadonlySet<string> = new Set([
  'no', 'nope', 'nah', 'nay', 'no no', 'no no no', 'no thanks', 'no thank you', 'no way', 'no sir', 'no never', 'never', 'not', 'not at all',
  'absolutely not', 'certainly not', 'definitely not', 'of course not', 'negative', 'wrong', 'that is wrong', 'that is not right',
  'do not', 'do not do it', 'do not do that', 'do it not', 'no do not', 'no do not do it', 'i do not', 'i did not', 'no i did not',
])
export const DECLINES: ReadonlySet<string> = new Set([...NOES, ...CANCELS])
const CONFIRM = /^confirm(?:ed)?\b/
/** Words around one of the values of a choice: more is another sentence. */
const MOST_AROUND = 3

export const answerTokens = (text: string) => without(withoutHesitations(tokenize(text)), FILLERS)
/** The words of an answer without fillers and the wake word. */
export const plain = (text: string): string => answerTokens(text).map(({ word }) => word).filter((word) => word !== 'computer').join(' ')
/** A question mark of any script. U+037E, the Greek one, looks like a semicolon. */
const ASKS = new RegExp('[?\u00BF\u037E\u055E\u061F\u1367\u1945\u203D\u2047-\u2049\u2753\u2754\u2CFA\u2CFB\u2E18\u2E2E\u2E54' +
  '\uA60F\uA6F7\uFE16\uFE56\uFF1F]', 'u')
/** An ellipsis anywhere: who says it is not sure yet. */
const HESITATES = /[\u2025\u2026\u22EF\uFE19\uFE30]|[.。\uFF0E\uFF61]\s*[.。\uFF0E\uFF61]/u
const DASHES = '\\p{Pd}\u2212\u207B\u208B\u02D7\u2043\u2796\u2500\u2501\u23AF'
const COMMAS = ',;:\u060C\u061B\u3001\uFE10\uFE11\uFE13\uFE14\uFE50\uFE51\uFE54\uFE55\uFF0C\uFF1A\uFF1B\uFF64'
/** A dash, a comma or a colon after the last word: the sentence goes on. */
const GOES_ON = new RegExp(`[${DASHES}${COMMAS}][^\\p{L}\\p{N}]*$`, 'u')
/** A dash before the first word; before a number it is a sign. */
const STRIKES = new RegExp(`^[^\\p{L}\\p{N}]*[${DASHES}]`, 'u')

/** "Two?" asks, and "two …" or "two," is not all of it: no answer. */
export const isFinished = (text: string): boolean => !ASKS.test(text) && !HESITATES.test(text) && !GOES_ON.test(text)
/** The same of an answer in words. */
export const isFirm = (text: string): boolean => isFinished(text) && !STRIKES.test(text)
/** True where an answer carries out, or agrees to, what was asked about. "Please confirm" asks for that itself. */
export function isYes(yeses: ReadonlySet<string>, text: string): boolean {
  const first = withoutHesitations(tokenize(text)).find(({ word }) => word !== 'computer')?.word ?? ''
  const said = plain(text)
  return isFirm(text) && yeses.has(said) && !(FILLERS.has(first) && CONFIRM.test(said))
}
/** A name that says what it is not, or two of them, is none. */
export const isName = (text: string): boolean => {
  return isFirm(text) && !answerTokens(text).some(({ word }) => NEGATIONS.has(word) || word === 'or')
}
const beginsWith = (text: string) => {
  const tokens = answerTokens(text)
  return { tokens, number: parseNumber(tokens, 0) }
}
/** True for a text that begins with a number: to a question for one it is an answer, and no command. */
export const isNumberFirst = (text: string): boolean => beginsWith(text).number?.homophone === false
/** True for a number whose unit nobody can know: "ten" of a time, "half" of anything but a fraction. */
export function lacksUnit(kind: Quantity, text: string): boolean {
  const { tokens, number } = beginsWith(text)
  if (number?.end !== tokens.length || kind === 'fraction' || kind === 'count') return false
  return kind === 'duration' || number.kind === 'fraction'
}
/** The whole text as a quantity, in SI units. */
export function quantityOf(kind: Quantity, text: string): number | undefined {
  return isFinished(text) && !lacksUnit(kind, text) ? quantityAnswer(kind, answerTokens(text)) : undefined
}
/** True for what agrees, whoever asked. */
export const isAgreement = (text: string): boolean => AGREES.has(plain(text))
export const cancels = (text: string): boolean => CANCELS.has(plain(text))

/** The same with numbers in words, as they are heard. */
const spoken = (text: string): string => plain(text).split(' ').map((word) => /^\d{1,2}$/.test(word) ? numberWords(Number(word)) : word).join(' ')

/** What a text says as an answer, quantities in SI units; undefined where it is none. */
export function answerOf({ kind, values = [] }: AnswerForm, text: string): AnswerValue | undefined {
  if (isQuantity(kind)) return quantityOf(kind, text)
  const said = plain(text)
  if (kind === 'text') return said === '' ? undefined : text.trim()
  if (kind === 'choice') return isFirm(text) ? choiceOf(values, spoken(text)) : undefined
  if (NOES.has(said)) return false
  return isYes(kind === 'confirm' ? CONFIRMS : AGREES, text) ? true : undefined
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
