import { fileURLToPath } from 'node:url'
import { MtorError } from '../contracts/errors.ts'
import type { DeclaredIntent } from '../contracts/handlers.ts'
import { INTENTS } from '../contracts/intents.ts'
import { changesState, isConsequential, isWondering } from './caution.ts'
import { checkDeclared, type DeclaredProblem } from './declared-check.ts'
import { Declared } from './declared.ts'
import { describe, describeDeclared } from './describe.ts'
import { declaredGrammar, speechGrammar, type SpeechGrammar } from './grammar.ts'
import { Graph } from './graph.ts'
import { IGNORED, loadCatalogue, parseCatalogue, type Catalogue } from './loader.ts'
import { Matcher } from './matcher.ts'
import { inOne, inPieces, type Pieces } from './pieces.ts'
import type { Completeness, Meaning, Understanding } from './port.ts'
import { Proposer } from './proposer.ts'
import type { SlotInfo } from './slots.ts'
import { stopCandidates } from './stops.ts'
import { TemplateProblem } from './template.ts'

export type { DeclaredProblem } from './declared-check.ts'
export type { Completeness, Doubt, Meaning, Understanding } from './port.ts'
export { answerPhrases, expectedAnswer, type SpeechGrammar } from './grammar.ts'
export { answerCompleteness, isAgreement, type AnswerForm } from './answers.ts'
export { Asking, type Answer, type Asked } from './asking.ts'
export { Dialogue, type DialogueAct } from './dialogue.ts'
export { describe } from './describe.ts'
export { isNumberWord } from './numbers.ts'
export { isUnitWord } from './quantities.ts'
export { isPolite } from './words.ts'
export { runUnderstand, scoreFile } from './score.ts'

/** What an operator may say of one type. */
export interface TypeDescription { type: string; title: string; examples: string[]; slots: Record<string, Omit<SlotInfo, 'accepts' | 'kind'>> }

export interface UnderstanderOptions {
  /** Further folders of intent files. */
  directories?: readonly string[]
  /** Names of the sequences that can be run. */
  sequences?: readonly string[]
  /** Where the trained proposer is kept; left out, it is trained anew in each process that asks for proposals. */
  cacheDirectory?: string
}

const OWN_FILES = fileURLToPath(new URL('./intents/en/', import.meta.url))
const NO_SLOTS: ReadonlyMap<string, SlotInfo> = new Map()
const elapsedMs = (since: number) => Math.round((performance.now() - since) * 1000) / 1000

/** Text to intent. Only what a template matches may act; a proposal is a question to the operator. */
export class Understander {
  readonly catalogue: Catalogue
  readonly #graph: Graph
  readonly #matcher: Matcher
  readonly #proposer: Proposer
  readonly #freeText = new Set<string>()
  /** Of the handlers, in place of what was learned before. */
  #declared = new Declared([])

