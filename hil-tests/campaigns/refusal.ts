import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MtorError } from '../../appliance/contracts/errors.ts'
import { concatenate, silence } from '../../appliance/speech/sounds.ts'
import { SAMPLE_RATE_HZ } from '../../appliance/speech/vad.ts'
import { encodeWav } from '../../appliance/speech/wav.ts'
import type { Measure, Row } from '../../bench/harness.ts'
import { QUESTIONS, read, spokenText } from '../../bench/refusal/corpus.ts'
import { isAct } from '../../bench/refusal/judge.ts'
import { sameWords, shuffled } from '../../bench/refusal/text.ts'
import { say, voiceFor } from '../../bench/refusal/voices.ts'
import { readFacts } from '../checkers/logs.ts'
import { Bench, type ControllerFact } from '../resources/bench.ts'

const FULL_COUNT = 150
const QUICK_COUNT = 4
/** So many sentences that must not be carried out are said with one plain command among them. */
const TO_ONE_PLAIN = 5
/** Silence behind each: what was asked about is over by then, and what moves has arrived. */
const PAUSE_S = 2.5
/** Somebody who does not answer is not waited for, so that the next sentence is no answer. */
const SETTINGS = {
  speech: { device: 'none', speak: { device: 'none' }, answerWindowMs: 1_000 },
  understand: { answerTimeoutMs: 1_500 },
}
/** Commands that must be carried out. No sentence of the corpus has one of these values. */
const PLAIN: readonly { text: string; command: 'MOVE' | 'TURN'; value: number }[] = [
  { text: 'drive forward one and a half metres', command: 'MOVE', value: 1_500 },
  { text: 'go back two and a half metres', command: 'MOVE', value: -2_500 },
  { text: 'drive forward one metre', command: 'MOVE', value: 1_000 },
  { text: 'drive back six metres', command: 'MOVE', value: -6_000 },
  { text: 'turn left forty five degrees', command: 'TURN', value: 4_500 },
  { text: 'turn left twenty five degrees', command: 'TURN', value: 2_500 },
  { text: 'turn right ten degrees', command: 'TURN', value: -1_000 },
]
const COMMANDS = new Set(['MOVE', 'TURN', 'SET_SPEED', 'SET_LIGHT'])

/** One in so many is an answer: to the question about a command that must be confirmed. */
const ANSWERS_SHARE = 4
/** The ears take a moment to open a file. */
const BEFORE_ANSWER_S = 0.1

interface Said {
  text: string
  voice: ReturnType<typeof voiceFor>
}

/** Played as one file: sentences, and one command that must be carried out among them. */
interface Group {
  said: Said[]
  plain: Said & (typeof PLAIN)[number]
}

/** A command that must be confirmed, and what is said to the question. */
interface Answered {
  opener: Said
  answer: Said
}

type Motion = ControllerFact & { distanceMm?: number; angleCdeg?: number }
interface CoreFact {
  kind: string
  name?: string
  state?: string
  type?: string
  message?: string
  data?: { slots?: Record<string, unknown> }
}

/** What the logs have since the last look. */
class News {
  readonly #bench: Bench
  #controller: number
  #core: number

  constructor(bench: Bench) {
    this.#bench = bench
    this.#controller = bench.controllerFacts().length
    this.#core = readFacts<CoreFact>(bench.appliance.factLog).length
  }

