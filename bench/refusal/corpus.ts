import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { MtorError } from '../../appliance/contracts/errors.ts'
import { hash, linesOf, ranked } from './text.ts'

export const KINDS = [
  'negation',
  'condition',
  'question',
  'quotation',
  'hypothesis',
  'correction',
  'postponement',
  'addressed',
  'narration',
  'answer',
] as const
export type Kind = (typeof KINDS)[number]

/** Questions the box has open while an answer is said, and the sentence that brings it to ask. */
export const QUESTIONS = {
  'confirm-arm': { kind: 'confirm', type: 'arm.set', openers: ['arm the drive'], yes: 'confirm' },
  'confirm-sequence': { kind: 'confirm', type: 'sequence.run', openers: ['run the square sequence'], yes: 'confirm' },
  'choice-move': { kind: 'choice', type: 'drive.move', openers: ['drive forward two metres?'], yes: 'yes' },
  'choice-turn': { kind: 'choice', type: 'drive.turn', openers: ['turn left ten degrees?'], yes: 'yes' },
} as const
export type Question = keyof typeof QUESTIONS

/** A sentence that must not be carried out. */
export interface Sentence {
  text: string
  kind: Kind
  /** What must not happen. */
  type: string
  /** 'tune': to mend by. 'held': only to measure by. */
  part: 'tune' | 'held'
  /** Said before it, with its pause: "computer," a short one, "computer." a longer one, "computer" none. Or nothing. */
  wake: 'computer,' | 'computer.' | 'computer' | ''
  /** Of an answer: what the box has asked. */
  question?: Question
  /** The command alone, or a firm yes: that must be carried out. */
  plain?: string
}

interface Command {
  type: string
  first: string
  second: string
  doing: string
  did: string
  hasPlain: boolean
  onlyNegated: boolean
}

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))
export const CORPUS_FILE = path('corpus.tsv')
/** Commands that each frame is filled with, no two of the same type. */
const EACH = 2
/** So many frames of negation are filled with something safe as well, which must not be done either. */
const SAFE_FRAMES = 24
const HELD_PERCENT = 30
const HEAD = `# Sentences that must not be carried out. Made of commands.tsv, frames/*.txt and answers.txt:
# node bench/refusal/build.ts. Part: "tune" is to mend by; "held" is only to measure by, so do not read it to mend.
# Plain: the command alone, with the same numbers, which must be carried out; "-" where it has none.
# part<TAB>kind<TAB>type that must not happen<TAB>open question<TAB>said before<TAB>sentence<TAB>plain
`

function commands(): Command[] {
  return linesOf(readFileSync(path('commands.tsv'), 'utf8')).map((line) => {
    const [type = '', command = '', doing = '', did = '', plain, only] = line.split('\t')
    const [first = '', second = ''] = command.split('|')
    return { type, first, second, doing, did, hasPlain: plain === '=', onlyNegated: only === 'negated' }
  })
}

const partOf = (text: string): Sentence['part'] => (hash(`part ${text}`) % 100 < HELD_PERCENT ? 'held' : 'tune')

function wakeOf(text: string): Sentence['wake'] {
  const draw = hash(`wake ${text}`) % 10
  return draw < 6 ? 'computer,' : draw < 8 ? 'computer.' : 'computer'
}

function filled(frame: string, { first, second, doing, did }: Command): string {
  const text = frame.replaceAll('{c}', `${first} ${second}`).replaceAll('{1}', first).replaceAll('{2}', second)
  return text.replaceAll('{ing}', doing).replaceAll('{ed}', did)
}

/** Two commands of different types for a frame; which ones depends on nothing but its words. */
function drawn(frame: string, all: readonly Command[]): Command[] {
  const types = ranked([...new Set(all.map(({ type }) => type))], frame, (type) => type).slice(0, EACH)
  return types.map(
    (type) =>
      ranked(
        all.filter((command) => command.type === type),
        frame,
        ({ first, second }) => `${first} ${second}`,
      )[0]!,
  )
}

function ofFrames(kind: Exclude<Kind, 'answer'>, all: readonly Command[]): Sentence[] {
  const frames = linesOf(readFileSync(path(`frames/${kind}.txt`), 'utf8'))
  const usual = all.filter(({ onlyNegated }) => !onlyNegated)
  const safe = all.filter(({ onlyNegated }) => onlyNegated)
  return frames.flatMap((frame, index) => {
    const picked = drawn(frame, usual)
    if (kind === 'negation' && index < SAFE_FRAMES)
      picked.push(ranked(safe, frame, ({ first, second }) => `${first} ${second}`)[0]!)
    return picked.map((command): Sentence => {
      const text = filled(frame, command)
      return {
        text,
        kind,
        type: command.type,
        part: partOf(text),
        wake: wakeOf(text),
        ...(command.hasPlain ? { plain: `${command.first} ${command.second}` } : {}),
      }
    })
  })
}

function ofAnswers(): Sentence[] {
  return linesOf(readFileSync(path('answers.txt'), 'utf8')).map((line): Sentence => {
    const [asked, text = ''] = line.split('\t')
    const names = (Object.keys(QUESTIONS) as Question[]).filter(
      (name) => asked === 'any' || QUESTIONS[name].kind === asked,
    )
    const question = ranked(names, text, (name) => name)[0]!
    return {
      text,
      kind: 'answer',
      type: QUESTIONS[question].type,
      part: partOf(text),
      wake: '',
      question,
      plain: QUESTIONS[question].yes,
    }
  })
}

/** The whole corpus, made anew of commands, frames and answers. */
export function build(): Sentence[] {
  const all = commands()
  return [...KINDS.flatMap((kind) => (kind === 'answer' ? [] : ofFrames(kind, all))), ...ofAnswers()]
}

/** The corpus as it is published. */
export function write(sentences: readonly Sentence[]): string {
  const line = (s: Sentence) =>
    [s.part, s.kind, s.type, s.question ?? '-', s.wake || '-', s.text, s.plain ?? '-'].join('\t')
  return `${HEAD}${sentences.map(line).join('\n')}\n`
}

/** Reads the published corpus. @throws MtorError CONFIG_INVALID with the line */
export function read(): Sentence[] {
  return linesOf(readFileSync(CORPUS_FILE, 'utf8')).map((line) => {
    const [part, kind, type, question, wake, text, plain] = line.split('\t')
    const isRight = (part === 'tune' || part === 'held') && KINDS.includes(kind as Kind) && type && text && plain
    if (!isRight)
      throw new MtorError(
        'CONFIG_INVALID',
        `${CORPUS_FILE}: expected part, kind, type, question, wake, sentence, plain; got: ${line}`,
      )
    return {
      text,
      kind: kind as Kind,
      type,
      part,
      wake: wake === '-' ? '' : (wake as Sentence['wake']),
      ...(question === '-' ? {} : { question: question as Question }),
      ...(plain === '-' ? {} : { plain }),
    }
  })
}

/** As it is said, the wake word in front. */
export const spokenText = ({ wake, text }: Pick<Sentence, 'wake' | 'text'>): string => (wake ? `${wake} ${text}` : text)
