import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { toMtorError } from '../contracts/errors.ts'
import { HEARSAY, isConsequential, takesBack } from './caution.ts'
import { phrases, type Phrase } from './expand.ts'
import { without, withoutHesitations } from './hesitations.ts'
import { IGNORED, type Catalogue } from './loader.ts'
import { Nlu, type Example } from './nlu.ts'
import { isNumberWord, parseNumber } from './numbers.ts'
import { parseQuantity, QUANTITIES, type Quantity } from './quantities.ts'
import type { SlotInfo } from './slots.ts'
import type { Mark } from './template.ts'
import { mentionsStop } from './stops.ts'
import { FILLERS, isUnknown, NEGATIONS, TAILS, tokenize, type Token } from './words.ts'

export interface Proposal { type: string; slots: Record<string, unknown>; factors: Record<string, number>; confidence: number }

/** Below this the classifier is not believed even for a question. */
const LEAST_SCORE = 0.65
/** And this much of the sentence must be words it was taught. */
const LEAST_KNOWN = 0.6
/** And the nearest sentence it was taught must be at least this like it (Dice coefficient of their words). */
const LEAST_LIKENESS = 0.5
const PHRASES_PER_TEMPLATE = 24
const MAX_WORDS = 30
/** Say nothing by themselves: a sentence of these alone is not guessed at. */
const EMPTY_WORDS = new Set('a an the of is are am be do does did it this that there i you we me us my your our to in on off at for by with from and or so what which who how when where why can could would will okay yes now then'.split(' '))
/** A sentence that begins so asks about the world: nothing that moves is proposed for it. */
const ASKING = new Set('who whose why when where what which how is are was were am do does did has have had should shall may might must'.split(' '))
/** Words by which a value is changed rather than set: "ten percent more". */
const RELATIVE = new Set([
  'by', 'more', 'less', 'longer', 'shorter', 'faster', 'slower', 'brighter', 'dimmer', 'darker', 'higher', 'lower',
  'extra', 'another', 'further', 'additional', 'increase', 'decrease', 'reduce', 'raise', 'up', 'down', 'add',
])
/** Before a number they make it a bound, or a guess. */
const BOUNDS = new Set([
  'about', 'around', 'almost', 'nearly', 'roughly', 'most', 'least', 'than', 'under', 'over', 'above', 'below',
  'within', 'between', 'until', 'till', 'past', 'every',
])
/** A move is relative by nature, and so is a turn. */
const isRelativeByNature = (kind: SlotInfo['kind']) => kind === 'length' || kind === 'angle'
/** A number without a unit is believed at the end, politeness aside. */
const LAST_WORDS = new Set(TAILS.flat())

type Value = { parser: Quantity; value: number } | { parser: 'number'; value: number }

/**
 * Asks back about what no template matches. A classifier trained on the templates' own sentences names the type; the
 * nearest of those sentences and the quantity parser fill its slots. Its answer is only ever put as a question.
 */
export class Proposer {
  readonly #catalogue: Catalogue
  readonly #cacheDirectory: string | undefined
  readonly #ending = new AbortController()
  #nlu: Promise<Nlu> | undefined
  #corpus: Example[] = []
  #known: ReadonlySet<string> | undefined

  constructor(catalogue: Catalogue, cacheDirectory: string | undefined) {
    this.#catalogue = catalogue
    this.#cacheDirectory = cacheDirectory
  }