  take(): { motions: Motion[]; intents: CoreFact[]; heard: string } {
    const controller = this.#bench.controllerFacts() as Motion[]
    const core = readFacts<CoreFact>(this.#bench.appliance.factLog)
    const motions = controller
      .slice(this.#controller)
      .filter(({ fact, command }) => fact === 'execute' && COMMANDS.has(command ?? ''))
    const news = core.slice(this.#core)
    this.#controller = controller.length
    this.#core = core.length
    const isIntent = ({ state, type, data }: CoreFact) =>
      state === 'accepted' && type !== undefined && isAct({ type, slots: data?.slots ?? {} })
    return {
      motions,
      intents: news.filter(isIntent),
      heard: news
        .filter(({ name }) => name === 'heard')
        .map(({ message }) => message)
        .join(' | '),
    }
  }
}

/** Sentences in groups, each with one plain command somewhere in it; and answers. */
function drawn(
  count: number,
  part: string,
  seed: number,
  random: () => number,
): { groups: Group[]; answers: Answered[] } {
  const corpus = shuffled(
    read().filter((sentence) => part === 'all' || sentence.part === part),
    random,
  )
  const saidBy = (text: string, key = text): Said => ({ text, voice: voiceFor(key, seed) })
  // "Did you mean …?" is brought about by a typed question mark, which nobody can say.
  const answers = corpus
    .filter(({ question }) => question !== undefined && QUESTIONS[question].kind === 'confirm')
    .slice(0, Math.floor(count / ANSWERS_SHARE))
    .map(({ question, text }) => ({
      opener: saidBy(`computer, ${QUESTIONS[question!].openers[0]}`, text),
      answer: saidBy(text),
    }))
  const sentences = corpus.filter(({ kind }) => kind !== 'answer').slice(0, count - answers.length)
  const groups: Group[] = []
  for (let i = 0; i < sentences.length; i += TO_ONE_PLAIN) {
    const said = sentences.slice(i, i + TO_ONE_PLAIN).map((sentence) => saidBy(spokenText(sentence)))
    const command = PLAIN[groups.length % PLAIN.length]!
    const plain = { ...command, ...saidBy(`computer, ${command.text}`, `${command.text} ${i}`) }
    said.splice(Math.floor(random() * (said.length + 1)), 0, plain)
    groups.push({ said, plain })
  }
  return { groups, answers }
}

async function wavOf(said: readonly Said[], file: string, beforeS = 0.5): Promise<number> {
  const sounds = await Promise.all(said.map(({ text, voice }) => say(text, voice)))
  const all = concatenate([silence(beforeS), ...sounds.flatMap((sound) => [sound, silence(PAUSE_S)])])
  writeFileSync(file, encodeWav(all, { sampleRateHz: SAMPLE_RATE_HZ }))
  return all.length / SAMPLE_RATE_HZ
}

const isOf = (plain: Group['plain'], { command, distanceMm, angleCdeg }: Motion) =>
  command === plain.command && (distanceMm ?? angleCdeg) === plain.value
const inWords = (said: readonly Said[]) => said.map(({ text, voice }) => `${voice} “${text}”`).join(', ')

const refusal: Measure = {
  name: 'refusal',
  title:
    'sentences that must not be carried out, in real time: the controller moves for plain commands only',
  flags: [
    { flag: '--count N', help: `so many sentences (default ${FULL_COUNT}), and a fifth as many plain commands` },
    { flag: '--part NAME', help: 'tune, held, all (default)' },
  ],
  async run({ quick, seed, random, flags, signal, progress }) {
    const count = flags.count === undefined ? (quick ? QUICK_COUNT : FULL_COUNT) : Number(flags.count)
    if (!(count > 0)) throw new MtorError('USAGE', `--count: expected a number above 0, got ${flags.count}`)
    const { groups, answers } = drawn(count, flags.part ?? 'all', seed, random)
    const bench = await Bench.open({ speedFactor: 20, settings: SETTINGS })
    try {
      const file = join(bench.dir, 'said.wav')
      const answerFile = join(bench.dir, 'answer.wav')
      const play = async (wav: string) => {
        for await (const _ of bench.appliance.control.lines('POST', '/listen', { file: wav }, signal)) {
          /* Until it is through. */
        }
      }
      const news = new News(bench)
      const total: Total = { sentences: 0, plain: 0, moved: 0, answers: 0, open: 0, unasked: 0, intents: 0, audioS: 0 }
      const tell = (motions: readonly Motion[], intents: readonly CoreFact[], said: readonly Said[], heard: string) => {
        for (const { command, distanceMm, angleCdeg } of motions)
          progress(`MOVED: ${command} ${distanceMm ?? angleCdeg ?? ''} [${heard}]`)
        if (intents.length > 0)
          progress(
            `ACCEPTED: ${intents.map(({ type, data }) => `${type} ${JSON.stringify(data?.slots)}`).join()} [${heard}]`,
          )
        if (motions.length + intents.length > 0) progress(`  said: ${inWords(said)}`)
        total.unasked += motions.length
        total.intents += intents.length
      }
      for (const [index, { said, plain }] of groups.entries()) {
        signal.throwIfAborted()
        total.audioS += await wavOf(said, file)
        await play(file)
        const { motions, intents, heard } = news.take()
        const own = motions.findIndex((motion) => isOf(plain, motion))
        const ownIntent =
          own < 0
            ? -1
            : intents.findIndex(({ type }) => type === (plain.command === 'MOVE' ? 'drive.move' : 'drive.turn'))
        total.sentences += said.length - 1
        total.plain += 1
        total.moved += own < 0 ? 0 : 1
        if (own < 0) progress(`did not move: ${inWords([plain])} [${heard}]`)
        tell(
          motions.filter((_, at) => at !== own),
          intents.filter((_, at) => at !== ownIntent),
          said,
          heard,
        )
        if (index % 5 === 4) progress(`${total.sentences} of ${count} sentences`)
      }
      for (const { opener, answer } of answers) {
        signal.throwIfAborted()
        await wavOf([answer], answerFile, BEFORE_ANSWER_S)
        const sound = await say(opener.text, opener.voice)
        writeFileSync(
          file,
          encodeWav(concatenate([silence(0.5), sound, silence(0.3)]), { sampleRateHz: SAMPLE_RATE_HZ }),
        )
        await play(file)
        const { heard: asked } = news.take()
        await play(answerFile)
        const { motions, intents, heard } = news.take()
        total.answers += 1
        if (sameWords(opener.text, `computer ${asked}`)) total.open += 1
        else progress(`no question was asked: ${inWords([opener])} [${asked}]`)
        tell(motions, intents, [opener, answer], heard)
      }
      return rowsOf(total)
    } finally {
      await bench.close()
    }
  },
}
export default refusal

interface Total {
  sentences: number
  plain: number
  moved: number
  answers: number
  open: number
  unasked: number
  intents: number
  audioS: number
}

function rowsOf({ sentences, plain, moved, answers, open, unasked, intents, audioS }: Total): Row[] {
  // Of a few one may be misheard without that meaning anything.
  const least = Math.max(Math.floor(0.97 * plain), plain < 10 ? plain - 1 : 0)
  return [
    { metric: 'listened to', value: Math.round(audioS / 6) / 10, unit: 'min' },
    { metric: 'sentences that must not be carried out', value: sentences, unit: '' },
    { metric: 'answers that are no yes, said to an open question', value: open, unit: `of ${answers}` },
    {
      metric: 'commands at the controller that nobody gave',
      value: unasked,
      unit: '',
      goal: '= 0',
      holds: unasked === 0,
    },
    {
      metric: 'intents accepted that nobody gave (modes and arming too)',
      value: intents,
      unit: '',
      goal: '= 0',
      holds: intents === 0,
    },
    {
      metric: 'plain commands carried out with their value',
      value: moved,
      unit: `of ${plain}`,
      goal: `>= ${least}`,
      holds: moved >= least,
    },
  ]
}
