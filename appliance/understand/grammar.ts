import { AGREES, DECLINES, type AnswerForm } from './answers.ts'
import { phrases, type Phrase } from './expand.ts'
import type { SlotParser } from './graph.ts'
import { IGNORED, REST, type Catalogue } from './loader.ts'
import { numberWords } from './numbers.ts'
import { isQuantity } from './slots.ts'
import { TAILS, tokenize } from './words.ts'

/** What a recogniser is to expect. */
export interface SpeechGrammar {
  /** Sentences; between them they hold every pair of words the templates can say, and numbers beside units. */
  phrases: string[]
  /** Every word of the phrases, sorted. */
  words: string[]
  /** Beginnings after which anything may be said: what follows is decoded with an open vocabulary. */
  freeTextLeads: string[]
  /** The same, where other sentences go on from there too: only once what was said is none of these. */
  lateLeads?: string[]
  /** Sentences as people say them (the tests of the intent files), in words of the grammar: likelier than what templates merely allow. */
  usual: string[]
}

const MAX_PHRASES = 4_000
const MOST_STOP_WORDS = 3
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
  ...DIGITS.map((digit) => `${digit} and a half`), 'one and a quarter', 'ten and a half',
]
const UNITS: Readonly<Partial<Record<SlotParser, readonly string[]>>> = {
  length: ['meters', 'centimeters', 'feet', 'meters', 'meters'], angle: ['degrees'], speed: ['meters per second', 'meters per second', 'centimeters per second', 'kilometers per hour'],
  duration: ['minutes', 'seconds', 'hours'], fraction: ['percent'], count: [''],
}
const SPECIAL: Readonly<Partial<Record<SlotParser, readonly string[]>>> = {
  length: ['minus one meter', 'minus two meters', 'one meter', 'a meter', 'half a meter', 'one and a half meters', 'a meter and a half', 'three quarters of a meter', 'a quarter of a meter', 'one foot', 'one centimeter'],
  angle: ['minus ninety degrees', 'a quarter turn', 'half a turn', 'a half turn', 'one full turn', 'a full turn', 'ninety', 'forty five', 'one degree'],
  speed: ['one meter per second', 'half a meter per second', 'a meter per second', 'zero point five meters per second'],
  duration: ['one minute', 'a minute', 'half an hour', 'an hour', 'one hour', 'an hour and a half', 'three minutes and twenty seconds', 'two and a half minutes', 'one second', 'thirty seconds', 'one hour and ten minutes'],
  fraction: ['half', 'a quarter', 'three quarters', 'one percent', 'one hundred percent'],
}

/** Values of one kind, in an order that mixes numbers and units. */
function valuesOf(parser: SlotParser): string[] {
  const units = UNITS[parser] ?? ['']
  const numbers = parser === 'count' ? [...DIGITS, ...TEENS] : NUMBERS
  return [...SPECIAL[parser] ?? [], ...numbers.map((number, index) => `${number} ${units[index % units.length]}`.trim())]
}

const isOpen = (part: Phrase[number] | undefined) => part !== undefined && typeof part !== 'string' && 'parser' in part && (part.parser === 'text' || part.parser === 'words')
/** What is thrown away need not be decoded with an open vocabulary. */
const isRest = (part: Phrase[number] | undefined) => part !== undefined && typeof part !== 'string' && 'slot' in part && part.slot === REST
const spoken = (phrase: Phrase) => phrase.filter((part) => typeof part === 'string' || 'parser' in part)
const isLiteral = (phrase: Phrase) => phrase.every((part) => typeof part === 'string')

/** A phrase that may be taken, with the pairs of neighbouring words it brings. */
interface Candidate { phrase: Phrase; pairs: string[] }

/** "<" and ">" stand for the ends, "{length}" for a value. */
function pairsOf(phrase: Phrase): string[] {
  const names = ['<', ...phrase.map((part) => typeof part === 'string' ? part : 'parser' in part ? `{${part.parser}}` : ''), '>']
  return [...new Set(names.slice(1).map((name, index) => `${names[index]} ${name}`))]
}

/** Beginnings of sentences that can be told in advance, and where free text takes over from them. */
function candidatesOf(catalogue: Catalogue): { candidates: Candidate[]; leads: Set<string> } {
  const candidates = new Map<string, Candidate>()
  const leads = new Set<string>()
  const add = (phrase: Phrase) => {
    const pairs = pairsOf(phrase)
    const key = pairs.join('|')
    if (!candidates.has(key)) candidates.set(key, { phrase, pairs })
  }
  for (const mixed of [false, true]) {
    for (const { type, item } of catalogue.templates) {
      if (type === IGNORED) continue
      for (const phrase of phrases(item, mixed).map(spoken)) {
        // The stop word is spotted by itself at all times; what else is shouted around it needs no room here.
        if (type === 'stop' && phrase.length > MOST_STOP_WORDS) continue
        const open = phrase.findIndex(isOpen)
        if (open < 0) { add(phrase); continue }
        const before = phrase.slice(0, open)
        if (before.length === 0) continue
        // Open to the end: a lead. Something said after the open part ("set a … timer") cannot be switched over to.
        const toTheEnd = open === phrase.length - 1 || isOpen(phrase.at(-1))
        if (toTheEnd && !isRest(phrase[open]) && isLiteral(before) && (before.length > 1 || open === phrase.length - 1)) leads.add(american(before.join(' ')))
        if (toTheEnd) add(before)
      }
    }
  }
  return { candidates: [...candidates.values()], leads }
}

