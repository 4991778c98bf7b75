import type { AnswerKind } from '../contracts/intents.ts'
import { AGREES, answerCompleteness, DECLINES, type AnswerForm } from './answers.ts'
import { neighbours, phrases, type Phrase } from './expand.ts'
import type { SlotParser } from './graph.ts'
import { IGNORED, REST, type Catalogue } from './loader.ts'
import { numberWords } from './numbers.ts'
import { isQuantity } from './slots.ts'
import { american, BARE_NUMBERS, beginnings, endings, quantities, quantitySample, withNumber } from './spoken-numbers.ts'
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

const MAX_PHRASES = 14_000
const MOST_STOP_WORDS = 3
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

/** The grammar of all templates, at most 14,000 phrases. */
export function speechGrammar(catalogue: Catalogue): SpeechGrammar {
  const chosen = new Set<string>(['yes', 'no', 'confirm', 'affirmative', 'negative', 'go ahead', 'do it', 'correct', 'that is right'])
  for (const tail of TAILS) chosen.add(tail.join(' '))
  for (const parser of ['length', 'angle', 'speed', 'duration', 'fraction'] as const) for (const value of quantities(parser)) chosen.add(value)
  return cover(catalogue, chosen)
}

/** What declared types add to it: their sentences, the values of their choices, and words expected as answers; at most 14,000 phrases. */
export function declaredGrammar(catalogue: Catalogue, answers: readonly string[], goesOn: (lead: string) => boolean): SpeechGrammar {
  const choices = [...catalogue.slots.values()].flatMap((slots) => [...slots.values()]).flatMap(({ values: each = [] }) => each.map(String))
  const grammar = cover(catalogue, new Set([...choices, ...answers].map(inWords).slice(0, MAX_PHRASES / 2)))
  return { ...grammar, freeTextLeads: grammar.freeTextLeads.filter((lead) => !goesOn(lead)), lateLeads: grammar.freeTextLeads.filter(goesOn) }
}

/** Said beside a yes or a no, or in place of one: a recogniser of answers alone would hear a yes in each. */
const BESIDE_ANSWERS = [
  "don't", "don't do it", "don't confirm", 'not', 'not yet', 'never', 'if', 'when', 'unless', 'until', 'later', 'maybe', 'perhaps', 'but', 'and', 'or', 'he said', 'she said', 'they said', 'i',
  'you', 'he', 'she', 'they', 'we', 'it', 'who', 'what', 'why', 'how', 'now', 'then', 'there', 'this', 'the', 'a', 'is', 'was', 'will', 'would', 'could', 'said', 'say', 'word', 'wait', 'in', 'on', 'to', 'for',
  'that', 'turn', 'drive', 'some', 'us', 'conform', 'concern', 'firm', 'guess', 'less', 'yet', 'yesterday', 'chess', 'know', 'do', 'go', 'ahead',
] as const

/** What may be answered to a question, for a recogniser of its own; nothing where any words may. */
export function answerPhrases({ kind, values = [] }: AnswerForm): string[] {
  if (kind === 'text') return []
  return [...new Set([...answersOf(kind, values), 'cancel', 'stop'])]
}

function answersOf(kind: Exclude<AnswerKind, 'text'>, values: readonly string[]): string[] {
  if (isQuantity(kind)) return [...quantities(kind), ...BARE_NUMBERS]
  if (kind === 'choice') return values.map(inWords).flatMap((value) => [value, `the ${value}`, `the ${value} one please`, `${value} please`])
  return [...AGREES, ...DECLINES, ...BESIDE_ANSWERS]
}

/** As it is heard: numbers in words, American spelling. */
const inWords = (text: string) => american(tokenize(text).map(({ word }) => /^\d{1,2}$/.test(word) ? numberWords(Number(word)) : word).join(' '))

/** All numbers and units, beside each word that they may stand beside: what only some of them had, the recogniser would hear in the others too. */
function aroundNumbers({ templates }: Catalogue): Set<string> {
  const phrases = new Set<string>()
  const seen = new Set<string>()
  for (const { type, item } of templates) {
    if (type === IGNORED) continue
    for (const [one, other] of neighbours(item)) {
      const key = JSON.stringify([one, other])
      if (seen.has(key)) continue
      seen.add(key)
      if (typeof one === 'string' && typeof other !== 'string') for (const phrase of beginnings(other.parser, american(one), seen.size)) phrases.add(phrase)
      if (typeof one !== 'string' && typeof other === 'string') for (const phrase of endings(one.parser, american(other), seen.size)) phrases.add(phrase)
    }
  }
  return phrases
}

/** Always the phrase that brings most new pairs of words next (greedy set cover). */
function cover(catalogue: Catalogue, chosen: Set<string>): SpeechGrammar {
  const { candidates, leads } = candidatesOf(catalogue)
  const turns = new Map<SlotParser, number>()
  const next = (parser: SlotParser) => {
    const turn = turns.get(parser) ?? 0
    turns.set(parser, turn + 1)
    return quantitySample(parser, turn)
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
      const words = candidate.phrase.map((part) => typeof part === 'string' ? part : 'parser' in part ? next(part.parser) : '')
      chosen.add(american(words.join(' ').replace(/\s+/g, ' ').trim()))
    }
  }
  for (const phrase of aroundNumbers(catalogue)) if (chosen.size < MAX_PHRASES) chosen.add(phrase)
  // What is written in digits is said in words.
  const list = [...chosen].filter((phrase) => phrase !== '' && !/\d/.test(phrase))
  const words = new Set(list.flatMap((phrase) => phrase.split(' ')))
  const usual = catalogue.tests.map(({ say }, turn) => withNumber(american(say.toLowerCase().replaceAll(/[.,!?:]/g, '').trim()), turn))
  return {
    phrases: list, words: [...words].sort(),
    usual: [...new Set(usual)].filter((sentence) => sentence.split(' ').every((word) => words.has(word))),
    // "log" already opens what "log that" would.
    freeTextLeads: [...leads].filter((lead) => !lead.split(' ').some((_, index, words) => index > 0 && leads.has(words.slice(0, index).join(' ')))).sort(),
  }
}

/** What a recogniser is to expect as the answer to a question. */
export const expectedAnswer = (form: AnswerForm) => ({ completeness: (text: string) => answerCompleteness(form, text), phrases: answerPhrases(form) })