  /** Ends a training that is under way; nothing is proposed afterwards unless already loaded. */
  stop() { this.#ending.abort() }

  /** Loads the trained classifier, or trains it in a child process; the first proposal does so by itself. */
  async prepare(): Promise<void> { await this.#load() }

  async propose(text: string): Promise<Proposal | undefined> {
    const tokens = spokenTokens(text)
    // Where a stop is mentioned nothing else is guessed at.
    if (tokens.length === 0 || tokens.length > MAX_WORDS || mentionsStop(text)) return undefined
    if (tokens.some(({ word }) => NEGATIONS.has(word) || HEARSAY.has(word))) return undefined
    const { words, values, isWhole } = withoutValues(tokens)
    if (!isWhole) return undefined
    this.#known ??= new Set((this.#corpus = corpusOf(this.#catalogue)).flatMap(({ utterance }) => utterance.split(' ')))
    const known = this.#known
    const content = words.filter((word) => !word.startsWith('quantity'))
    if (content.every((word) => EMPTY_WORDS.has(word)) || content.filter((word) => known.has(word)).length / content.length < LEAST_KNOWN) return undefined
    if (!accountsForNumbers(words, known)) return undefined
    const nlu = await this.#load()
    const [best] = await nlu.classify(words.join(' '))
    // "Did you mean: stop?" helps nobody: what stops is in the templates, what is not there does not.
    if (!best || best.intent === 'stop' || best.score < LEAST_SCORE || !this.#catalogue.slots.has(best.intent)) return undefined
    if (isConsequential(best.intent) && (isQuestion(tokens) || takesBack(text))) return undefined
    const taught = this.#corpus.filter(({ intent }) => intent === best.intent).map(({ utterance }) => utterance.split(' '))
    const nearest = this.#nearest(best.intent, words)
    if (nearest.length === 0 || Math.max(...taught.map((example) => likeness(example, words))) < LEAST_LIKENESS) return undefined
    const filled = this.#slots(best.intent, nearest, words, values)
    return filled && { type: best.intent, ...filled, confidence: Math.round(best.score * 1000) / 1000 }
  }

  /**
   * Fixed values in which the nearest sentences of the type agree, numbers of the text by their kind; undefined where a
   * number has no place.
   */
  #slots(type: string, nearest: readonly Phrase[], words: readonly string[], values: readonly Value[]): Pick<Proposal, 'slots' | 'factors'> | undefined {
    const infos = this.#catalogue.slots.get(type)!
    const slots: Record<string, unknown> = {}
    const factors: Record<string, number> = {}
    const first = nearest[0]!
    const agreed = ({ slot, value }: Mark) => nearest.every((phrase) => phrase.some((part) => typeof part !== 'string' && 'mark' in part && part.mark.op === 'set' && part.mark.slot === slot && part.mark.value === value))
    for (const [index, part] of first.entries()) {
      if (typeof part === 'string' || !('mark' in part)) continue
      // A direction is taken over only when its word was really said.
      const before = first[index - 1]
      if (part.mark.op === 'times' && !(typeof before === 'string' && words.includes(before))) continue
      // A name is taken over only when it was said: "run the patrol sequence" is not about the square.
      const unsaid = infos.get(part.mark.slot)?.kind === 'words' && !tokenize(String(part.mark.value)).every(({ word }) => words.includes(word))
      if (part.mark.op === 'set') { if (agreed(part.mark) && !unsaid) slots[part.mark.slot] = part.mark.value }
      else factors[part.mark.slot] = (factors[part.mark.slot] ?? 1) * Number(part.mark.value)
    }
    const open = [...values]
    const take = (fits: (value: Value) => boolean) => { const at = open.findIndex(fits); return at < 0 ? undefined : open.splice(at, 1)[0] }
    const requiresNumber = numeric(infos).some(([, info]) => info.required)
    for (const [slot, info] of numeric(infos)) {
      const found = take(({ parser }) => parser === info.kind) ?? (info.required || !requiresNumber ? take(({ parser }) => parser === 'number') : undefined)
      if (!found) continue
      if (!isRelativeByNature(info.kind) && words.some((word) => RELATIVE.has(word))) return undefined
      const said = found.parser === 'number' && info.kind === 'fraction' ? found.value / 100 : found.value
      // "Back minus two metres" says the direction twice.
      if (said < 0 && slot in factors) return undefined
      const value = said * (factors[slot] ?? 1)
      if (value < (info.minimum ?? -Infinity) || value > (info.maximum ?? Infinity)) return undefined
      slots[slot] = value
    }
    if (open.length > 0) return undefined
    return { slots, factors }
  }

  /** The sentences of a type that are most like the words; several when they are equally so. */
  #nearest(type: string, words: readonly string[]): Phrase[] {
    let best: { phrases: Phrase[]; like: number } | undefined
    for (const template of this.#catalogue.templates) {
      if (template.type !== type) continue
      for (const phrase of phrases(template.item)) {
        const like = likeness(wordsOf(phrase), words)
        if (!best || like > best.like) best = { phrases: [phrase], like }
        else if (like === best.like) best.phrases.push(phrase)
      }
    }
    return best?.phrases ?? []
  }

  #load(): Promise<Nlu> {
    this.#nlu ??= loadOrTrain(corpusOf(this.#catalogue), this.#cacheDirectory, this.#ending.signal).catch((error: unknown) => {
      this.#nlu = undefined
      throw toMtorError(error, 'ENGINE_MISSING')
    })
    return this.#nlu
  }
}

const BARE = 'quantitynumber'
/** Dice coefficient of two sentences' words, 0 to 1. */
function likeness(taught: readonly string[], said: readonly string[]): number {
  // A number said without its unit is like any quantity.
  const bare = said.includes(BARE)
  const [a, b] = [new Set(bare ? taught.map((word) => word.startsWith('quantity') ? BARE : word) : taught), new Set(said)]
  return a.size + b.size === 0 ? 0 : 2 * [...a].filter((word) => b.has(word)).length / (a.size + b.size)
}

const numeric = (infos: ReadonlyMap<string, SlotInfo>) => [...infos].filter(([, { kind }]) => kind !== undefined && kind !== 'words')

const wordsOf = (phrase: Phrase): string[] => phrase.flatMap((part) => typeof part === 'string' ? [part] : 'parser' in part && part.parser !== 'text' && part.parser !== 'words' ? [`quantity${part.parser}`] : [])

interface Said {
  words: string[]
  values: Value[]
  /** False where a part of a number is left over, or may be. */
  isWhole: boolean
}

