import { mulberry32 } from '../appliance/contracts/random.ts'
import { MtorError } from '../appliance/contracts/errors.ts'
import type { Measure, MeasureContext, Row } from './harness.ts'
import { KINDS, QUESTIONS, read, spokenText, type Sentence } from './refusal/corpus.ts'
import { each } from './refusal/crew.ts'
import type { Outcome } from './refusal/box.ts'
import { judge, judgePlain, type Verdict } from './refusal/judge.ts'
import { sameWords, shuffled } from './refusal/text.ts'
import { voiceFor } from './refusal/voices.ts'
import type { Task } from './refusal/worker.ts'

/**
 * With --quick the wake word was said before each sentence, by itself, which spares a third of the decoding. Of what is
 * drawn, so many of the plain counterparts to one that must not be carried out.
 */
const QUICK = { sentences: 300, plainShare: 0.2, spokenUntilMs: 37_500, untilMs: 42_000 }
const PLAIN_ACTED_PERCENT = 97
const PLAIN_ASKED_PERCENT = 3

interface RefusalTask extends Task {
  sentence: Sentence
  isPlain: boolean
}

/** Typed they are all to be carried out; spoken, those that the voice got across word for word. */
const goals = {
  acted: (value: number | null) => ({ goal: `>= ${PLAIN_ACTED_PERCENT}`, holds: value !== null && value >= PLAIN_ACTED_PERCENT }),
  asked: (value: number | null) => ({ goal: `<= ${PLAIN_ASKED_PERCENT}`, holds: value !== null && value <= PLAIN_ASKED_PERCENT }),
}

type Tally = Record<Verdict, number>
const tally = (): Tally => ({ acted: 0, safer: 0, asked: 0, refused: 0 })
const sum = ({ acted, safer, asked, refused }: Tally) => acted + safer + asked + refused
const percent = (part: number, whole: number) => (whole === 0 ? null : Math.round((1000 * part) / whole) / 10)

/** The sentence itself, or its plain counterpart, for a box that is in the question the sentence answers. */
function taskOf(sentence: Sentence, isPlain: boolean, voiceSeed: number | undefined, isAwake: boolean): RefusalTask {
  const said = isPlain ? { ...sentence, text: sentence.plain! } : sentence
  const text = voiceSeed === undefined || isAwake ? said.text : spokenText(said)
  return {
    sentence,
    isPlain,
    text,
    ...(voiceSeed === undefined ? {} : { voice: voiceFor(text, voiceSeed) }),
    ...(isAwake && voiceSeed !== undefined && !sentence.question ? { isAwake } : {}),
    ...(sentence.question ? { openers: QUESTIONS[sentence.question].openers } : {}),
  }
}

/** The plain counterparts, each once a voice: many sentences have the same. */
function plainTasks(sentences: readonly Sentence[], voiceSeed: number | undefined, isAwake: boolean): RefusalTask[] {
  const tasks = new Map<string, RefusalTask>()
  for (const sentence of sentences) {
    if (sentence.plain === undefined) continue
    const task = taskOf(sentence, true, voiceSeed, isAwake)
    // The same command is said by another voice the next time.
    if (voiceSeed !== undefined) task.voice = voiceFor(sentence.text, voiceSeed)
    tasks.set([task.text, task.voice ?? '', sentence.question ?? ''].join('\0'), task)
  }
  return [...tasks.values()]
}

/** What became of a list of tasks, and what of them must be told. */
class Counts {
  readonly kinds = new Map<string, Tally>(KINDS.map((kind) => [kind, tally()]))
  readonly plain = tally()
  /** Of these, what the ears heard word for word: what is not acted on here was refused for no reason. */
  readonly plainHeard = tally()
  readonly unwoken = { sentences: 0, plain: 0 }
  /** A voice that is not understood in plain commands says nothing about the others. */
  readonly #voices = new Map<string, Tally>()
  readonly #progress: MeasureContext['progress']
  readonly #how: string
  done = 0

