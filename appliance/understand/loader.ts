import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Node as YamlNode } from 'yaml'
import { MtorError } from '../contracts/errors.ts'
import { intentDefinition } from '../contracts/intents.ts'
import { inOne, inPieces, type Pieces } from './pieces.ts'
import { describeSlots, type SlotInfo } from './slots.ts'
import { parseTemplate, TemplateProblem, type Item } from './template.ts'
import { tokenize } from './words.ts'

/** One sentence an intent file promises: what it means, null for a slot that must be asked for. */
export interface TestSentence { say: string; type: string; slots: Record<string, unknown>; file: string }
export interface Template { type: string; source: string; item: Item; file: string; line: number; column: number }

/** The "type" of templates under `ignore`: sentences that mean nothing although a wider template would take them. */
export const IGNORED = '-'
/** The slot that is read and thrown away, of every type. */
export const REST = 'rest'
const REST_INFO: SlotInfo = { kind: 'words', unit: undefined, required: false, description: undefined, minimum: undefined, maximum: undefined, values: undefined, accepts: () => true }

/** All intent files together. */
export interface Catalogue {
  templates: Template[]
  /** What to ask for a slot left out, by type and slot. */
  questions: Map<string, Map<string, string>>
  slots: Map<string, Map<string, SlotInfo>>
  tests: TestSentence[]
  /** Sentences too vague to act on, with what to ask about: no template may take them, the proposer learns them. */
  unsure: TestSentence[]
  /** Sentences that must not match. */
  never: { say: string; file: string }[]
}

const MAX_FILE_BYTES = 256 * 1024

interface Source { file: string; text: string }
interface Place { line: number; column: number }
type Fail = (node: unknown, message: string, offset?: number) => never

/** Reads every .yaml file of the folders. Throws TEMPLATE_INVALID naming file, line and column. */
export async function loadCatalogue(directories: readonly string[], lists: Readonly<Record<string, readonly string[]>>): Promise<Catalogue> {
  const sources: Source[] = []
  for (const directory of directories) {
    let names: string[]
    try { names = (await readdir(directory)).filter((name) => /\.ya?ml$/.test(name)).sort() } catch (error) {
      throw new MtorError('TEMPLATE_INVALID', `${directory}: expected a folder with intent files: ${(error as Error).message}`, { cause: error })
    }
    for (const name of names) sources.push({ file: path.join(directory, name), text: await readFile(path.join(directory, name), 'utf8') })
  }
  return await inPieces(catalogueOf(sources, lists))
}

/** The same from texts in memory. Rules and lists are shared by all files. */
export function parseCatalogue(sources: readonly Source[], lists: Readonly<Record<string, readonly string[]>>): Catalogue { return inOne(catalogueOf(sources, lists)) }