/** Quantities replaced by one word of their kind, so that "two metres" and "ten feet" teach the same. */
function withoutValues(tokens: readonly Token[]): Said {
  const words: string[] = []
  let isWhole = true
  let isStrange = false
  const values: Value[] = []
  for (let at = 0; at < tokens.length;) {
    const found = QUANTITIES.filter((kind) => kind !== 'count')
      .flatMap((parser) => parseQuantity(parser, tokens, at).map((each) => ({ parser, ...each })))
      .filter(({ parser, end, cost }) => cost < 0.15 && (parser !== 'angle' || cost === 0) && end > at)
      .sort((a, b) => b.end - a.end)[0]
    const number = found ? undefined : parseNumber(tokens, at)
    if (found?.doubtful || number?.doubtful) isWhole = false
    if (found) {
      words.push(`quantity${found.parser}`)
      values.push(found)
      at = found.end
    } else if (number && !number.homophone) {
      words.push(BARE)
      values.push({ parser: 'number', value: number.value })
      at = number.end
    } else {
      const { word } = tokens[at]!
      if (isNumberWord(word) || (isUnknown(word) && /\p{N}/u.test(word))) isWhole = false
      if (isUnknown(word)) isStrange = true
      words.push(word)
      at += 1
    }
  }
  return { words, values, isWhole: isWhole && !(isStrange && values.length > 0) }
}

/** "Is it …", "would it …"; but "would you …" asks for a deed. */
function isQuestion([first, second]: readonly Token[]): boolean {
  if (first === undefined || ASKING.has(first.word)) return true
  return /^(would|could|can|will)$/.test(first.word) && !/^(you|we)$/.test(second?.word ?? '')
}

/** "Turn to ninety degrees" names a heading: no turn by that angle. */
const isHeading = (before: string, word: string): boolean => before === 'to' && /^quantity(angle|length)$/.test(word)

/** The words of a text as they are said, without fillers. */
const spokenTokens = (text: string) => without(withoutHesitations(tokenize(text)), FILLERS)

/**
 * True where the words beside every number are known ones: "two decimals", "roughly two metres" and "two metres per
 * fortnight" are not guessed at.
 */
function accountsForNumbers(words: readonly string[], known: ReadonlySet<string>): boolean {
  return words.every((word, at) => {
    if (!word.startsWith('quantity')) return true
    const before = words[at - 1]
    const after = words[at + 1]
    const follows = after === undefined || (word === BARE ? LAST_WORDS.has(after) : known.has(after))
    if (!follows || before === undefined) return follows
    return known.has(before) && !BOUNDS.has(before) && !isHeading(before, word)
  })
}

/** What the classifier is taught: the templates' sentences, the tests, and what is too vague to act on. */
export function corpusOf(catalogue: Catalogue): Example[] {
  const corpus = new Map<string, string>()
  const add = (utterance: string, intent: string) => { if (utterance && !corpus.has(utterance)) corpus.set(utterance, intent) }
  const plain = (text: string) => withoutValues(spokenTokens(text)).words.join(' ')
  for (const { say, type, slots } of [...catalogue.unsure, ...catalogue.tests]) if (!('text' in slots)) add(plain(say), type)
  for (const { type, item } of catalogue.templates) {
    if (type === IGNORED) continue
    const all = phrases(item)
    const step = Math.max(1, all.length / PHRASES_PER_TEMPLATE)
    for (let at = 0; at < all.length; at += step) add(wordsOf(all[Math.floor(at)]!).join(' '), type)
  }
  return [...corpus].map(([utterance, intent]) => ({ utterance, intent }))
}

async function loadOrTrain(corpus: Example[], cacheDirectory: string | undefined, signal: AbortSignal): Promise<Nlu> {
  const hash = createHash('sha256').update(JSON.stringify(corpus)).digest('hex').slice(0, 32)
  const file = cacheDirectory && path.join(cacheDirectory, `proposer-${hash}.json`)
  if (file) {
    // A file that is missing or damaged is made again.
    try { return await Nlu.fromJSON(JSON.parse(await readFile(file, 'utf8'))) } catch { /* trained below */ }
  }
  const json = await trainApart(corpus, signal)
  if (file && cacheDirectory) {
    await mkdir(cacheDirectory, { recursive: true })
    await writeFile(`${file}.${process.pid}`, json)
    await rename(`${file}.${process.pid}`, file)
  }
  return Nlu.fromJSON(JSON.parse(json))
}

/** Training blocks its event loop and its memory stays behind, so a child process does it. Resolves to the model as JSON. */
function trainApart(corpus: Example[], signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(process.execPath, [fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './train.ts' : './train.js', import.meta.url))],
      { signal, maxBuffer: 64 * 1024 * 1024, timeout: 120_000 }, (error, stdout) => { if (error) reject(error); else resolve(stdout) })
    child.stdin!.on('error', () => { /* the exit code says it */ })
    child.stdin!.end(JSON.stringify(corpus))
  })
}