/** The grammar of all templates, at most 4,000 phrases. */
export function speechGrammar(catalogue: Catalogue): SpeechGrammar {
  const chosen = new Set<string>(['yes', 'no', 'confirm', 'affirmative', 'negative', 'go ahead', 'do it', 'correct', 'that is right'])
  for (const tail of TAILS) chosen.add(tail.join(' '))
  for (const parser of ['length', 'angle', 'speed', 'duration', 'fraction'] as const) for (const value of valuesOf(parser)) chosen.add(value)
  return cover(catalogue, chosen)
}

/** What declared types add to it: their sentences, the values of their choices, and words expected as answers; at most 4,000 phrases. */
export function declaredGrammar(catalogue: Catalogue, answers: readonly string[], goesOn: (lead: string) => boolean): SpeechGrammar {
  const choices = [...catalogue.slots.values()].flatMap((slots) => [...slots.values()]).flatMap(({ values: each = [] }) => each.map(String))
  const grammar = cover(catalogue, new Set([...choices, ...answers].map(inWords).slice(0, MAX_PHRASES / 2)))
  return { ...grammar, freeTextLeads: grammar.freeTextLeads.filter((lead) => !goesOn(lead)), lateLeads: grammar.freeTextLeads.filter(goesOn) }
}

/** What may be answered to a question, for a recogniser of its own; nothing where any words may. */
export function answerPhrases({ kind, values = [] }: AnswerForm): string[] {
  const forms = isQuantity(kind) ? [...valuesOf(kind), ...NUMBERS] : kind === 'choice' ? values.map(inWords).flatMap((value) => [value, `the ${value}`, `the ${value} one please`, `${value} please`]) : kind === 'text' ? [] : [...AGREES, ...DECLINES]
  return forms.length === 0 ? [] : [...new Set([...forms, 'cancel', 'stop'])]
}

/** As it is heard: numbers in words, American spelling. */
const inWords = (text: string) => american(tokenize(text).map(({ word }) => /^\d{1,2}$/.test(word) ? numberWords(Number(word)) : word).join(' '))

/** Always the phrase that brings most new pairs of words next (greedy set cover). */
function cover(catalogue: Catalogue, chosen: Set<string>): SpeechGrammar {
  const { candidates, leads } = candidatesOf(catalogue)
  const cursors = new Map<SlotParser, { list: string[]; at: number }>()
  const next = (parser: SlotParser) => {
    let cursor = cursors.get(parser)
    if (!cursor) cursors.set(parser, cursor = { list: valuesOf(parser), at: 0 })
    return cursor.list[cursor.at++ % cursor.list.length]!
  }
  const taken = new Set<string>()
  const byGain: Candidate[][] = []
  const put = (candidate: Candidate, gain: number) => (byGain[gain] ??= []).push(candidate)
  for (const candidate of candidates) put(candidate, candidate.pairs.length)
  for (let gain = byGain.length - 1; gain > 0; gain--) {
    // Grows while it is walked only below the present gain, since a gain never rises.
    for (const candidate of byGain[gain] ?? []) {
      if (chosen.size >= MAX_PHRASES - 3) break
      const fresh = candidate.pairs.filter((pair) => !taken.has(pair))
      if (fresh.length < gain) { put(candidate, fresh.length); continue }
      for (const pair of fresh) taken.add(pair)
      // A number after new words is said in several ways, so that more numbers follow those words in the grammar.
      const turns = fresh.some((pair) => pair.endsWith('}')) ? 3 : 1
      for (let turn = 0; turn < turns; turn++) chosen.add(american(candidate.phrase.map((part) => typeof part === 'string' ? part : 'parser' in part ? next(part.parser) : '').join(' ').replace(/\s+/g, ' ').trim()))
    }
  }
  // What is written in digits is said in words.
  const list = [...chosen].filter((phrase) => phrase !== '' && !/\d/.test(phrase))
  const words = new Set(list.flatMap((phrase) => phrase.split(' ')))
  const usual = catalogue.tests.map(({ say }) => american(say.toLowerCase().replaceAll(/[.,!?:]/g, '').trim()))
  return {
    phrases: list, words: [...words].sort(),
    usual: [...new Set(usual)].filter((sentence) => sentence.split(' ').every((word) => words.has(word))),
    // "log" already opens what "log that" would.
    freeTextLeads: [...leads].filter((lead) => !lead.split(' ').some((_, index, words) => index > 0 && leads.has(words.slice(0, index).join(' ')))).sort(),
  }
}