  private constructor(catalogue: Catalogue, graph: Graph, cacheDirectory: string | undefined) {
    const { templates } = catalogue
    const typeOf = (template: number) => templates[template]!.type
    this.catalogue = catalogue
    this.#graph = graph
    graph.nodes.forEach(({ slots, template }) => slots.forEach(({ slot, parser }) => { if (parser === 'text' && template >= 0) this.#freeText.add(`${typeOf(template)} ${slot}`) }))
    this.#matcher = new Matcher(graph, { isUrgent: (template) => typeOf(template) === 'stop', requiredOf: (template) => this.#required(typeOf(template)), typeOf })
    this.#proposer = new Proposer(catalogue, cacheDirectory)
  }

  static *#graphOf({ templates }: Catalogue): Pieces<Graph> {
    const graph = new Graph()
    const place = (index: number) => { const { file, line, column } = templates[index]!; return `${file}:${line}:${column}` }
    for (const [index, { item, file, line, column }] of templates.entries()) {
      try { graph.add(item, index, (slot, as) => as === undefined ? unresolved(slot) : as as never) } catch (error) {
        if (error instanceof TemplateProblem) throw new MtorError('TEMPLATE_INVALID', `${place(index)}: ${error.message}`, { data: { file, line, column } })
        throw error
      }
      yield
    }
    const typeOf = (template: number) => templates[template]!.type
    const clash = graph.ambiguity(typeOf)
    if (clash) {
      const [one, other] = clash.templates.toSorted((a, b) => a - b) as [number, number]
      throw new MtorError('TEMPLATE_INVALID', `${place(other)}: "${clash.sentence}" is ambiguous: ${typeOf(other)} here, ${typeOf(one)} at ${place(one)}`, { data: { sentence: clash.sentence } })
    }
    return graph
  }

  /** Reads our intent files and those of further folders, in pieces that keep nobody waiting. Throws TEMPLATE_INVALID with file, line and column. */
  static async load(options: UnderstanderOptions = {}): Promise<Understander> {
    const catalogue = await loadCatalogue([OWN_FILES, ...options.directories ?? []], { sequence: options.sequences ?? ['square'] })
    return new Understander(catalogue, await inPieces(Understander.#graphOf(catalogue)), options.cacheDirectory)
  }

  /** The same from texts in memory, without our own files. */
  static parse(sources: readonly { file: string; text: string }[], options: Omit<UnderstanderOptions, 'directories'> = {}): Understander {
    const catalogue = parseCatalogue(sources, { sequence: options.sequences ?? ['square'] })
    return new Understander(catalogue, inOne(Understander.#graphOf(catalogue)), options.cacheDirectory)
  }

  /**
   * From now on these types' sentences are matched too, where none of our own files' is: in place of what was learned
   * before. Takes some milliseconds. @throws MtorError TEMPLATE_INVALID, and what was learned before stays
   */
  learn(declares: readonly DeclaredIntent[]): void { this.#declared = new Declared(declares) }

  /** What is wrong with declared types, `others` being those that stay in force beside them. Learns nothing. */
  checkDeclared(declares: readonly DeclaredIntent[], others: readonly DeclaredIntent[] = []): DeclaredProblem[] {
    const typeOf = (template: number) => this.#typeOf(template)
    return checkDeclared(declares, others, { graph: this.#graph, matcher: this.#matcher, typeOf, meaningOf: (text) => this.#ownMeaning(text)?.type })
  }

  /** What our own sentences make of the text; IGNORED where that is known to mean nothing. */
  #ownMeaning(text: string) {
    const typed = (sentence: string) => { const match = this.#matcher.match(sentence); return match && { ...match, type: this.#typeOf(match.template) } }
    const match = typed(text)
    if (match && match.type !== IGNORED) return match
    for (const piece of stopCandidates(text)) {
      const found = piece === text ? undefined : typed(piece)
      if (found?.type === 'stop') return found
    }
    return match
  }

  /** Our own sentences come first, so that nothing a handler declares can change what they mean. */
  #meaning(text: string) {
    const own = this.#ownMeaning(text)
    const match = own ? undefined : this.#declared.matcher.match(text)
    return match ? { ...match, type: this.#declared.typeOf(match.template) } : own
  }

  /**
   * What a template makes of the text: by 'template', or null; by 'proposal' where something that moves was put as a
   * question, or where the words can be read in two ways. A text no template takes whole is a stop when one of its sentences is ("Stop! There is a man in front of you.").
   * Never throws, well under a millisecond for a sentence.
   */
  match(text: string): Understanding {
    const since = performance.now()
    const match = this.#meaning(text)
    if (!match || match.type === IGNORED) return { text, by: null, type: null, slots: {}, missing: [], confidence: 0, ms: elapsedMs(since) }
    const { type, slots, confidence } = match
    const missing = this.#required(type).filter((slot) => !(slot in slots))
    const factors = missing.some((slot) => slot in match.factors) ? { factors: match.factors } : {}
    const asks = type !== 'stop' && (match.doubtful || isWondering(text, type, this.#declared.get(type)?.actuates))
    const meaning = asks ? { by: 'proposal' as const, question: this.describe(type, slots, match.factors) } : { by: 'template' as const }
    return { text, ...meaning, type, slots, missing, ...factors, confidence, ms: elapsedMs(since) }
  }

  /** What a sentence asks for, to tell it from another; undefined where nothing matches. */
  meaning(text: string): Meaning | undefined {
    const { type, slots, factors = {} } = this.match(text)
    return type === null ? undefined : { type, key: JSON.stringify([type, Object.entries(slots).sort(), factors]), isConsequential: this.isConsequential(type) || Object.values(slots).some((value) => typeof value === 'number') }
  }

  /** What the text might mean: by 'proposal' with a question to ask, or null. The first call loads or trains the proposer. Declared types are never proposed: the proposer is not trained on them. */
  async propose(text: string): Promise<Understanding> {
    const since = performance.now()
    // What the files say means nothing is not asked about either.
    const proposal = this.#ownMeaning(text)?.type === IGNORED ? undefined : await this.#proposer.propose(text)
    if (!proposal) return { text, by: null, type: null, slots: {}, missing: [], confidence: 0, ms: elapsedMs(since) }
    const missing = this.#required(proposal.type).filter((slot) => !(slot in proposal.slots))
    return { text, by: 'proposal', ...proposal, missing, question: describe(proposal.type, proposal.slots, proposal.factors), ms: elapsedMs(since) }
  }

  /** Loads or trains the proposer ahead of the first proposal. Throws ENGINE_MISSING where that cannot be done. */
  prepareProposals(): Promise<void> { return this.#proposer.prepare() }

  /** Ends a training that is under way. */
  stop() { this.#proposer.stop() }

  /** A template's answer; where no template matches, a proposal. */
  async understand(text: string): Promise<Understanding> {
    const matched = this.match(text)
    return matched.by ? matched : this.propose(text)
  }

  /** How far a transcript has come, for deciding how long a silence ends it. */
  completeness(text: string): Completeness {
    const own = this.#matcher.completeness(text)
    const declared = this.#declared.matcher.completeness(text)
    // Our own sentence comes first where both take the text; an emergency stop is not even waited with.
    if (declared === 'nothing' || (own === 'complete' && (declared !== 'prefix' || this.#ownMeaning(text)?.type === 'stop'))) return own
    return own === 'nothing' || own === declared ? declared : 'extendable'
  }

  /** A request in words, such as "turn left by 90 degrees". */
  describe(type: string, slots: Readonly<Record<string, unknown>>, factors: Readonly<Record<string, number>> = {}): string {
    const declared = this.#declared.get(type)
    return declared ? describeDeclared(declared, slots) : describe(type, slots, factors)
  }

  /** True for what moves something, lets something move, or must be confirmed, of ours and of what is declared. */
  isConsequential(type: string): boolean {
    const declared = this.#declared.get(type)
    return isConsequential(type) || declared?.actuates === true || declared?.hazardous === true
  }

  /** True for what leaves something changed. */
  changesState(type: string): boolean { return changesState(type) }

  /** True for a type that takes the operator's own words: two readings of those always differ. */
  takesFreeText(type: string): boolean { return [...this.#infosOf(type).keys()].some((slot) => this.isFreeText(type, slot)) }

  /** True for a slot that takes any text to the end, a command among it: "take a note" … "turn left at the big rock". */
  isFreeText(type: string, slot: string): boolean {
    return this.#freeText.has(`${type} ${slot}`) || this.#declared.get(type)?.slots.some(({ name, kind }) => name === slot && kind === 'text') === true
  }

  /** The question that asks for a slot. */
  questionFor(type: string, slot: string): string { return (this.#declared.catalogue.questions.get(type) ?? this.catalogue.questions.get(type))?.get(slot) ?? `What is the ${inWords(slot)}?` }

  slotInfo(type: string, slot: string): SlotInfo | undefined { return this.#infosOf(type).get(slot) }

  /** Every type that has templates, ours and the declared ones, with sentences to say. */
  types(): TypeDescription[] {
    const described = (type: string, title: string, { slots, tests }: Catalogue): TypeDescription => ({
      type, title,
      examples: tests.filter((test) => test.type === type).slice(0, 3).map((test) => test.say),
      slots: Object.fromEntries([...slots.get(type)!].map(([name, { accepts: _, kind: __, ...info }]) => [name, info])),
    })
    const declared = this.#declared.catalogue
    return [
      ...INTENTS.filter(({ type }) => this.catalogue.slots.has(type)).map(({ type, title }) => described(type, title, this.catalogue)),
      ...[...declared.slots.keys()].map((type) => described(type, this.#declared.get(type)!.title, declared)),
    ]
  }

  /** Sentences for a speech recogniser's grammar: our own. */
  speechGrammar(): SpeechGrammar { return speechGrammar(this.catalogue) }

  /** The same for what is declared, and the words that are expected as answers. */
  learnedGrammar(answers: readonly string[] = []): SpeechGrammar {
    return declaredGrammar(this.#declared.catalogue, answers, (lead) => this.#matcher.completeness(lead) !== 'nothing')
  }

  #infosOf(type: string): ReadonlyMap<string, SlotInfo> { return this.#declared.catalogue.slots.get(type) ?? this.catalogue.slots.get(type) ?? NO_SLOTS }

  #typeOf(template: number): string { return this.catalogue.templates[template]!.type }

  #required(type: string): string[] {
    return this.#declared.get(type) ? this.#declared.required(type) : [...this.catalogue.slots.get(type) ?? []].filter(([, info]) => info.required).map(([name]) => name)
  }
}

/** "doorName" as it is said. */
const inWords = (slot: string) => slot.replace(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)

function unresolved(slot: string): never { throw new MtorError('INTERNAL', `slot ${slot} was not resolved`) }
