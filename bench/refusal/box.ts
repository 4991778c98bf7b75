import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeConfig } from '../../appliance/config/load.ts'
import { systemClock as clock } from '../../appliance/contracts/clock.ts'
import { MtorError } from '../../appliance/contracts/errors.ts'
import { Hub } from '../../appliance/contracts/hub.ts'
import { uuidv7 } from '../../appliance/contracts/ids.ts'
import { isHazardous, type Identity } from '../../appliance/contracts/intents.ts'
import type { IntentService } from '../../appliance/dispatch/index.ts'
import { Conversation, formOf, type Turn } from '../../appliance/speech/conversation.ts'
import type { FromSpeech } from '../../appliance/speech/messages.ts'
import { SpeechPipeline } from '../../appliance/speech/pipeline.ts'
import { concatenate, silence } from '../../appliance/speech/sounds.ts'
import { SAMPLE_RATE_HZ } from '../../appliance/speech/vad.ts'
import { Dialogue, expectedAnswer, Understander, type AnswerForm } from '../../appliance/understand/index.ts'

export interface Submitted {
  type: string
  slots: Record<string, unknown>
}

/** What became of one sentence. */
export interface Outcome {
  submitted: Submitted[]
  /** Questions of the box. */
  asked: { say: string; expects: string }[]
  /** What a "yes" to its last question submits; undefined where nobody said yes. */
  afterYes?: Submitted[]
  /** What the ears made of it: how and text. */
  heard: { how: string; text: string }[]
  /** The wake word was heard, or none was needed. */
  woken: boolean
}

const VOICE: Identity = { client: 'voice', role: 'operator', kind: 'voice' }
const TYPED: Identity = { client: 'cli', role: 'operator', kind: 'cli' }
const FRAME_SAMPLES = 512
const BEFORE_S = 0.25
/** Until the ears have made up their minds, which takes longer than the silence that ends a sentence. */
const BETWEEN_MS = 2_000
export const CACHE = join(tmpdir(), `mtor-bench-understand-${process.getuid?.() ?? 0}`)

/**
 * The box from ears to journal, on audio time: the real pipeline, conversation, dialogue and understander with their
 * usual configuration. What would be put into the journal is only written down, and what it says nobody hears.
 */
export class Box {
  readonly #conversation: Conversation
  readonly #dialogue: Dialogue
  readonly #understander: Understander
  readonly #pipeline: SpeechPipeline | undefined
  readonly #submitted: Submitted[]
  readonly #asked: Outcome['asked']
  readonly #messages: FromSpeech[]
  readonly #working: Promise<void>[]
  readonly #config = makeConfig({ node: 'bench' })
  #atMs = 0

  private constructor(parts: {
    understander: Understander
    pipeline: SpeechPipeline | undefined
    dialogue: Dialogue
    conversation: Conversation
    submitted: Submitted[]
    asked: Outcome['asked']
    messages: FromSpeech[]
    working: Promise<void>[]
  }) {
    this.#understander = parts.understander
    this.#pipeline = parts.pipeline
    this.#dialogue = parts.dialogue
    this.#conversation = parts.conversation
    this.#submitted = parts.submitted
    this.#asked = parts.asked
    this.#messages = parts.messages
    this.#working = parts.working
  }

  /**
   * @param options.ears false: a box that is only typed to
   * @param options.prepare the proposer is loaded or trained from the beginning, not when it is first needed
   */
  static async open(options: { ears: boolean; prepare: boolean }): Promise<Box> {
    const config = makeConfig({ node: 'bench' })
    const { understand, speech } = config
    const sequences = Object.keys(config.sequences)
    const understander = await Understander.load({
      directories: understand.directories,
      sequences,
      cacheDirectory: CACHE,
    })
    const submitted: Submitted[] = []
    const asked: Outcome['asked'] = []
    const messages: FromSpeech[] = []
    const working: Promise<void>[] = []
    const hub = new Hub(clock, 'bench')
    const { answerTimeoutMs, proposals } = understand
    const dialogue = new Dialogue({ understander, clock, answerTimeoutMs, isHazardous, proposals })
    const holder: { pipeline?: SpeechPipeline } = {}
    const voice = {
      speak: async () => {},
      earcon: () => {},
      silence: () => {},
      expectAnswer: (forMs: number, form?: AnswerForm) => {
        holder.pipeline?.expectAnswer(forMs, form && expectedAnswer(form))
      },
    }
    const conversation = new Conversation({
      dialogue,
      service: recorder(submitted),
      hub,
      clock,
      voice: () => voice,
      answerWindowMs: speech.answerWindowMs,
    })
    const hear = conversation.hear.bind(conversation)
    // The voice's turns are seen only by the conversation itself: the box looks over its shoulder.
    conversation.hear = async function* (...args) {
      for await (const turn of hear(...args)) {
        note(turn, asked)
        yield turn
      }
    }
    // One utterance after the other: each is told as answered when it is.
    const waiting: (() => void)[] = []
    hub.onSystem(({ name }) => {
      if (name === 'answered') waiting.shift()?.()
    })
    const pipeline = options.ears
      ? await SpeechPipeline.load({
          engine: speech.engine,
          grammar: understander.speechGrammar(),
          completeness: (text) => understander.completeness(text), meaning: (text) => understander.meaning(text),
          endSilenceMs: speech.endSilenceMs,
          maxSilenceMs: speech.maxSilenceMs,
          answerWindowMs: speech.answerWindowMs,
          emit: (message) => {
            messages.push(message)
            if (message.kind === 'utterance') {
              const { promise, resolve } = Promise.withResolvers<void>()
              waiting.push(resolve)
              working.push(promise)
            }
            conversation.onSpeech(message)
          },
        })
      : undefined
    if (pipeline) holder.pipeline = pipeline
    // Meanwhile. Where there is no room for training nothing is proposed, as in the appliance.
    if (proposals && options.prepare) void understander.prepareProposals().catch(() => {})
    return new Box({ understander, pipeline, dialogue, conversation, submitted, asked, messages, working })
  }

