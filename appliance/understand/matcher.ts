import type { Completeness } from './port.ts'
import { Correction } from './correction.ts'
import type { Edge, Graph, Node, SlotEdge, SlotParser } from './graph.ts'
import { REST } from './loader.ts'
import { isNumberWord } from './numbers.ts'
import { isQuantityPrefix, parseQuantity, type QuantityFound } from './quantities.ts'
import type { Mark } from './template.ts'
import { withoutHesitations } from './hesitations.ts'
import { FILLERS, homophonesOf, joinedOf, LEADS, TAILS, tokenize, type Token } from './words.ts'

/** What one template makes of a sentence. */
export interface Match {
  template: number
  slots: Record<string, unknown>
  /** What a slot the sentence left out is to be multiplied with once it is known: "drive back" … "two metres". */
  factors: Record<string, number>
  confidence: number
  /** It can be read in two ways that differ in what is done: it is asked about. */
  doubtful: boolean
}

/** One way through the automaton, kept as a list from its last step. */
interface Path {
  /** What tolerance took from the confidence. */
  cost: number
  /** Words swallowed by free slots, free words weighing more than free text: the least wins among equals. */
  wild: number
  corrections: number
  before: Path | undefined
  marks: readonly Mark[]
  slot?: { name: string; value: unknown; parser: SlotParser; bare: boolean }
  /** The last step skipped a filler: a sentence does not end on "the". */
  skipped: boolean
  doubtful: boolean
  /** Something to the end was read and thrown away. */
  rest: boolean
}

const COST = { homophone: 0.1, correction: 0.12, filler: 0.02, politeness: 0.02 }
const LEAST_CONFIDENCE = 0.6
/** Words looked at; only free text may be longer. */
const MAX_TOKENS = 60
const MAX_FREE_WORDS = 5
/** Free words are a name or a place; a sentence does not go on inside one. */
const NO_NAME = new Set('is was were are am be been being has had have will would can could said says if when because but so not no never do does did it he she they we i you yesterday today tonight tomorrow please thanks now and or then after before with without using while since ago remaining overdue minus plus instead stop halt cancel delete remove kill abort reset forget rover robot motor motors wheels engine machine'.split(' '))
/** A name does not begin with one of these: "five minutes more on the timer" changes a timer. */
const NO_BEGINNING = new Set('left right more less longer shorter extra further another additional fewer to by on off from until than'.split(' '))
/** What an emergency stop reads and throws away weighs more than any name: "stop the tea timer". */
const URGENT_REST = 50

type Layers = Map<number, Path>[]

export class Matcher {
  readonly #graph: Graph
  readonly #correction: Correction | undefined
  /** Templates after which a pause never helps: an emergency stop is taken as soon as it is said. */
  readonly #isUrgent: (template: number) => boolean
  readonly #requiredOf: (template: number) => readonly string[]
  readonly #typeOf: (template: number) => string

  constructor(graph: Graph, options: { isUrgent: (template: number) => boolean; requiredOf: (template: number) => readonly string[]; typeOf: (template: number) => string; /** Left out: yes. */ corrects?: boolean }) {
    this.#graph = graph
    this.#correction = options.corrects === false ? undefined : new Correction(graph.vocabulary())
    this.#isUrgent = options.isUrgent
    this.#requiredOf = options.requiredOf
    this.#typeOf = options.typeOf
  }

  /** The one meaning of a text, or undefined: nothing matched, or two meanings were equally likely. Never throws. */
  match(text: string): Match | undefined {
    const tokens = withoutHesitations(tokenize(text))
    return this.#best(tokens, text, this.#walk(tokens, text))?.match
  }

  /** True where the first words of the text, politeness aside, are already a whole sentence of a template that is `wanted`. */
  opensWith(text: string, wanted: (template: number) => boolean): boolean {
    const tokens = withoutHesitations(tokenize(text))
    return this.#walk(tokens, text).some((layer) => [...layer ?? []].some(([node]) => this.#graph.nodes[node]!.ends.some(({ template }) => wanted(template))))
  }