  constructor(how: string, progress: MeasureContext['progress']) {
    this.#how = how
    this.#progress = progress
  }

  add({ sentence, isPlain, text, voice }: RefusalTask, outcome: Outcome): void {
    this.done++
    const who = voice ?? 'typed'
    const heard = outcome.heard.map(({ how, text: words }) => `${how}: ${words}`).join(' | ')
    if (!outcome.woken) this.unwoken[isPlain ? 'plain' : 'sentences']++
    if (isPlain) {
      const verdict = judgePlain(sentence, outcome)
      this.plain[verdict]++
      if (outcome.heard.some(({ text: words }) => sameWords(words, sentence.plain!))) this.plainHeard[verdict]++
      if (!this.#voices.has(who)) this.#voices.set(who, tally())
      this.#voices.get(who)![verdict]++
      if (verdict !== 'acted')
        this.#progress(`plain, ${verdict}: ${who} “${text}” [${heard}] ${outcome.asked.at(-1)?.say ?? ''}`)
      return
    }
    const verdict = judge(sentence, outcome)
    this.kinds.get(sentence.kind)![verdict]++
    if (verdict === 'acted') {
      const did = outcome.submitted.map(({ type, slots }) => `${type} ${JSON.stringify(slots)}`).join(', ')
      this.#progress(`ACTED ON, ${sentence.kind}, ${sentence.part}: ${who} “${text}” → ${did} [${heard}]`)
    }
    if (this.done % 100 === 0) this.#progress(`${this.#how}: ${this.done} done`)
  }

  rows(): Row[] {
    const how = this.#how
    const all = [...this.kinds.values()].reduce(
      (a, b) => ({ acted: a.acted + b.acted, safer: a.safer + b.safer, asked: a.asked + b.asked, refused: a.refused + b.refused }),
      tally(),
    )
    const tried = sum(all)
    const plain = sum(this.plain)
    const actedPercent = percent(this.plain.acted, plain)
    const askedPercent = percent(this.plain.asked, plain)
    const heardActed = percent(this.plainHeard.acted, sum(this.plainHeard))
    const heardAsked = percent(this.plainHeard.asked, sum(this.plainHeard))
    return [
      { metric: `${how}: items`, value: this.done, unit: `of which ${plain} plain` },
      ...KINDS.flatMap((kind): Row[] => {
        const counts = this.kinds.get(kind)!
        return sum(counts) === 0
          ? []
          : [
              {
                metric: `${how}, ${kind}: acted on`,
                value: counts.acted,
                unit: `of ${sum(counts)}`,
                goal: '= 0',
                holds: counts.acted === 0,
              },
              {
                metric: `${how}, ${kind}: asked back / refused`,
                value: `${counts.asked} / ${counts.refused}`,
                unit: '',
              },
            ]
      }),
      {
        metric: `${how}, all that must not be done: acted on`,
        value: tried === 0 ? null : all.acted,
        unit: `of ${tried}`,
        goal: '= 0',
        holds: tried > 0 && all.acted === 0,
      },
      { metric: `${how}, all that must not be done: made safer all the same`, value: all.safer, unit: `of ${tried}` },
      { metric: `${how}, all that must not be done: asked back`, value: all.asked, unit: `of ${tried}` },
      {
        metric: `${how}, plain counterparts: acted on`,
        value: actedPercent,
        unit: `% of ${plain}`,
        ...(how === 'typed' ? goals.acted(actedPercent) : {}),
      },
      {
        metric: `${how}, plain counterparts: asked back`,
        value: askedPercent,
        unit: `% of ${plain}`,
        ...(how === 'typed' ? goals.asked(askedPercent) : {}),
      },
      ...(how === 'spoken'
        ? [
            {
              metric: 'spoken, plain counterparts heard word for word: acted on',
              value: heardActed,
              unit: `% of ${sum(this.plainHeard)}`,
              ...goals.acted(heardActed),
            },
            {
              metric: 'spoken, plain counterparts heard word for word: asked back',
              value: heardAsked,
              unit: `% of ${sum(this.plainHeard)}`,
              ...goals.asked(heardAsked),
            },
            { metric: 'spoken: wake word not heard, sentences', value: this.unwoken.sentences, unit: `of ${tried}` },
            {
              metric: 'spoken: wake word not heard, plain counterparts',
              value: this.unwoken.plain,
              unit: `of ${plain}`,
            },
            ...[...this.#voices]
              .toSorted()
              .map(([voice, counts]) => ({
                metric: `  plain counterparts acted on, ${voice}`,
                value: counts.acted,
                unit: `of ${sum(counts)}`,
              })),
          ]
        : []),
    ]
  }
}

function sentencesOf(context: MeasureContext): Sentence[] {
  const { part = 'all', kind } = context.flags
  if (!['tune', 'held', 'all'].includes(part))
    throw new MtorError('USAGE', `--part: expected tune, held or all, got ${part}`)
  if (kind !== undefined && !KINDS.includes(kind as never))
    throw new MtorError('USAGE', `--kind: expected one of ${KINDS.join(', ')}, got ${kind}`)
  return read().filter(
    (sentence) => (part === 'all' || sentence.part === part) && (kind === undefined || sentence.kind === kind),
  )
}

const refusal: Measure = {
  name: 'refusal',
  title: 'what must not be carried out (negated, asked, quoted, put off …), spoken and typed, and is not',
  flags: [
    { flag: '--part NAME', help: 'tune (to mend by), held (only to measure by), all (default)' },
    { flag: '--kind NAME', help: `only one of ${KINDS.join(', ')}` },
    { flag: '--typed', help: 'only typed: no ears' },
    { flag: '--count N', help: 'draws so many sentences, and a fifth as many plain ones' },
    { flag: '--jobs N', help: 'ears at once, each a process (default: as many as cores)' },
  ],
  async run(context) {
    const startedMs = performance.now()
    const { quick, seed, flags, signal, progress } = context
    const sentences = sentencesOf(context)
    const count = flags.count === undefined ? (quick ? QUICK.sentences : Infinity) : Number(flags.count)
    if (!(count > 0)) throw new MtorError('USAGE', `--count: expected a number above 0, got ${flags.count}`)
    const rows: Row[] = [{ metric: 'sentences', value: sentences.length, unit: `distinct, seed ${seed}` }]
    /** Mixed, so that what is done in time is a fair part of all. */
    const drawn = (voiceSeed: number | undefined) => {
      const random = mulberry32(seed)
      const bad = shuffled(sentences, random)
        .slice(0, count)
        .map((sentence) => taskOf(sentence, false, voiceSeed, quick))
      const plain = shuffled(plainTasks(sentences, voiceSeed, quick), random).slice(
        0,
        Number.isFinite(count) ? Math.ceil(count * QUICK.plainShare) : undefined,
      )
      return shuffled([...bad, ...plain], random)
    }
    const spoken = new Counts('spoken', progress)
    const typed = new Counts('typed', progress)
    // What is typed takes a few milliseconds each; a box that is spoken to can be typed to as well.
    const tasks = [...(flags.typed === undefined ? drawn(seed) : []), ...drawn(undefined)]
    await each(
      tasks,
      {
        ears: flags.typed === undefined,
        signal,
        ...(quick ? { spokenUntilMs: startedMs + QUICK.spokenUntilMs, untilMs: startedMs + QUICK.untilMs } : {}),
        ...(flags.jobs ? { jobs: Number(flags.jobs) } : {}),
      },
      (task, outcome) => (task.voice ? spoken : typed).add(task, outcome),
    )
    for (const counts of flags.typed === undefined ? [spoken, typed] : [typed]) rows.push(...counts.rows())
    return rows
  },
}
export default refusal