  get engine(): string {
    return this.#pipeline?.engine ?? 'none'
  }

  /**
   * What is said to a box that has heard nothing before.
   * @param options.openers sentences of which one brings the box to ask a question, which the sound then answers
   * @param options.yes whether its question is answered with "yes"
   */
  async hear(sound: Int16Array, options: { openers?: readonly string[]; isAwake?: boolean; yes?: boolean } = {}): Promise<Outcome> {
    const pipeline = this.#pipeline
    if (!pipeline) throw new MtorError('INTERNAL', 'this box was opened without ears')
    this.#forget()
    pipeline.reset()
    if (options.openers) {
      const form = await this.#ask('voice', options.openers)
      pipeline.expectAnswer(this.#config.speech.answerWindowMs, form && expectedAnswer(form))
    if (options.isAwake) pipeline.expectAnswer(this.#config.speech.answerWindowMs)
    }
    const audio = concatenate([silence(BEFORE_S), sound])
    for (let i = 0; i < audio.length; i += FRAME_SAMPLES) {
      const frame = audio.subarray(i, i + FRAME_SAMPLES)
      this.#atMs += frame.length / (SAMPLE_RATE_HZ / 1000)
      await pipeline.push(frame, this.#atMs)
    }
    await pipeline.flush()
    this.#atMs += BETWEEN_MS
    await Promise.all(this.#working)
    const woken = options.openers !== undefined || options.isAwake === true || this.#messages.some(({ kind }) => kind === 'wake')
    const outcome = this.#outcome(woken)
    return options.yes && outcome.asked.length > 0 ? { ...outcome, afterYes: await this.#yes('voice') } : outcome
  }

  /** The same, typed. */
  async type(text: string, options: { openers?: readonly string[]; yes?: boolean } = {}): Promise<Outcome> {
    this.#forget()
    if (options.openers) await this.#ask('cli', options.openers)
    for await (const _ of this.#conversation.hear('cli', text, TYPED, { spoken: false })) {
      /* Until it is answered. */
    }
    const outcome = this.#outcome(true)
    return options.yes && outcome.asked.length > 0 ? { ...outcome, afterYes: await this.#yes('cli') } : outcome
  }

  close(): void {
    this.#dialogue.stop()
    this.#understander.stop()
    this.#pipeline?.close()
  }

  /** Brings the box to ask a question, and tells what answer that expects. @throws MtorError NOT_FOUND where none of the sentences does */
  async #ask(session: string, openers: readonly string[]): Promise<AnswerForm | undefined> {
    for (const opener of openers) {
      for await (const _ of this.#conversation.hear(session, opener, VOICE, { spoken: true })) {
        /* Until it has asked. */
      }
      const isOpen = this.#dialogue.isOpen(session)
      const form = formOf(this.#asked.at(-1)?.expects ?? '')
      this.#submitted.length = this.#asked.length = 0
      if (isOpen) return form
    }
    throw new MtorError('NOT_FOUND', `the box asks nothing after any of: ${openers.join(' / ')}`)
  }

  /** What a firm yes to the open question submits. */
  async #yes(session: string): Promise<Submitted[]> {
    const before = this.#submitted.length
    for await (const _ of this.#conversation.hear(session, 'yes', VOICE, { spoken: true })) {
      /* Until it is answered. */
    }
    return this.#submitted.slice(before)
  }

  #outcome(woken: boolean): Outcome {
    const heard = this.#messages.flatMap((message) =>
      message.kind === 'utterance' ? [{ how: message.how, text: message.text }] : [],
    )
    return { submitted: [...this.#submitted], asked: [...this.#asked], heard, woken }
  }

  #forget() {
    this.#dialogue.stop()
    for (const list of [this.#submitted, this.#asked, this.#messages, this.#working]) list.length = 0
  }
}

function note(turn: Turn, asked: Outcome['asked']) {
  if (turn.kind === 'say' && turn.expects) asked.push({ say: turn.say, expects: turn.expects })
}

/** Stands for admission, journal and dispatch: writes down what is submitted. Its receipt ends the conversation. */
function recorder(submitted: Submitted[]): IntentService {
  const service: Pick<IntentService, 'envelope' | 'submit'> = {
    envelope: (type, slots, source) => ({
      v: 1,
      id: uuidv7(),
      type,
      slots,
      source: { ...source, node: 'bench' },
      issuedAt: { boot: 1, mono: clock.monoMs() },
      ttlMs: 10_000,
      priority: 5,
    }),
    submit: async (envelope) => {
      const { id, type, slots } = envelope as { id: string } & Submitted
      submitted.push({ type, slots })
      return { v: 1, id, accepted: true, duplicate: true, at: { boot: 1, mono: clock.monoMs() } }
    },
  }
  return service as IntentService
}
