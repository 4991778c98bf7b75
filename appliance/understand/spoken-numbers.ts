import type { SlotParser } from './graph.ts'
import { saidUnits, type Quantity } from './quantities.ts'

const DIGITS = 'one two three four five six seven eight nine'.split(' ')
const TEENS = 'ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'.split(' ')
const TENS = 'twenty thirty forty fifty sixty seventy eighty ninety'.split(' ')
/** Numbers of one word. */
const ATOMS: readonly string[] = [...DIGITS, ...TEENS, ...TENS]
/** Other beginnings of a quantity. */
const STARTS: Readonly<Record<Exclude<Quantity, 'count'>, readonly string[]>> = {
  length: ['a hundred meters', 'half a meter', 'a quarter of a meter', 'three quarters of a meter', 'a meter', 'a foot', 'zero point five meters', 'point five meters', 'minus one meter', 'minus two meters'],
  angle: ['a hundred degrees', 'half a turn', 'a half turn', 'a quarter turn', 'a quarter of a turn', 'a full turn', 'zero point five degrees', 'minus ninety degrees'],
  speed: ['half a meter per second', 'a meter per second', 'zero point five meters per second', 'point five meters per second'],
  duration: ['a minute', 'an hour', 'half an hour', 'half a minute', 'an hour and a half', 'a minute and a half', 'a quarter of an hour', 'a second'],
  fraction: ['half', 'a quarter', 'three quarters', 'a third', 'a hundred percent'],
}
/** How often a unit stands in the grammar: the others once. A unit that is likely is believed when it is mumbled; the numbers stay alike. */
const USUAL_UNITS: Readonly<Record<Exclude<Quantity, 'count'>, Readonly<Record<string, number>>>> = {
  length: { meters: 5, centimeters: 2 }, angle: { degrees: 3 }, speed: { 'meters per second': 4, 'centimeters per second': 2 }, duration: { minutes: 2, seconds: 2 }, fraction: { percent: 1 },
}

/** Recognisers' dictionaries are American; understanding takes both. */
const AMERICAN: Readonly<Record<string, string>> = { travelling: 'traveling', labelled: 'labeled', manoeuvre: 'maneuver', anticlockwise: 'counterclockwise' }
export const american = (text: string): string => text.split(' ').map((word) => Object.hasOwn(AMERICAN, word) ? AMERICAN[word]! : word.replace(/metre(s?)$/, 'meter$1')).join(' ')

const isPlural = (unit: string) => /s$|feet|percent/.test(unit.split(' ')[0]!)

/** Units of a kind, each as often as it is likely. */
function unitsOf(parser: Exclude<Quantity, 'count'>): readonly string[] { return UNITS[parser] }
const listUnits = (parser: Exclude<Quantity, 'count'>): string[] => {
  const plural = [...new Set(saidUnits(parser).map(american))].filter(isPlural)
  return plural.flatMap((unit) => Array.from({ length: USUAL_UNITS[parser][unit] ?? 1 }, () => unit))
}
const UNITS = { length: listUnits('length'), angle: listUnits('angle'), speed: listUnits('speed'), duration: listUnits('duration'), fraction: listUnits('fraction') }

const isQuantityParser = (parser: SlotParser): parser is Quantity => parser !== 'text' && parser !== 'words'

/** The n-th of the quantities of one number word: those of following n have each number, and each number with each unit, equally often. */
function simple(parser: Quantity, turn: number): string {
  const atom = ATOMS[turn % ATOMS.length]!
  if (parser === 'count') return atom
  const units = unitsOf(parser)
  return `${atom} ${units[(turn + Math.floor(turn / ATOMS.length)) % units.length]}`
}

/** Numbers of several words: between them each pair of neighbours once. */
const COMPOUNDS: readonly string[] = [
  ...TENS.flatMap((tens) => DIGITS.map((digit) => `${tens} ${digit}`)),
  ...DIGITS.map((digit) => `${digit} hundred`), 'a hundred', 'one thousand', 'two thousand',
  ...ATOMS.flatMap((atom, index) => [`${DIGITS[index % DIGITS.length]} hundred and ${atom}`, `${DIGITS[(index + 1) % DIGITS.length]} hundred ${atom}`]),
  ...ATOMS.flatMap((atom, index) => [`${atom} point ${DIGITS[index % DIGITS.length]}`, `${atom} and a half`]),
  ...DIGITS.flatMap((digit, index) => [`${DIGITS[(index + 3) % DIGITS.length]} point oh ${digit}`, `${DIGITS[(index + 5) % DIGITS.length]} point zero ${digit}`, `zero point ${digit}`, `point ${digit}`]),
  ...DIGITS.flatMap((digit) => DIGITS.map((next) => `${digit} point ${digit === next ? 'zero five' : `${digit} ${next}`}`)),
  ...DIGITS.flatMap((digit, index) => [`${digit} and a quarter`, `${digit} and three quarters`, `minus ${DIGITS[(index + 1) % DIGITS.length]}`]),
]

/** Values of one kind to stand in sentences, the n-th of them. */
export function quantitySample(parser: SlotParser, turn: number): string { return isQuantityParser(parser) ? simple(parser, turn) : '' }

/** Values of one kind that between them say all numbers and units. */
export function quantities(parser: SlotParser): string[] {
  if (!isQuantityParser(parser)) return []
  if (parser === 'count') return [...DIGITS, ...TEENS]
  const units = unitsOf(parser)
  // Each number as often with each unit: a pair that is in the grammar wins over one that is not, whatever was said.
  const atoms = ATOMS.flatMap((atom) => [...new Set(units)].map((unit) => `${atom} ${unit}`))
  const singular = [...new Set(saidUnits(parser).map(american))].filter((unit) => !isPlural(unit)).map((unit) => `one ${unit}`)
  const bare = parser === 'angle' ? ATOMS : []
  return [...STARTS[parser], ...atoms, ...singular, ...bare, ...COMPOUNDS.map((number, index) => `${number} ${units[index % units.length]}`)]
}

/** What may follow the word before a quantity: each number once, so that no number is likelier than another. */
export function beginnings(parser: SlotParser, before: string, turn: number): string[] {
  if (!isQuantityParser(parser)) return []
  if (parser === 'count') return [...DIGITS, ...TEENS].map((atom) => `${before} ${atom}`)
  const units = unitsOf(parser)
  return [...ATOMS.map((atom, index) => `${before} ${atom} ${units[(turn + index) % units.length]}`), ...STARTS[parser].map((start) => `${before} ${start}`)]
}

/** What may follow a quantity, behind each unit. */
export function endings(parser: SlotParser, after: string, turn: number): string[] {
  if (!isQuantityParser(parser) || parser === 'count') return []
  return [...new Set(unitsOf(parser))].map((unit, index) => `${ATOMS[(turn + index) % ATOMS.length]} ${unit} ${after}`)
}

const NUMBER = /\b(?:(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|point)\b ?)+/

/**
 * A sentence with its first number exchanged for the n-th of one word: sentences as people say them are to make their words
 * likely, not their numbers.
 */
export function withNumber(sentence: string, turn: number): string {
  return sentence.replace(NUMBER, (found) => `${ATOMS[turn % ATOMS.length]}${found.endsWith(' ') ? ' ' : ''}`)
}

/** Numbers alone, for answers. */
export const BARE_NUMBERS: readonly string[] = [...ATOMS, ...COMPOUNDS]
