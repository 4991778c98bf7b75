import { MtorError } from '../contracts/errors.ts'
import { tokenize } from './words.ts'

/** Sets a slot, or multiplies what it is given elsewhere in the sentence (-1: the other direction). */
export interface Mark { slot: string; op: 'set' | 'times'; value: string | number | boolean }

/** A parsed template. */
export type Item =
  | { kind: 'word'; word: string }
  | { kind: 'sequence'; items: Item[] }
  /** `rare`: an optional part for which no pause is made while listening. */
  | { kind: 'choice'; options: Item[]; rare: boolean }
  | { kind: 'slot'; slot: string; as: string | undefined }
  | { kind: 'mark'; mark: Mark }

/** A mistake in a template: `offset` counts characters from its beginning. */
export class TemplateProblem extends MtorError {
  readonly offset: number
  constructor(message: string, offset: number) {
    super('TEMPLATE_INVALID', message)
    this.offset = offset
  }
}

const MAX_LENGTH = 2_000
const MAX_DEPTH = 12
const SLOT_NAME = /^[a-z][A-Za-z0-9]*$/

/**
 * Parses one template: words, (a|b), [optional], [~ rare optional], <rule>, {slot}, {slot:kind}, {slot...},
 * {slot=value}, {slot*-1}. Throws TemplateProblem with the place.
 */
export function parseTemplate(source: string, rule: (name: string) => Item | undefined): Item {
  if (source.length > MAX_LENGTH) throw new TemplateProblem(`expected at most ${MAX_LENGTH} characters, got ${source.length}`, MAX_LENGTH)
  let at = 0

  const alternatives = (close: string, depth: number): Item[] => {
    if (depth > MAX_DEPTH) throw new TemplateProblem(`nested more than ${MAX_DEPTH} deep`, at)
    const opened = at - 1
    const options: Item[] = []
    let items: Item[] = []
    for (;;) {
      const char = source[at]
      if (char === undefined) {
        if (close) throw new TemplateProblem(`"${source[opened]}" is never closed with "${close}"`, opened)
        options.push({ kind: 'sequence', items })
        return options
      }
      at += 1
      if (char === '|') { options.push({ kind: 'sequence', items }); items = [] }
      else if (char === close) { options.push({ kind: 'sequence', items }); return options }
      else if (char === '(') items.push({ kind: 'choice', options: alternatives(')', depth + 1), rare: false })
      else if (char === '[') {
        const rare = source[at] === '~'
        if (rare) at += 1
        items.push({ kind: 'choice', options: [...alternatives(']', depth + 1), { kind: 'sequence', items: [] }], rare })
      }
      else if (char === '<') items.push(ruleReference())
      else if (char === '{') items.push(slotReference())
      else if (/[)\]>}]/.test(char)) throw new TemplateProblem(`"${char}" closes nothing`, at - 1)
      else if (/\s/.test(char)) continue
      else items.push(...words())
    }
  }
  const until = (close: string): string => {
    const end = source.indexOf(close, at)
    if (end < 0) throw new TemplateProblem(`"${source[at - 1]}" is never closed with "${close}"`, at - 1)
    const inside = source.slice(at, end).trim()
    at = end + 1
    return inside
  }
  const ruleReference = (): Item => {
    const from = at - 1
    const name = until('>')
    const found = rule(name)
    if (!found) throw new TemplateProblem(`expected a rule that is defined, got <${name}>`, from)
    return found
  }
  const slotReference = (): Item => {
    const from = at - 1
    const inside = until('}')
    const [, slot = '', operator = '', argument = ''] = /^([^=*:.\s]*)\s*(\.\.\.|[=*:])?\s*(.*)$/.exec(inside) ?? []
    if (!SLOT_NAME.test(slot)) throw new TemplateProblem(`expected a slot name such as {distanceM}, got {${inside}}`, from)
    if (operator === '' && argument === '') return { kind: 'slot', slot, as: undefined }
    if (operator === '...' && argument === '') return { kind: 'slot', slot, as: 'text' }
    if (operator === ':' && /^[a-z]+$/.test(argument)) return { kind: 'slot', slot, as: argument }
    if (operator === '=' && argument !== '') return { kind: 'mark', mark: { slot, op: 'set', value: scalar(argument) } }
    if (operator === '*' && Number.isFinite(Number(argument)) && argument !== '') return { kind: 'mark', mark: { slot, op: 'times', value: Number(argument) } }
    throw new TemplateProblem(`expected {slot}, {slot:kind}, {slot...}, {slot=value} or {slot*number}, got {${inside}}`, from)
  }
  const words = (): Item[] => {
    const from = at - 1
    const text = /^[^\s()[\]<>{}|]+/.exec(source.slice(from))![0]
    at = from + text.length
    const tokens = tokenize(text)
    if (tokens.length === 0 || tokens.some((token) => !/^[\p{L}\p{M}\d.]+$/u.test(token.word))) throw new TemplateProblem(`expected a word, got "${text}"`, from)
    return tokens.map((token) => ({ kind: 'word', word: token.word }))
  }

  const options = alternatives('', 0)
  return options.length === 1 ? options[0]! : { kind: 'choice', options, rare: false }
}

const scalar = (text: string): Mark['value'] => text === 'true' ? true : text === 'false' ? false : /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text

