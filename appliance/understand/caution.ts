import { intentDefinition } from '../contracts/intents.ts'
import { withoutHesitations } from './hesitations.ts'
import { parseQuantity } from './quantities.ts'
import { NEGATIONS, tokenize } from './words.ts'

/** True for what moves something, or lets something move. */
const moves = (type: string): boolean => type === 'arm.set' || type === 'mode.set' || intentDefinition(type)?.policy.actuates === true

/** True for what moves something, lets something move, or must be confirmed: with such types doubt is asked about. */
export function isConsequential(type: string): boolean {
  return moves(type) || (intentDefinition(type)?.policy.hazardous ?? false) !== false
}

/** True for what makes the box safer: it is done in spite of a doubt. */
export function makesSafer(type: string, slots: Readonly<Record<string, unknown>>): boolean {
  if (type === 'arm.set') return slots.armed === false
  return type === 'stop' || (type === 'mode.set' && slots.mode === 'safe')
}

/** Types that only tell something: an answer too many harms nobody. */
const TELLING: ReadonlySet<string> = new Set([
  'vision.describe', 'vision.find', 'vision.read', 'power.status', 'sensor.read', 'system.status', 'node.list', 'timer.list',
  'log.play', 'help', 'repeat', 'chat.ask', 'weather.report', 'time.tell',
])
/** True for what leaves something changed. */
export const changesState = (type: string): boolean => !TELLING.has(type)

const QUESTION = /[?？؟⁇⁈‽﹖︖;⸮]/u
/** "Could you …?" asks for a deed; "drive forward two metres?" wonders about one. */
const REQUEST = /\b(?:can|could|would|will) you\b|\bplease\b/i

/**
 * True where a sentence that moves something was put as a question: it is asked back about, not done. A stop is always
 * done.
 */
export function isWondering(text: string, type: string, consequential = moves(type)): boolean {
  return type !== 'stop' && consequential && QUESTION.test(text) && !REQUEST.test(text)
}

const setOf = (...lists: string[]): ReadonlySet<string> => new Set(lists.join(' ').split(' '))

/** Talk about commands rather than commands: nothing is proposed for a sentence with one of these. */
export const HEARSAY = setOf(
  'if said says told yesterday tomorrow he she they his her their was were had ago did think maybe when whenever',
  'happens suppose imagine',
  'drove moved turned should rather pretend kidding joking hypothetically unless until label manual quote',
)
/**
 * Words that take a command back: it is forbidden, has a condition, is somebody else's, is for another time, or is only
 * spoken about. Nothing consequential is done, and none proposed, where one of these was heard beside it.
 */
const TAKES_BACK: ReadonlySet<string> = new Set([
  ...NEGATIONS, ...HEARSAY,
  ...setOf('provided providing assuming supposing otherwise except once while whether'),
  ...setOf('say saying tells tell asked asks shouted heard wrote writes written reads read quoted quotes story joke example guess'),
  ...setOf('command commands phrase sentence word words order ordered orders instruction instructions unquote script'),
  ...setOf('perhaps wonder wondering mean means meant believe thought theoretically supposedly allegedly almost nearly'),
  ...setOf('him them hers theirs who whom whoever someone somebody everyone everybody anyone anybody people'),
  ...setOf('later tonight soon eventually sometime someday afterwards after before next morning afternoon evening noon midnight oclock'),
  ...setOf('monday tuesday wednesday thursday friday saturday sunday weekend'),
  ...setOf('cancel forget scratch actually sorry oops mistake wrong wait undo ignore disregard'),
  ...setOf('why how what where which whose does has have'),
])

/** What of `heard` the text does not have, word by word. */
function beyond(heard: string, text: string): string[] {
  const open = new Map<string, number>()
  for (const { word } of tokenize(text)) open.set(word, (open.get(word) ?? 0) + 1)
  return tokenize(heard).map(({ word }) => word).filter((word) => {
    const left = open.get(word) ?? 0
    if (left > 0) open.set(word, left - 1)
    return left === 0
  })
}

/** True where the other reading forbids what the text commands: "don't disarm". */
export const forbids = (heard: string, text: string): boolean => beyond(heard, text).some((word) => NEGATIONS.has(word))

/** True where the other reading has words that take back what the text commands. */
export function takesBack(heard: string, text = ''): boolean {
  return beyond(heard, text).some((word) => TAKES_BACK.has(word)) || (isPostponed(heard) && !isPostponed(text))
}

/** "In ten minutes". */
function isPostponed(text: string): boolean {
  const tokens = withoutHesitations(tokenize(text))
  return tokens.some(({ word }, at) => /^(in|within)$/.test(word) && parseQuantity('duration', tokens, at + 1).length > 0)
}