  /** How far a transcript has come. */
  completeness(text: string): Completeness {
    const tokens = withoutHesitations(tokenize(text))
    if (tokens.length === 0 || tokens.length > MAX_TOKENS) return tokens.length === 0 ? 'nothing' : 'extendable'
    const layers = this.#walk(tokens, text)
    const best = this.#best(tokens, text, layers)
    if (best && this.#isUrgent(best.match.template)) return 'complete'
    const goesOn = this.#goesOn(tokens, layers, best && this.#typeOf(best.match.template))
    if (!best) return goesOn ? 'prefix' : 'nothing'
    const last = best.path.slot
    const missing = this.#requiredOf(best.match.template).some((slot) => !(slot in best.match.slots))
    return goesOn || missing || last?.parser === 'text' || last?.parser === 'words' || last?.parser === 'duration' || last?.bare ? 'extendable' : 'complete'
  }

  /**
   * True when going on could still mean something else: another type, or another slot. Words that only round a
   * sentence off, parts marked rare and longer quantities are not waited for once there is a match.
   */
  #goesOn(tokens: readonly Token[], layers: Layers, matched: string | undefined): boolean {
    for (const id of layers[tokens.length]?.keys() ?? []) {
      const node = this.#graph.nodes[id]!
      if (matched === undefined && (node.words.size > 0 || node.slots.length > 0)) return true
      if (id === 0 || (matched !== undefined && node.opens)) return true
      if (this.#typeOf(node.template) !== matched && [...node.words.values()].some((edges) => edges.some((edge) => !edge.rare))) return true
    }
    const checked = new Map<string, boolean>()
    for (let at = Math.max(0, tokens.length - 10); at < tokens.length; at++) {
      for (const node of layers[at]?.keys() ?? []) {
        for (const { parser, rare } of this.#graph.nodes[node]!.slots) {
          if (parser === 'text' || parser === 'words' || (matched !== undefined && rare)) continue
          const key = `${at} ${parser}`
          let open = checked.get(key)
          if (open === undefined) checked.set(key, open = isQuantityPrefix(parser, tokens, at) && !(matched !== undefined && parseQuantity(parser, tokens, at).some((found) => found.end === tokens.length)))
          if (open) return true
        }
      }
    }
    return false
  }

  /** Walks all templates at once: layer i holds, for each node reachable with the first i words, the best way there. */
  #walk(tokens: readonly Token[], text: string): Layers {
    const count = tokens.length
    const layers: Layers = []
    const put = (at: number, node: number, path: Path) => {
      const layer = layers[at] ??= new Map()
      const known = layer.get(node)
      if (!known || path.cost < known.cost || (path.cost === known.cost && path.wild < known.wild)) layer.set(node, path)
    }
    if (count === 0) return layers
    for (const [at, cost] of leadEnds(tokens)) put(at, 0, { cost, wild: 0, corrections: 0, before: undefined, marks: [], skipped: false, doubtful: false, rest: false })
    const corrections = count < 2 ? 0 : count < 5 ? 1 : 2
    const quantities = new Map<string, QuantityFound[]>()
    const quantity = (parser: Exclude<SlotParser, 'text' | 'words'>, at: number) => {
      const key = `${parser} ${at}`
      let found = quantities.get(key)
      if (!found) quantities.set(key, found = parseQuantity(parser, tokens, at))
      return found
    }

    for (let at = 0; at < Math.min(count, MAX_TOKENS); at++) {
      const layer = layers[at]
      if (!layer) continue
      const { word } = tokens[at]!
      const next = tokens[at + 1]?.word ?? ''
      // A number before a number is no preposition: neither in "four half metres" nor in "four a metre".
      const alternatives = isNumberWord(word) && (isNumberWord(next) || /^an?$/.test(next)) ? [] : homophonesOf(word)
      const corrected = this.#correction?.of(word)
      const joined = joinedOf(word, tokens[at + 1]?.word)
      for (const [id, path] of layer) {
        const node = this.#graph.nodes[id]!
        const step = (edges: readonly Edge[] | undefined, cost: number, correction: number, words = 1) => {
          for (const edge of edges ?? []) put(at + words, edge.to, { cost: path.cost + cost, wild: path.wild, corrections: path.corrections + correction, before: path, marks: edge.marks, skipped: false, doubtful: path.doubtful, rest: path.rest })
        }
        step(node.words.get(word), 0, 0)
        for (const alternative of alternatives) step(node.words.get(alternative), COST.homophone, 0)
        if (joined) step(node.words.get(joined), COST.homophone, 0, 2)
        if (corrected && path.corrections < corrections) step(node.words.get(corrected), COST.correction, 1)
        // "The two metres" are some that were spoken of before.
        const doubtful = path.doubtful || (word === 'the' && isNumberWord(next))
        if (FILLERS.has(word) && path.cost < 0.3) put(at + 1, id, { ...path, cost: path.cost + COST.filler, skipped: true, doubtful })
        for (const edge of node.slots) this.#fill(edge, node, path, tokens, at, text, quantity, put)
      }
    }
    return layers
  }

