import type { Quantity } from './quantities.ts'
import { TemplateProblem, type Item, type Mark } from './template.ts'

/** What stands in a slot: a quantity, a few words, or all the text to the end. */
export type SlotParser = Quantity | 'words' | 'text'

/** One step that consumes words. `rare`: no pause is made for it while listening. */
export interface Edge { to: number; marks: readonly Mark[]; rare: boolean }
export interface SlotEdge extends Edge { slot: string; parser: SlotParser }

/** A place within the templates. All templates share node 0, where every sentence begins. */
export interface Node {
  words: Map<string, Edge[]>
  slots: SlotEdge[]
  /** Where a template may end. */
  ends: { template: number; marks: readonly Mark[] }[]
  /** The template it belongs to; -1 for the shared beginning. */
  template: number
  /** True when going on from here could still fill or change a slot, rare parts left aside. */
  opens: boolean
}

const MAX_STATES = 4_000
const MAX_STEPS = 20_000
const NO_MARKS: readonly Mark[] = []

const newNode = (template: number): Node => ({ words: new Map(), slots: [], ends: [], template, opens: false })

interface State { empty: { to: number; mark: Mark | undefined; rare: boolean }[]; word?: { word: string; to: number }; slot?: { slot: string; parser: SlotParser; to: number }; end?: number }

/**
 * The matcher's automaton: every template compiled to states and joined at one beginning, empty steps removed, so
 * that a sentence walks it once, word by word, with no backtracking.
 */
export class Graph {
  readonly nodes: Node[] = [newNode(-1)]

  /** Adds one template, whose slots and lists are already resolved. Throws TemplateProblem when it is too large or matches the empty sentence. */
  add(item: Item, template: number, parserOf: (slot: string, as: string | undefined) => SlotParser) {
    const states: State[] = []
    const newState = () => {
      if (states.length >= MAX_STATES) throw new TemplateProblem(`too large: more than ${MAX_STATES} steps once its rules are written out`, 0)
      return states.push({ empty: [] }) - 1
    }
    const build = (each: Item, from: number): number => {
      if (each.kind === 'sequence') return each.items.reduce((at, next) => build(next, at), from)
      const to = newState()
      if (each.kind === 'word') { const at = newState(); states[from]!.empty.push({ to: at, mark: undefined, rare: false }); states[at]!.word = { word: each.word, to } }
      else if (each.kind === 'slot') { const at = newState(); states[from]!.empty.push({ to: at, mark: undefined, rare: false }); states[at]!.slot = { slot: each.slot, parser: parserOf(each.slot, each.as), to } }
      else if (each.kind === 'mark') states[from]!.empty.push({ to, mark: each.mark, rare: false })
      else for (const option of each.options) {
        const at = newState()
        states[from]!.empty.push({ to: at, mark: undefined, rare: each.rare })
        states[build(option, at)]!.empty.push({ to, mark: undefined, rare: false })
      }
      return to
    }
    const start = newState()
    states[build(item, start)]!.end = template

    // Empty steps removed: a node keeps only what consumes a word, with the marks passed on the way there.
    const nodeOf = new Map<number, number>()
    const open: number[] = []
    const nodeFor = (state: number) => {
      let node = nodeOf.get(state)
      if (node === undefined) {
        node = this.nodes.push(newNode(template)) - 1
        nodeOf.set(state, node)
        open.push(state)
      }
      return node
    }
    const close = (state: number, node: Node) => {
      const seen = new Set<string>()
      let steps = 0
      const visit = (at: number, marks: readonly Mark[], rare: boolean) => {
        const key = `${at} ${rare} ${marks.length ? JSON.stringify(marks) : ''}`
        if (seen.has(key)) return
        seen.add(key)
        if (++steps > MAX_STEPS) throw new TemplateProblem('too many optional parts beside each other', 0)
        const { word, slot, end, empty } = states[at]!
        if (word) {
          const edges = node.words.get(word.word)
          const edge = { to: nodeFor(word.to), marks, rare }
          if (edges) edges.push(edge); else node.words.set(word.word, [edge])
        }
        if (slot) node.slots.push({ slot: slot.slot, parser: slot.parser, to: nodeFor(slot.to), marks, rare })
        if (end !== undefined) node.ends.push({ template: end, marks })
        for (const step of empty) visit(step.to, step.mark ? [...marks, step.mark] : marks, rare || step.rare)
      }
      visit(state, NO_MARKS, false)
    }
    const root = this.nodes[0]!
    close(start, root)
    if (root.ends.length > 0) throw new TemplateProblem('matches the empty sentence', 0)
    for (let state = open.pop(); state !== undefined; state = open.pop()) close(state, this.nodes[nodeOf.get(state)!]!)
    this.#setOpens(nodeOf.values())
  }

