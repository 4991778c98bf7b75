import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { MtorError } from '../contracts/errors.ts'
import { intentDefinition } from '../contracts/intents.ts'
import { describe } from './describe.ts'
import { Understander } from './index.ts'
import type { Understanding } from './port.ts'

/** What a file says a sentence should mean; type null: must not match; a slot null: must be asked for. */
export interface Expectation { type: string | null; slots: Record<string, unknown> }
export interface ScoredSentence { line: number; understanding: Understanding; expected: Expectation | undefined; verdict: Verdict | undefined }
export type Verdict = 'right' | 'missed' | 'wrong type' | 'wrong slots' | 'false accept'

/** The counts over a file. A proposal is a question, so it is never an accept; whether it was a good question is counted apart. */
export class Score {
  sentences = 0
  readonly counts: Record<Verdict, number> = { 'right': 0, 'missed': 0, 'wrong type': 0, 'wrong slots': 0, 'false accept': 0 }
  positives = 0
  negatives = 0
  proposedRight = 0
  proposedWrong = 0

  add({ understanding, expected, verdict }: ScoredSentence) {
    this.sentences += 1
    if (!expected || !verdict) return
    this.counts[verdict] += 1
    if (expected.type === null) this.negatives += 1; else this.positives += 1
    if (understanding.by !== 'proposal') return
    if (understanding.type === expected.type) this.proposedRight += 1; else this.proposedWrong += 1
  }

  get expectations() { return this.positives + this.negatives }
  get mistakes() { return this.expectations - this.counts.right }
  /** Of what should match, the part that matched with the right type and slots. */
  get recall() { return this.positives === 0 ? null : (this.positives - this.counts.missed - this.counts['wrong type'] - this.counts['wrong slots']) / this.positives }

  toJSON() {
    return { sentences: this.sentences, expected: this.positives, recall: this.recall, missed: this.counts.missed, wrongType: this.counts['wrong type'], slotErrors: this.counts['wrong slots'],
      mustNotMatch: this.negatives, falseAccepts: this.counts['false accept'], proposedRight: this.proposedRight, proposedWrong: this.proposedWrong }
  }
}

/** Numbers within a billionth, all else exactly. */
function sameSlots(got: Understanding, expected: Record<string, unknown>): boolean {
  const asked = Object.keys(expected).filter((slot) => expected[slot] === null)
  const given = Object.keys(expected).filter((slot) => expected[slot] !== null)
  return asked.every((slot) => got.missing.includes(slot)) && got.missing.every((slot) => asked.includes(slot))
    && Object.keys(got.slots).length === given.length && given.every((slot) => {
    const [a, b] = [got.slots[slot], expected[slot]]
    return typeof a === 'number' && typeof b === 'number' ? Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(b)) : a === b
  })
}

export function judge(got: Understanding, expected: Expectation): Verdict {
  const accepted = got.by === 'template'
  if (expected.type === null) return accepted ? 'false accept' : 'right'
  if (!accepted) return 'missed'
  if (got.type !== expected.type) return 'wrong type'
  return sameSlots(got, expected.slots) ? 'right' : 'wrong slots'
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)
/** For a terminal: control characters written out. */
const printable = (text: string) => text.replace(/[\p{Cc}\p{Cf}]/gu, (char) => `\\u${char.codePointAt(0)!.toString(16).padStart(4, '0')}`)

/** One line: a sentence, `sentence<TAB>type<TAB>{slots}`, or a JSON object with text, type and slots; undefined for comments. Throws USAGE. */
export function parseLine(line: string, number: number): { text: string; expected: Expectation | undefined } | undefined {
  if (line.trim() === '' || line.startsWith('#')) return undefined
  const problem = (what: string) => new MtorError('USAGE', `line ${number}: ${what}`, { hint: 'Write a sentence; or sentence<TAB>type<TAB>{"slot": value}; or {"text": …, "type": …, "slots": …}.' })
  if (line.includes('\0')) throw problem('expected UTF-8 text, got a NUL byte')
  const typeNamed = (name: string): string | null => {
    if (name !== '-' && !intentDefinition(name)) throw problem(`unknown type "${printable(name.slice(0, 60))}"`)
    return name === '-' ? null : name
  }
  const object = (json: string): Record<string, unknown> => {
    let value: unknown
    try { value = JSON.parse(json) } catch { /* said below */ }
    if (!isObject(value)) throw problem(`expected a JSON object, got ${printable(json.slice(0, 60))}`)
    return value
  }
  if (line.startsWith('{')) {
    const { text, type, slots = {} } = object(line)
    if (typeof text !== 'string') throw problem('expected "text" to be a sentence')
    if (type === undefined) return { text, expected: undefined }
    if (type !== null && typeof type !== 'string') throw problem('expected "type" to be a type or null')
    if (!isObject(slots)) throw problem('expected "slots" to be an object')
    return { text, expected: { type: type === null ? null : typeNamed(type), slots } }
  }
  const [text = '', type, slots] = line.split('\t')
  if (type === undefined || type.trim() === '') return { text, expected: undefined }
  return { text, expected: { type: typeNamed(type.trim()), slots: slots?.trim() ? object(slots) : {} } }
}