  #fill(edge: SlotEdge, node: Node, path: Path, tokens: readonly Token[], at: number, text: string, quantity: (parser: Exclude<SlotParser, 'text' | 'words'>, at: number) => QuantityFound[], put: (at: number, node: number, path: Path) => void) {
    const go = (end: number, value: unknown, cost: number, wild: number, bare: boolean, doubtful = false) => put(end, edge.to,
      { cost: path.cost + cost, wild: path.wild + wild, corrections: path.corrections, before: path, marks: edge.marks, ...(edge.slot === REST ? {} : { slot: { name: edge.slot, value, parser: edge.parser, bare } }), skipped: false, doubtful: path.doubtful || doubtful, rest: path.rest || (edge.slot === REST && edge.parser === 'text') })
    const said = (end: number) => text.slice(tokens[at]!.start, tokens[end - 1]!.end)
    if (edge.parser === 'text') {
      const free = text.slice(tokens[at]!.start).trim()
      const urgent = edge.slot === REST && this.#isUrgent(this.#graph.nodes[edge.to]!.template)
      go(tokens.length, free, 0, 0.001 * (tokens.length - at) + (urgent ? URGENT_REST : 0), false)
    } else if (edge.parser === 'words') {
      if (edge.slot !== REST && NO_BEGINNING.has(tokens[at]!.word)) return
      const isParted = (end: number) => /[^\s]\s|\s[^\s]/.test(text.slice(tokens[end - 2]!.end, tokens[end - 1]!.start))
      const isName = (end: number) => !NO_NAME.has(tokens[end - 1]!.word) && (end === at + 1 || !isParted(end))
      for (let end = at + 1; end <= Math.min(tokens.length, at + MAX_FREE_WORDS) && isName(end); end++) {
        const name = said(end).replace(/^(the|a|an|my|our)\s+/i, '')
        go(end, name, 0, end - at, false)
      }
    } else {
      for (const found of quantity(edge.parser, at)) {
        const bare = edge.parser === 'count' || (edge.parser === 'angle' && isNumberWord(tokens[found.end - 1]!.word))
        // "For metres": the word may be itself, and the number missing.
        const mayBeItself = found.isHomophone && node.words.has(tokens[at]!.word)
        // "Two left" counts something, more often than it turns.
        const isCounted = bare && at === 0
        go(found.end, found.value, found.cost, 0, bare, found.doubtful || mayBeItself || isCounted || tokens[at]!.apart === 'end')
      }
    }
  }

  /** The best way that ends where a template may end and only politeness follows; undefined when two meanings tie. */
  #best(tokens: readonly Token[], text: string, layers: Layers): { match: Match; path: Path } | undefined {
    const polite = tailStarts(tokens)
    let best: { match: Match; path: Path; cost: number; key: string } | undefined
    let tied = false
    for (let at = 1; at <= tokens.length; at++) {
      const tail = polite[at]
      if (tail === undefined) continue
      for (const [node, path] of layers[at] ?? []) {
        if (path.skipped) continue
        for (const end of this.#graph.nodes[node]!.ends) {
          const cost = path.cost + tail
          if (1 - cost < LEAST_CONFIDENCE) continue
          const order = best ? compare(cost, path, best.cost, best.path) : -1
          if (order > 0) continue
          const meaning = meaningOf(path, end.marks)
          if (!meaning) continue
          const doubtful = path.doubtful || isSideInDoubt(tokens, at, polite)
          const match = { template: end.template, ...meaning, confidence: Math.round((1 - cost) * 1000) / 1000, doubtful }
          const key = this.#keyOf(match)
          tied = order === 0 ? tied || key !== best!.key : false
          best = { match, path, cost, key }
        }
      }
    }
    return best && !tied && text.length > 0 ? best : undefined
  }

  /** Two templates of one type that agree on the slots are no ambiguity. */
  #keyOf(match: Match): string { return JSON.stringify([this.#typeOf(match.template), Object.entries(match.slots).sort(), match.factors]) }
}

