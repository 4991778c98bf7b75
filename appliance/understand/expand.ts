import type { SlotParser } from './graph.ts'
import type { Item, Mark } from './template.ts'

/** One sentence a template can make: its words, where values go, and the marks passed on the way. */
export type Phrase = readonly (string | { slot: string; parser: SlotParser } | { mark: Mark })[]

const NOTHING: readonly Phrase[] = [[]]
const MAX_PHRASES = 300

/**
 * Sentences that between them say every word of a template. While one part goes through its alternatives the others
 * stay at their first (and, when `mixed`, once more at changing ones), so that the number grows with the sum of the alternatives
 * and not with their product.
 */
export function phrases(item: Item, mixed = true): readonly Phrase[] {
  if (item.kind === 'word') return [[item.word]]
  if (item.kind === 'mark') return [[{ mark: item.mark }]]
  if (item.kind === 'slot') return [[{ slot: item.slot, parser: item.as as SlotParser }]]
  if (item.kind === 'choice') return item.options.flatMap((option) => phrases(option, mixed)).slice(0, MAX_PHRASES)
  if (item.items.length === 0) return NOTHING
  const parts = item.items.map((part) => phrases(part, mixed))
  // A list without entries (no sequences configured): nothing can be said with it.
  if (parts.some((part) => part.length === 0)) return []
  const first = parts.map((part) => part[0]!)
  const out: Phrase[] = [first.flat()]
  parts.forEach((part, index) => {
    part.slice(1).forEach((option, turn) => {
      out.push([...first.slice(0, index).flat(), ...option, ...first.slice(index + 1).flat()])
      if (mixed) out.push(parts.flatMap((other, at) => at === index ? option : other[(turn + at + 1) % other.length]!))
    })
  })
  return out.slice(0, MAX_PHRASES)
}

/** A word or a value that stands in a sentence. */
export type Element = string | { parser: SlotParser }

/**
 * Every pair of neighbours that a template's sentences have. Unlike `phrases` it leaves none out, however many optional parts
 * stand beside each other (the follow sets of a regular expression).
 */
export function neighbours(item: Item): [Element, Element][] {
  const pairs: [Element, Element][] = []
  const visit = (each: Item): { first: Element[]; last: Element[]; mayBeEmpty: boolean } => {
    if (each.kind === 'mark') return { first: [], last: [], mayBeEmpty: true }
    if (each.kind === 'word' || each.kind === 'slot') {
      const element: Element = each.kind === 'word' ? each.word : { parser: each.as as SlotParser }
      return { first: [element], last: [element], mayBeEmpty: false }
    }
    if (each.kind === 'choice') {
      const options = each.options.map(visit)
      return { first: options.flatMap(({ first }) => first), last: options.flatMap(({ last }) => last), mayBeEmpty: options.some(({ mayBeEmpty }) => mayBeEmpty) }
    }
    let whole: ReturnType<typeof visit> = { first: [], last: [], mayBeEmpty: true }
    for (const part of each.items.map(visit)) {
      for (const one of whole.last) for (const other of part.first) pairs.push([one, other])
      whole = {
        first: whole.mayBeEmpty ? [...whole.first, ...part.first] : whole.first,
        last: part.mayBeEmpty ? [...whole.last, ...part.last] : part.last,
        mayBeEmpty: whole.mayBeEmpty && part.mayBeEmpty,
      }
    }
    return whole
  }
  visit(item)
  return pairs
}