  /** Fills in `opens` of a template's nodes. A template has no loops, so this ends; every node is asked once. */
  #setOpens(ids: Iterable<number>) {
    const asked = new Map<number, { changes: boolean; endings: ReadonlySet<string> }>()
    const ask = (id: number): { changes: boolean; endings: ReadonlySet<string> } => {
      const known = asked.get(id)
      if (known) return known
      const { words, slots, ends } = this.nodes[id]!
      const endings = new Set(ends.map(({ marks }) => JSON.stringify(marks)))
      let changes = slots.some(({ rare }) => !rare)
      for (const edge of [...words.values()].flat()) {
        if (edge.rare) continue
        const after = ask(edge.to)
        changes ||= edge.marks.length > 0 || after.changes
        for (const ending of after.endings) endings.add(ending)
      }
      const answer = { changes, endings }
      asked.set(id, answer)
      return answer
    }
    for (const id of ids) { const { changes, endings } = ask(id); this.nodes[id]!.opens = changes || endings.size > 1 }
  }

  /** Every word a template says. */
  vocabulary(): Set<string> {
    const words = new Set<string>()
    for (const node of this.nodes) for (const word of node.words.keys()) words.add(word)
    return words
  }

  /** The first sentence that ends templates of two different types, if any; see `clash`. */
  ambiguity(typeOf: (template: number) => string): Clash | undefined { return clash(this, this, (one, other) => typeOf(one) !== typeOf(other)) }
}

export interface Clash { sentence: string; templates: [number, number] }

/**
 * The first sentence that ends a template of either graph which `differ`, if any, with quantities written as {m} and the
 * like. Walks the automatons beside each other; free text and free words are left out, since a literal word always wins
 * over them.
 */
export function clash(one: Graph, other: Graph, differ: (one: number, other: number) => boolean): Clash | undefined {
  const seen = new Set<number>()
  const queue: { a: number; b: number; sentence: string }[] = []
  const push = (a: number, b: number, sentence: string) => {
    const key = one === other ? Math.min(a, b) * 1_048_576 + Math.max(a, b) : a * 1_048_576 + b
    if (one === other && a === b && a !== 0 || seen.has(key)) return
    seen.add(key)
    queue.push({ a, b, sentence })
  }
  push(0, 0, '')
  for (let at = 0; at < queue.length; at++) {
    const { a, b, sentence } = queue[at]!
    const left = one.nodes[a]!
    const right = other.nodes[b]!
    for (const mine of left.ends) for (const its of right.ends) if (differ(mine.template, its.template)) return { sentence: sentence.trim(), templates: [mine.template, its.template] }
    for (const word of (left.words.size < right.words.size ? left : right).words.keys()) {
      for (const its of right.words.get(word) ?? []) for (const edge of left.words.get(word) ?? []) push(edge.to, its.to, `${sentence} ${word}`)
    }
    for (const edge of left.slots) {
      if (edge.parser === 'text' || edge.parser === 'words') continue
      for (const its of right.slots) if (its.parser === edge.parser) push(edge.to, its.to, `${sentence} {${edge.parser}}`)
    }
  }
  return undefined
}