function* catalogueOf(sources: readonly Source[], dynamicLists: Readonly<Record<string, readonly string[]>>): Pieces<Catalogue> {
  const documents: ReturnType<typeof parseSource>[] = []
  for (const source of sources) { documents.push(parseSource(source)); yield }
  const rules = new Map<string, { source: string; node: unknown; fail: Fail }>()
  const lists = new Map<string, Map<string, Item>>()
  for (const [name, phrases] of Object.entries(dynamicLists)) lists.set(name, new Map(phrases.map((phrase) => [phrase, words(phrase)])))
  for (const { root, fail } of documents) {
    for (const [key, value, node] of entries(root.rules, fail)) {
      if (rules.has(key)) fail(node, `the rule <${key}> is defined twice`)
      rules.set(key, { source: text(value, fail), node: value, fail })
    }
  }
  const parsed = new Map<string, Item>()
  const underWay = new Set<string>()
  const rule = (name: string): Item | undefined => {
    const known = parsed.get(name) ?? rules.get(name)
    if (!known || 'kind' in known) return known
    if (underWay.has(name)) known.fail(known.node, `the rule <${name}> contains itself`)
    underWay.add(name)
    const item = inTemplate(known.source, known.node, known.fail, rule)
    underWay.delete(name)
    parsed.set(name, item)
    return item
  }
  for (const { root, fail } of documents) {
    for (const [key, value, node] of entries(root.lists, fail)) {
      if (lists.has(key)) fail(node, `the list ${key} is defined twice`)
      const list = new Map<string, Item>()
      for (const [name, said] of entries(value, fail)) list.set(name, inTemplate(text(said, fail), said, fail, rule))
      lists.set(key, list)
    }
  }
  for (const name of rules.keys()) { rule(name); yield }

  const catalogue: Catalogue = { templates: [], questions: new Map(), slots: new Map(), tests: [], unsure: [], never: [] }
  for (const { file, root, fail, placeOf } of documents) {
    for (const [type, body, node] of entries(root.intents, fail)) {
      const definition = intentDefinition(type)
      if (!definition) return fail(node, `unknown type "${type}"`)
      const infos = catalogue.slots.get(type) ?? describeSlots(definition.slots)
      catalogue.slots.set(type, infos)
      const parts = fields(body, ['ask', 'templates', 'tests', 'unsure'], fail)
      const questions = catalogue.questions.get(type) ?? new Map<string, string>()
      catalogue.questions.set(type, questions)
      for (const [slot, question, at] of entries(parts.ask, fail)) {
        if (!infos.has(slot)) fail(at, `${type} has no slot "${slot}"`)
        questions.set(slot, text(question, fail))
      }
      for (const each of sequence(parts.templates, fail)) {
        const source = text(each, fail)
        const item = resolve(inTemplate(source, each, fail, rule), infos, lists, (message) => fail(each, `${type}: ${message}`))
        catalogue.templates.push({ type, source, item, file, ...placeOf(each) })
        yield
      }
      for (const list of ['tests', 'unsure'] as const) {
        yield
        for (const [say, slots, at] of entries(parts[list], fail)) catalogue[list].push({ say, type, slots: slotValues(slots, infos, (message) => fail(at, message)), file })
      }
    }
    for (const each of sequence(root.ignore, fail)) {
      const source = text(each, fail)
      const item = resolve(inTemplate(source, each, fail, rule), new Map(), lists, (message) => fail(each, message))
      catalogue.templates.push({ type: IGNORED, source, item, file, ...placeOf(each) })
    }
    for (const each of sequence(root.never, fail)) catalogue.never.push({ say: text(each, fail), file })
  }
  return catalogue
}

function parseSource({ file, text: source }: Source) {
  const lines = new LineCounter()
  const at = (offset: number): Place => { const { line, col } = lines.linePos(offset); return { line, column: col } }
  const error = ({ line, column }: Place, message: string) => new MtorError('TEMPLATE_INVALID', `${file}:${line}:${column}: ${message}`, { data: { file, line, column } })
  if (Buffer.byteLength(source) > MAX_FILE_BYTES) throw error({ line: 1, column: 1 }, `expected at most ${MAX_FILE_BYTES} bytes`)
  let document
  try { document = parseDocument(source, { lineCounter: lines, version: '1.2', strict: true }) } catch (cause) { throw error({ line: 1, column: 1 }, (cause as Error).message) }
  const first = document.errors[0]
  if (first) throw error(at(first.pos[0]), first.message.split('\n')[0]!)
  const placeOf = (node: unknown, offset = 0): Place => {
    const begin = (node as YamlNode | null)?.range?.[0] ?? 0
    const quoted = isScalar(node) && /^QUOTE/.test(node.type ?? '') ? 1 : 0
    return at(Math.max(0, begin + quoted + offset))
  }
  const fail: Fail = (node, message, offset = 0) => { throw error(placeOf(node, offset), message) }
  const root = document.contents === null ? {} : fields(document.contents, ['title', 'rules', 'lists', 'intents', 'ignore', 'never'], fail)
  if (root.title) text(root.title, fail)
  return { file, root, fail, placeOf }
}

function inTemplate(source: string, node: unknown, fail: Fail, rule: (name: string) => Item | undefined): Item {
  try { return parseTemplate(source, rule) } catch (error) {
    return error instanceof TemplateProblem ? fail(node, error.message, error.offset) : fail(node, (error as Error).message)
  }
}

