import { fileURLToPath } from 'node:url'
import { MtorError } from '../contracts/errors.ts'
import { INTENTS } from '../contracts/intents.ts'
import { isWondering } from './caution.ts'
import { describe } from './describe.ts'
import { speechGrammar, type SpeechGrammar } from './grammar.ts'
import { Graph } from './graph.ts'
import { IGNORED, loadCatalogue, parseCatalogue, type Catalogue } from './loader.ts'
import { Matcher, type Match } from './matcher.ts'
import type { Completeness, Understanding } from './port.ts'
import { Proposer } from './proposer.ts'
import type { SlotInfo } from './slots.ts'
import { TemplateProblem } from './template.ts'

export type { Completeness, Understanding } from './port.ts'
export type { SpeechGrammar } from './grammar.ts'
export { Dialogue, type DialogueAct } from './dialogue.ts'
export { describe } from './describe.ts'
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
/** Sentences of a text, at most as many as a shout has. */
const sentencesOf = (text: string) => text.slice(0, 200).split(/[.!?\n]+/).slice(0, 12).filter((each) => each.trim() !== '')

const elapsedMs = (since: number) => Math.round((performance.now() - since) * 1000) / 1000

/** Text to intent. Only what a template matches may act; a proposal is a question to the operator. */
export class Understander {
  readonly catalogue: Catalogue
  readonly #matcher: Matcher
  readonly #proposer: Proposer
  readonly #freeText = new Set<string>()

  private constructor(catalogue: Catalogue, cacheDirectory: string | undefined) {
    const graph = new Graph()
    const { templates } = catalogue
    const place = (index: number) => { const { file, line, column } = templates[index]!; return `${file}:${line}:${column}` }
    templates.forEach(({ item, file, line, column }, index) => {
      try { graph.add(item, index, (slot, as) => as === undefined ? unresolved(slot) : as as never) } catch (error) {
        if (error instanceof TemplateProblem) throw new MtorError('TEMPLATE_INVALID', `${place(index)}: ${error.message}`, { data: { file, line, column } })
        throw error
      }
    })
    const typeOf = (template: number) => templates[template]!.type
    const clash = graph.ambiguity(typeOf)
    if (clash) {
      const [one, other] = clash.templates.toSorted((a, b) => a - b) as [number, number]
      throw new MtorError('TEMPLATE_INVALID', `${place(other)}: "${clash.sentence}" is ambiguous: ${typeOf(other)} here, ${typeOf(one)} at ${place(one)}`, { data: { sentence: clash.sentence } })
    }
    this.catalogue = catalogue
    graph.nodes.forEach(({ slots, template }) => slots.forEach(({ slot, parser }) => { if (parser === 'text' && template >= 0) this.#freeText.add(`${typeOf(template)} ${slot}`) }))
    this.#matcher = new Matcher(graph, { isUrgent: (template) => typeOf(template) === 'stop', requiredOf: (template) => this.#required(typeOf(template)), typeOf })
    this.#proposer = new Proposer(catalogue, cacheDirectory)
  }

  /** Reads our intent files and those of further folders. Throws TEMPLATE_INVALID with file, line and column. */
  static async load(options: UnderstanderOptions = {}): Promise<Understander> {
    return new Understander(await loadCatalogue([OWN_FILES, ...options.directories ?? []], { sequence: options.sequences ?? ['square'] }), options.cacheDirectory)
  }

  /** The same from texts in memory, without our own files. */
  static parse(sources: readonly { file: string; text: string }[], options: Omit<UnderstanderOptions, 'directories'> = {}): Understander {
    return new Understander(parseCatalogue(sources, { sequence: options.sequences ?? ['square'] }), options.cacheDirectory)
  }

  /**
   * What a template makes of the text: by 'template', or null; by 'proposal' where something that moves was put as a
   * question. A text no template takes whole is a stop when one of its sentences is ("Stop! There is a man in front of you.").
   * Never throws, well under a millisecond.
   */
  match(text: string): Understanding {
    const since = performance.now()
    let match = this.#matcher.match(text)
    if (!match && /[.!?\n]\s*\S/.test(text)) match = sentencesOf(text).map((each) => this.#matcher.match(each)).find((each) => each && this.#typeOf(each) === 'stop')
    const type = match && this.#typeOf(match)
    if (!match || !type || type === IGNORED) return { text, by: null, type: null, slots: {}, missing: [], confidence: 0, ms: elapsedMs(since) }
    const missing = this.#required(type).filter((slot) => !(slot in match.slots))
    const factors = missing.some((slot) => slot in match.factors) ? { factors: match.factors } : {}
    const { slots, confidence } = match
    const meaning = isWondering(text, type) ? { by: 'proposal' as const, question: describe(type, slots, match.factors) } : { by: 'template' as const }
    return { text, ...meaning, type, slots, missing, ...factors, confidence, ms: elapsedMs(since) }
  }

  /** What the text might mean: by 'proposal' with a question to ask, or null. The first call loads or trains the proposer. */
  async propose(text: string): Promise<Understanding> {
    const since = performance.now()
    // What the files say means nothing is not asked about either.
    const ignored = this.#matcher.match(text)
    const proposal = ignored && this.#typeOf(ignored) === IGNORED ? undefined : await this.#proposer.propose(text)
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
  completeness(text: string): Completeness { return this.#matcher.completeness(text) }

  /** True for a slot that takes any text to the end, a command among it: "take a note" … "turn left at the big rock". */
  isFreeText(type: string, slot: string): boolean { return this.#freeText.has(`${type} ${slot}`) }

  /** The question that asks for a slot. */
  questionFor(type: string, slot: string): string { return this.catalogue.questions.get(type)?.get(slot) ?? `What is the ${slot}?` }

  slotInfo(type: string, slot: string): SlotInfo | undefined { return this.catalogue.slots.get(type)?.get(slot) }

  /** Every type that has templates, with sentences to say. */
  types(): TypeDescription[] {
    return INTENTS.filter(({ type }) => this.catalogue.slots.has(type)).map(({ type, title }) => ({
      type, title,
      examples: this.catalogue.tests.filter((test) => test.type === type).slice(0, 3).map((test) => test.say),
      slots: Object.fromEntries([...this.catalogue.slots.get(type)!].map(([name, { accepts: _, kind: __, ...info }]) => [name, info])),
    }))
  }

  /** Sentences for a speech recogniser's grammar. */
  speechGrammar(): SpeechGrammar { return speechGrammar(this.catalogue) }

  #typeOf(match: Match): string { return this.catalogue.templates[match.template]!.type }

  #required(type: string): string[] { return [...this.catalogue.slots.get(type) ?? []].filter(([, info]) => info.required).map(([name]) => name) }
}

function unresolved(slot: string): never { throw new MtorError('INTERNAL', `slot ${slot} was not resolved`) }
