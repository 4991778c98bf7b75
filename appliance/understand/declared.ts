import { MtorError, toMtorError } from '../contracts/errors.ts'
import { definitionOf, type DeclaredIntent, type DeclaredSlot } from '../contracts/handlers.ts'
import { phrases, type Phrase } from './expand.ts'
import { Graph, type SlotParser } from './graph.ts'
import { REST, resolve, type Catalogue, type Template } from './loader.ts'
import { Matcher } from './matcher.ts'
import { numberWords } from './numbers.ts'
import { describeSlots, type SlotInfo } from './slots.ts'
import { parseTemplate, TemplateProblem, type Item } from './template.ts'
import { tokenize } from './words.ts'

/** A declared type may bring this many steps once its sentences are written out, so that learning stays a matter of milliseconds. */
const MAX_NODES = 3_000

/** One declared type, ready to be matched by itself. */
export interface DeclaredType {
  declared: DeclaredIntent
  infos: Map<string, SlotInfo>
  templates: Template[]
  graph: Graph
}

/** Of each template, for examples and for a recogniser to expect. */
const USUAL_SAMPLES = 8

/** What stands in a sample for a value. */
const SAMPLES: Readonly<Record<SlotParser, string>> = { length: 'two metres', angle: 'ninety degrees', speed: 'half a metre per second', duration: 'ten minutes', fraction: 'thirty percent', count: 'three', words: 'delta', text: 'delta echo' }

/** A phrase as somebody would say it. */
export const sampleOf = (phrase: Phrase): string => phrase.flatMap((part) => typeof part === 'string' ? [part] : 'parser' in part ? [SAMPLES[part.parser]] : []).join(' ')
/** Sentences of a template, with values put in; at most `most`. */
export const samplesOf = (item: Item, most: number): string[] => [...new Set(phrases(item).map(sampleOf))].slice(0, most)

/** A word as it may be said: digits are written, but heard as words. */
const saidWord = (word: string): Item => {
  const spoken = /^\d{1,2}$/.test(word) ? numberWords(Number(word)) : undefined
  const literal: Item = { kind: 'word', word }
  return spoken === undefined ? literal : { kind: 'choice', rare: false, options: [literal, { kind: 'sequence', items: spoken.split(' ').map((each): Item => ({ kind: 'word', word: each })) }] }
}
const saidPhrase = (phrase: string): Item => ({ kind: 'sequence', items: tokenize(phrase).map(({ word }) => saidWord(word)) })

/** {place} alone is read as the slot was declared; digits may be said as words. */
function asDeclared(item: Item, slots: readonly DeclaredSlot[]): Item {
  const visit = (each: Item): Item => {
    if (each.kind === 'sequence') return { ...each, items: each.items.map(visit) }
    if (each.kind === 'choice') return { ...each, options: each.options.map(visit) }
    if (each.kind === 'word') return saidWord(each.word)
    if (each.kind !== 'slot' || each.as !== undefined) return each
    const kind = slots.find(({ name }) => name === each.slot)?.kind
    return kind === 'words' || kind === 'text' ? { ...each, as: kind } : each
  }
  return visit(item)
}

const noRules = () => undefined

function checkSlots({ slots }: DeclaredIntent): void {
  const names = new Set<string>()
  for (const { name, kind, values, minimum = -Infinity, maximum = Infinity } of slots) {
    const problem = name === REST ? 'is a reserved name' : names.has(name) ? 'is declared twice'
      : kind === 'choice' && !values?.length ? 'is a choice and needs values' : kind !== 'choice' && values ? `has values, but is no choice (${kind})`
        : values?.some((value) => tokenize(value).length === 0) ? 'has a value that cannot be said' : minimum > maximum ? `has its minimum ${minimum} above its maximum ${maximum}` : undefined
    if (problem) throw new TemplateProblem(`the slot ${name} ${problem}`, 0)
    names.add(name)
  }
}

/** Parses a declared type. @throws MtorError TEMPLATE_INVALID with the sentence and the place inside it. */
export function parseDeclared(declared: DeclaredIntent): DeclaredType {
  const { type, slots, sentences } = declared
  checkSlots(declared)
  const infos = describeSlots(definitionOf(declared).slots)
  const lists = new Map(slots.filter(({ kind }) => kind === 'choice').map(({ name, values = [] }) => [name, new Map(values.map((value) => [value, saidPhrase(value)]))]))
  const templates: Template[] = []
  const graph = new Graph()
  sentences.forEach((source, index) => {
    const place = (message: string, offset = 0) => new MtorError('TEMPLATE_INVALID', `“${source}”, character ${offset + 1}: ${message}`, { data: { sentence: index + 1, character: offset + 1 } })
    try {
      const item = resolve(asDeclared(parseTemplate(source, noRules), slots), infos, lists, (message) => { throw place(message) })
      graph.add(item, templates.length, parserOf)
      templates.push({ type, source, item, file: type, line: index + 1, column: 1 })
    } catch (error) { throw error instanceof TemplateProblem ? place(error.message, error.offset) : toMtorError(error, 'TEMPLATE_INVALID') }
    if (graph.nodes.length > MAX_NODES) throw place(`its sentences are too large together: more than ${MAX_NODES} steps once they are written out`)
  })
  return { declared, infos, templates, graph }
}

const parserOf = (_slot: string, as: string | undefined) => as as SlotParser

/** Sentences of all declared types together: matched where no sentence of the appliance is. Nothing is corrected in them: for these words nobody has listed the English words near them. */
export class Declared {
  readonly catalogue: Catalogue
  readonly matcher: Matcher
  readonly #types: ReadonlyMap<string, DeclaredType>

  /** @throws MtorError TEMPLATE_INVALID */
  constructor(declares: readonly DeclaredIntent[]) {
    const types = declares.map(parseDeclared)
    const templates = types.flatMap((each) => each.templates)
    const graph = new Graph()
    templates.forEach(({ item }, index) => graph.add(item, index, parserOf))
    this.#types = new Map(types.map((each) => [each.declared.type, each]))
    this.catalogue = {
      templates, unsure: [], never: [], slots: new Map(types.map(({ declared, infos }) => [declared.type, infos])),
      questions: new Map(types.map(({ declared: { type, slots } }) => [type, new Map(slots.flatMap(({ name, question }) => question === undefined ? [] : [[name, question] as const]))])),
      tests: Array.from({ length: USUAL_SAMPLES }, (_, turn) => templates.flatMap(({ type, item, file }) => samplesOf(item, USUAL_SAMPLES).slice(turn, turn + 1).map((say) => ({ say, type, slots: {}, file })))).flat(),
    }
    const typeOf = (template: number) => templates[template]!.type
    this.matcher = new Matcher(graph, { isUrgent: () => false, requiredOf: (template) => this.required(typeOf(template)), typeOf, corrects: false })
  }

  get(type: string): DeclaredIntent | undefined { return this.#types.get(type)?.declared }
  typeOf(template: number): string { return this.catalogue.templates[template]!.type }
  required(type: string): string[] { return this.get(type)?.slots.filter(({ required }) => required).map(({ name }) => name) ?? [] }
}