/** Checks every slot against the type's schema and writes lists out: each phrase sets its value. */
export function resolve(item: Item, infos: ReadonlyMap<string, SlotInfo>, lists: ReadonlyMap<string, ReadonlyMap<string, Item>>, fail: (message: string) => never): Item {
  const known = (slot: string) => (slot === REST ? REST_INFO : infos.get(slot)) ?? fail(`unknown slot "${slot}"; known: ${[...infos.keys()].join(', ') || 'none'}`)
  const visit = (each: Item): Item => {
    if (each.kind === 'sequence') return { ...each, items: each.items.map(visit) }
    if (each.kind === 'choice') return { ...each, options: each.options.map(visit) }
    if (each.kind === 'mark') {
      const info = known(each.mark.slot)
      if (each.mark.op === 'times' ? info.kind === 'words' || info.values : !info.accepts(each.mark.value)) fail(`the slot ${each.mark.slot} cannot be ${each.mark.op === 'times' ? 'multiplied' : JSON.stringify(each.mark.value)}`)
      return each
    }
    if (each.kind !== 'slot') return each
    const info = known(each.slot)
    const list = lists.get(each.as ?? each.slot)
    if (list && (info.values !== undefined || info.kind === 'words')) {
      for (const value of list.keys()) if (!info.accepts(value)) fail(`the list ${each.as ?? each.slot} has "${value}", which the slot ${each.slot} does not take`)
      return { kind: 'choice', rare: false, options: [...list].map(([value, said]): Item => ({ kind: 'sequence', items: [{ kind: 'mark', mark: { slot: each.slot, op: 'set', value } }, said] })) }
    }
    const free = each.as === 'text' || each.as === 'words'
    if (info.kind === 'words' ? !free : info.kind !== (each.as ?? info.kind)) fail(`the slot ${each.slot} cannot be read as ${each.as ?? info.kind ?? 'words'}; ${info.kind === 'words' ? 'write {slot...}, {slot:words} or a list' : `it takes ${info.kind ?? 'fixed values or a list'}`}`)
    if (info.kind === undefined) fail(`the slot ${each.slot} needs a list or fixed values`)
    return { ...each, as: each.as ?? info.kind }
  }
  return visit(item)
}

function slotValues(node: unknown, infos: ReadonlyMap<string, SlotInfo>, fail: (message: string) => never): Record<string, unknown> {
  const plain: unknown = (node as { toJSON?(): unknown } | null)?.toJSON?.() ?? {}
  if (typeof plain !== 'object' || plain === null || Array.isArray(plain)) return fail('expected the slots of the sentence, such as { distanceM: 2 }')
  for (const slot of Object.keys(plain)) if (!infos.has(slot)) fail(`unknown slot "${slot}"`)
  return plain as Record<string, unknown>
}

const words = (phrase: string): Item => ({ kind: 'sequence', items: tokenize(phrase).map(({ word }) => ({ kind: 'word', word })) })

function text(node: unknown, fail: Fail): string {
  if (isScalar(node) && (typeof node.value === 'string' || typeof node.value === 'number' || typeof node.value === 'boolean')) return typeof node.value === 'string' ? node.value : String(node.source ?? node.value)
  return fail(node, 'expected a text')
}

function entries(node: unknown, fail: Fail): [string, unknown, unknown][] {
  if (node === undefined || (isScalar(node) && node.value === null)) return []
  if (!isMap(node)) return fail(node, 'expected names with values')
  return node.items.map((pair) => {
    if (isAlias(pair.value)) fail(pair.value, 'aliases are not used here; write a rule')
    return [text(pair.key, fail), pair.value ?? undefined, pair.key]
  })
}

function sequence(node: unknown, fail: Fail): unknown[] {
  if (node === undefined || (isScalar(node) && node.value === null)) return []
  return isSeq(node) ? node.items : fail(node, 'expected a list of sentences')
}

function fields(node: unknown, names: readonly string[], fail: Fail): Record<string, unknown> {
  const found: Record<string, unknown> = {}
  for (const [key, value, at] of entries(node, fail)) {
    if (!names.includes(key)) fail(at, `unknown key "${key}"; expected ${names.join(', ')}`)
    found[key] = value
  }
  return found
}