/** Below 0 where the first way is the better one. What says every word is better than what throws some away. */
function compare(costA: number, a: Path, costB: number, b: Path): number {
  if (a.rest !== b.rest && (a.rest ? b.wild : a.wild) === 0) return a.rest ? 1 : -1
  return Math.abs(costA - costB) > 1e-9 ? costA - costB : a.wild - b.wild
}

/** Slots and factors along a way; undefined when it contradicts itself (set twice, a sign said twice). */
function meaningOf(last: Path, endMarks: readonly Mark[]): { slots: Record<string, unknown>; factors: Record<string, number> } | undefined {
  const slots: Record<string, unknown> = {}
  const factors: Record<string, number> = {}
  const bind = (slot: string, value: unknown) => {
    if (slot in slots && slots[slot] !== value) return false
    slots[slot] = value
    return true
  }
  const apply = (mark: Mark) => {
    if (mark.op === 'set') return bind(mark.slot, mark.value)
    factors[mark.slot] = (factors[mark.slot] ?? 1) * Number(mark.value)
    return true
  }
  for (const mark of endMarks) if (!apply(mark)) return undefined
  for (let path: Path | undefined = last; path; path = path.before) {
    if (path.slot && !bind(path.slot.name, path.slot.value)) return undefined
    for (const mark of path.marks) if (!apply(mark)) return undefined
  }
  for (const [slot, factor] of Object.entries(factors)) {
    const value = slots[slot]
    if (typeof value !== 'number') continue
    // "back minus two metres" says the direction twice: which was meant is not guessed.
    if (value < 0) return undefined
    slots[slot] = value * factor
    delete factors[slot]
  }
  return { slots, factors }
}

/** After one of these "right" is a side. */
const BEFORE_A_SIDE = new Set(['the', 'your', 'my', 'our', 'a', 'to'])

/**
 * True where "right" is a side to the template, and may be a word of politeness: "turn right now", "right, ninety
 * degrees".
 */
function isSideInDoubt(tokens: readonly Token[], end: number, polite: readonly (number | undefined)[]): boolean {
  const last = tokens[end - 1]!
  const isTail = polite[end] !== undefined && TAILS.some((phrase) => phrase.length > 1 && phraseAt(tokens, end - 1, phrase))
  if (isTail && !BEFORE_A_SIDE.has(tokens[end - 2]?.word ?? '')) return true
  if (last.word === 'right' && last.apart) return true
  const first = tokens.findIndex(({ word }) => word === 'right')
  return first >= 0 && first + 1 < end && tokens[first + 1]!.apart !== undefined && leadEnds(tokens).has(first)
}

const phraseAt = (tokens: readonly Token[], at: number, phrase: readonly string[]) => phrase.every((word, index) => tokens[at + index]?.word === word)

/** Where a command may begin after politeness, with what that costs. */
function leadEnds(tokens: readonly Token[]): Map<number, number> {
  const ends = new Map([[0, 0]])
  for (const [at, cost] of ends) {
    if (ends.size > 12) break
    for (const phrase of LEADS) if (phraseAt(tokens, at, phrase) && !ends.has(at + phrase.length)) ends.set(at + phrase.length, cost + COST.politeness)
  }
  return ends
}

/** Cost of the politeness from each word to the end; undefined where something else follows. */
function tailStarts(tokens: readonly Token[]): (number | undefined)[] {
  const costs: (number | undefined)[] = Array.from({ length: tokens.length + 1 })
  costs[tokens.length] = 0
  for (let at = tokens.length - 1; at > 0 && at > tokens.length - 12; at--) {
    for (const phrase of TAILS) {
      const after = phraseAt(tokens, at, phrase) ? costs[at + phrase.length] : undefined
      if (after !== undefined) costs[at] = Math.min(costs[at] ?? 1, after + COST.politeness)
    }
  }
  return costs
}
