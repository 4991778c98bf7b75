import { phrases, type Phrase } from './expand.ts'
import type { SlotParser } from './graph.ts'
import { IGNORED, type Catalogue } from './loader.ts'
import { TAILS } from './words.ts'

/** What a recogniser is to expect. */
export interface SpeechGrammar {
  /** Sentences; between them they hold every pair of words the templates can say, and numbers beside units. */
  phrases: string[]
  /** Every word of the phrases, sorted. */
  words: string[]
  /** Beginnings after which anything may be said: what follows is decoded with an open vocabulary. */
  freeTextLeads: string[]
}

const MAX_PHRASES = 3_000
/** Recognisers' dictionaries are American; understanding takes both. */
const AMERICAN: Readonly<Record<string, string>> = { metre: 'meter', metres: 'meters', centimetre: 'centimeter', centimetres: 'centimeters', millimetre: 'millimeter', millimetres: 'millimeters',
  kilometre: 'kilometer', kilometres: 'kilometers', travelling: 'traveling', labelled: 'labeled', manoeuvre: 'maneuver', anticlockwise: 'counterclockwise' }
const american = (text: string) => text.split(' ').map((word) => Object.hasOwn(AMERICAN, word) ? AMERICAN[word]! : word).join(' ')

const DIGITS = 'one two three four five six seven eight nine'.split(' ')
const TEENS = 'ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'.split(' ')
const TENS = 'twenty thirty forty fifty sixty seventy eighty ninety'.split(' ')
/** Numbers whose word pairs build all others up to 999, with decimals and halves. */
const NUMBERS: readonly string[] = [
  ...DIGITS, ...TEENS, ...TENS,
  ...TENS.flatMap((tens, index) => [`${tens} ${DIGITS[index % 9]}`, `${tens} ${DIGITS[(index + 4) % 9]}`]),
  ...DIGITS.map((digit, index) => `${digit} hundred and ${TENS[index % 8]}`), ...TENS.map((tens) => `one hundred and ${tens} five`), ...DIGITS.map((digit) => `one hundred and ${digit}`), 'a hundred', 'two hundred',
  ...TENS.map((tens, index) => `${DIGITS[index]} hundred ${tens}`),
  ...DIGITS.map((digit, index) => `${DIGITS[(index + 2) % 9]} point ${digit}`), 'zero point five', 'zero point two', 'ten point five', 'one point two five',
  ...DIGITS.map((digit) => `${digit} and a half`), 'one and a quarter', 'ten and a half', 'minus one', 'minus two', 'minus ten',
]
const UNITS: Readonly<Partial<Record<SlotParser, readonly string[]>>> = {
  length: ['meters', 'centimeters', 'feet', 'meters', 'meters'], angle: ['degrees'], speed: ['meters per second', 'meters per second', 'centimeters per second', 'kilometers per hour'],
  duration: ['minutes', 'seconds', 'hours'], fraction: ['percent'], count: [''],
}
const SPECIAL: Readonly<Partial<Record<SlotParser, readonly string[]>>> = {
  length: ['one meter', 'a meter', 'half a meter', 'one and a half meters', 'a meter and a half', 'three quarters of a meter', 'a quarter of a meter', 'one foot', 'one centimeter'],
  angle: ['a quarter turn', 'half a turn', 'a half turn', 'one full turn', 'a full turn', 'ninety', 'forty five', 'one degree'],
  speed: ['one meter per second', 'half a meter per second', 'a meter per second', 'zero point five meters per second'],
  duration: ['one minute', 'a minute', 'half an hour', 'an hour', 'one hour', 'an hour and a half', 'three minutes and twenty seconds', 'two and a half minutes', 'one second', 'thirty seconds', 'one hour and ten minutes'],
  fraction: ['half', 'a quarter', 'three quarters', 'one percent', 'one hundred percent'],
}

/** Values of one kind, in an order that mixes numbers and units. */
function values(parser: SlotParser): string[] {
  const units = UNITS[parser] ?? ['']
  const numbers = parser === 'count' ? [...DIGITS, ...TEENS] : NUMBERS
  return [...SPECIAL[parser] ?? [], ...numbers.map((number, index) => `${number} ${units[index % units.length]}`.trim())]
}

const isFree = (phrase: Phrase) => phrase.some((part) => typeof part !== 'string' && 'parser' in part && (part.parser === 'text' || part.parser === 'words'))
const spoken = (phrase: Phrase) => phrase.filter((part) => typeof part === 'string' || 'parser' in part)

/** Builds the grammar from all templates: the fewest sentences with every pair of neighbouring words, at most 3,000. */
export function speechGrammar(catalogue: Catalogue): SpeechGrammar {
  const chosen = new Set<string>()
  const leads = new Set<string>()
  const pairs = new Set<string>()
  const cursors = new Map<SlotParser, { list: string[]; at: number }>()
  const next = (parser: SlotParser) => {
    let cursor = cursors.get(parser)
    if (!cursor) cursors.set(parser, cursor = { list: values(parser), at: 0 })
    return cursor.list[cursor.at++ % cursor.list.length]!
  }
  const add = (phrase: Phrase) => {
    const say = () => american(phrase.map((part) => typeof part === 'string' ? part : 'parser' in part ? next(part.parser) : '').join(' ').replace(/\s+/g, ' ').trim())
    // A slot after new words gets several values, so that numbers follow those words in the grammar.
    const turns = phrase.some((part) => typeof part !== 'string') ? 4 : 1
    for (let turn = 0; turn < turns && chosen.size < MAX_PHRASES; turn++) chosen.add(say())
  }
  const bySaying = catalogue.templates.filter(({ type }) => type !== IGNORED).map(({ item }) => phrases(item).map(spoken))
  const isNew = (phrase: Phrase) => {
    const names = ['<', ...phrase.map((part) => typeof part === 'string' ? part : 'parser' in part ? `{${part.parser}}` : ''), '>']
    const fresh = names.slice(1).map((name, index) => `${names[index]} ${name}`).filter((pair) => !pairs.has(pair))
    for (const pair of fresh) pairs.add(pair)
    return fresh.length > 0
  }
  for (const list of bySaying) {
    for (const phrase of list) {
      if (phrase.length === 0) continue
      if (isFree(phrase)) {
        const open = phrase.findIndex((part) => typeof part !== 'string')
        // Only words before the first open slot can be a lead; "set a timer for {duration} called {name}" stays a phrase.
        if (phrase.slice(0, open).length > 0 && 'parser' in (phrase[open] as object) && /^(text|words)$/.test((phrase[open] as { parser: string }).parser)) leads.add(american(phrase.slice(0, open).join(' ')))
        const before = phrase.slice(0, phrase.findIndex((part) => typeof part !== 'string' && 'parser' in part && (part.parser === 'text' || part.parser === 'words')))
        if (before.length > 0 && isNew(before)) add(before)
      } else if (isNew(phrase)) add(phrase)
    }
  }
  for (const parser of ['length', 'angle', 'speed', 'duration', 'fraction'] as const) for (const value of values(parser)) if (chosen.size < MAX_PHRASES) chosen.add(value)
  for (const word of ['yes', 'no', 'confirm', 'cancel', 'go ahead', 'do it', 'correct', ...TAILS.map((tail) => tail.join(' '))]) if (chosen.size < MAX_PHRASES) chosen.add(word)
  const list = [...chosen].filter(Boolean)
  return { phrases: list, words: [...new Set(list.flatMap((phrase) => phrase.split(' ')))].sort(), freeTextLeads: [...leads].sort() }
}