/** Understands a file line by line; '-' is standard input. Throws NOT_FOUND where it cannot be read, USAGE where a line is broken. */
export async function* scoreFile(path: string, understander: Understander, options: { proposals: boolean }): AsyncGenerator<ScoredSentence> {
  const lines = createInterface({ input: path === '-' ? process.stdin : await openFile(path), crlfDelay: Infinity })
  let number = 0
  try {
    for await (const raw of lines) {
      number += 1
      // Editors of some systems put a byte order mark at the beginning.
      const parsed = parseLine(number === 1 ? raw.replace(/^\uFEFF/, '') : raw, number)
      if (!parsed) continue
      const understanding = options.proposals ? await understander.understand(parsed.text) : understander.match(parsed.text)
      yield { line: number, understanding, expected: parsed.expected, verdict: parsed.expected && judge(understanding, parsed.expected) }
    }
  } finally { lines.close() }
}

async function openFile(path: string) {
  try {
    const file = await open(path)
    if (!(await file.stat()).isDirectory()) return file.createReadStream()
    await file.close()
  } catch (cause) { throw unreadable(path, (cause as Error).message) }
  throw unreadable(path, 'is a folder')
}
const unreadable = (path: string, why: string) => new MtorError('NOT_FOUND', `${path}: ${why}`, { hint: 'Give a file with one sentence a line, or - for standard input.' })

const plainLine = ({ understanding: got, expected, verdict }: ScoredSentence): string => {
  const slots = Object.keys(got.slots).length > 0 ? ` ${JSON.stringify(got.slots)}` : ''
  const missing = got.missing.length > 0 ? ` (asks for ${got.missing.join(', ')})` : ''
  const meaning = got.by === 'template' ? `${got.type}${slots}${missing}` : got.by === 'proposal' ? `Did you mean: ${got.question ?? describe(got.type!, got.slots)}?` : 'nothing'
  const remark = verdict === undefined || verdict === 'right' ? '' : `   <- ${verdict}, expected ${expected!.type === null ? 'nothing' : `${expected!.type} ${JSON.stringify(expected!.slots)}`}`
  return `${printable(got.text)}  ->  ${meaning}${got.by === 'template' && got.confidence < 1 ? `  [${got.confidence}]` : ''}${remark}`
}

const percent = (part: number | null) => part === null ? '-' : `${(100 * part).toFixed(1)} %`

/**
 * `mtor understand FILE`. Prints what each sentence means; with json one line a sentence, {text, type, slots, ms, by}.
 * Where the file has expectations a score follows. Exit code 1 when an expectation was not met.
 */
export async function runUnderstand(args: { file: string; json: boolean; proposals: boolean }, out: (line: string) => void, understander?: Understander): Promise<{ exitCode: number }> {
  const using = understander ?? await Understander.load()
  const score = new Score()
  for await (const sentence of scoreFile(args.file, using, args)) {
    score.add(sentence)
    const { text, type, slots, ms, by } = sentence.understanding
    out(args.json ? JSON.stringify({ text, type, slots, ms, ...(by ? { by } : {}) }) : plainLine(sentence))
  }
  if (score.expectations > 0) {
    if (args.json) out(JSON.stringify({ score }))
    else {
      out('')
      out(`recall ${percent(score.recall)} (${score.positives} sentences: ${score.counts.missed} missed, ${score.counts['wrong type']} wrong type, ${score.counts['wrong slots']} wrong slots)`)
      out(`false accepts ${score.counts['false accept']} of ${score.negatives} that must not match`)
      if (args.proposals) out(`proposals: ${score.proposedRight} right, ${score.proposedWrong} wrong (questions, not acts)`)
    }
  }
  return { exitCode: score.mistakes > 0 ? 1 : 0 }
}
