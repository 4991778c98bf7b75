import { toMtorError } from '../contracts/errors.ts'
import type { DeclaredIntent } from '../contracts/handlers.ts'
import { parseDeclared, samplesOf, type DeclaredType } from './declared.ts'
import { clash, type Graph } from './graph.ts'
import { IGNORED } from './loader.ts'
import type { Matcher } from './matcher.ts'
import { FILLERS, LEADS, TAILS } from './words.ts'

export interface DeclaredProblem { type: string; code: 'TEMPLATE_INVALID' | 'SENTENCE_TAKEN'; message: string }

/** The appliance's own sentences, as far as they are asked about others. */
export interface OwnSentences {
  graph: Graph
  matcher: Matcher
  typeOf(template: number): string
  /** What takes the whole text, also where that is only known to mean nothing. */
  meaningOf(text: string): string | undefined
}

/** Sentences looked at of one template; its literal words are compared wholly. */
const MAX_SAMPLES = 24
/** Words that are skipped before, after or within a sentence: alone they make none. */
const EMPTY_WORDS: ReadonlySet<string> = new Set([...FILLERS, ...LEADS.flat(), ...TAILS.flat()])
/** Is spotted by itself at all times: a sentence that has it could not be said without stopping everything. */
const SPOTTED = 'stop'

/**
 * What is wrong with declared types. `others` are those that are in force and stay so: a sentence of theirs, or of our
 * own, is taken. Looks at every literal word and at samples of what free words and tolerance let through.
 */
export function checkDeclared(declares: readonly DeclaredIntent[], others: readonly DeclaredIntent[], own: OwnSentences): DeclaredProblem[] {
  const problems: DeclaredProblem[] = []
  const inForce: DeclaredType[] = others.flatMap((other) => { try { return [parseDeclared(other)] } catch { return [] } })
  for (const declared of declares) {
    const { type } = declared
    const add = (code: DeclaredProblem['code'], message: string) => problems.push({ type, code, message })
    let parsed: DeclaredType
    try { parsed = parseDeclared(declared) } catch (error) { add('TEMPLATE_INVALID', toMtorError(error).message); continue }
    const before = problems.length
    const tooWide = anythingGoes(parsed)
    if (tooWide) add('TEMPLATE_INVALID', `“${tooWide}” would take any sentence: add words of its own`)
    const taken = takenBy(parsed, own, inForce)
    if (taken) add('SENTENCE_TAKEN', taken)
    if (problems.length === before) inForce.push(parsed)
  }
  return problems
}

function takenBy({ declared, templates, graph }: DeclaredType, own: OwnSentences, inForce: readonly DeclaredType[]): string | undefined {
  if (graph.vocabulary().has(SPOTTED)) return `“${SPOTTED}” stops everything wherever it is said: no other sentence may have the word`
  const isStop = (template: number) => own.typeOf(template) === 'stop'
  const means = (sentence: string, type: string) => type === 'stop' || own.matcher.opensWith(sentence, isStop) ? `“${sentence}” is, or begins with, a stop, which always comes first`
    : type === IGNORED ? `“${sentence}” is taken for talk that is no request` : `“${sentence}” means ${type} already`
  const literal = clash(own.graph, graph, () => true)
  if (literal) return means(literal.sentence, own.typeOf(literal.templates[0]))
  for (const { item } of templates) {
    for (const sample of samplesOf(item, MAX_SAMPLES)) {
      const type = own.meaningOf(sample)
      if (type !== undefined) return means(sample, type)
      if (own.matcher.opensWith(sample, isStop)) return means(sample, 'stop')
    }
  }
  for (const other of inForce) {
    if (other.declared.type === declared.type) continue
    const shared = clash(other.graph, graph, () => true)
    if (shared) return `“${shared.sentence}” means ${other.declared.type} already`
  }
  return undefined
}

/** The first sentence that free words alone would match, if any. */
function anythingGoes({ graph, templates }: DeclaredType): string | undefined {
  const seen = new Set([0])
  for (const id of seen) {
    const { words, slots, ends } = graph.nodes[id]!
    if (ends[0]) return templates[ends[0].template]!.source
    for (const { parser, to } of slots) if (parser === 'text' || parser === 'words') seen.add(to)
    for (const [word, edges] of words) if (EMPTY_WORDS.has(word)) for (const { to } of edges) seen.add(to)
  }
  return undefined
}
