import type { Clock } from '../contracts/clock.ts'
import { CODES } from '../contracts/codes.ts'
import type { Receipt, Source } from '../contracts/envelope.ts'
import { MtorError, toMtorError } from '../contracts/errors.ts'
import type { IntentEvent } from '../contracts/events.ts'
import type { Hub } from '../contracts/hub.ts'
import { intentPolicy, type Identity } from '../contracts/intents.ts'
import type { IntentService } from '../dispatch/index.ts'
import type { AnswerForm, Asking, Dialogue } from '../understand/index.ts'
import type { FromSpeech, UtteranceMessage } from './messages.ts'

/** One step of a conversation, as the CLI shows it and the voice speaks it. */
export type Turn =
  | { kind: 'understood'; type: string; slots: Record<string, unknown> }
  | { kind: 'receipt'; receipt: Receipt }
  | { kind: 'event'; event: IntentEvent }
  /** The box asks or refuses; `expects` says what it waits for. `answers`: it was for the question of a program, which speaks for itself. */
  | { kind: 'say'; say: string; code?: string; expects?: string; answers?: true }

/** Times of one spoken request, CLOCK_MONOTONIC ms, in the order they happen. */
export interface VoiceTimeline {
  wakeMs?: number
  /** Where the wake word itself ended; `wakeMs` is when that was noticed. */
  wakeEndMs?: number
  speechStartMs: number
  speechEndMs: number
  endpointMs: number
  transcriptMs: number
  understoodMs?: number
  acceptedMs?: number
  startedMs?: number
  deviceStartedMs?: number
  finishedMs?: number
  replyStartedMs?: number
}

/** What the conversation needs of the speech process. */
export interface Voice {
  speak(text: string, options?: { interrupt?: boolean }): Promise<void>
  earcon(name: 'heard' | 'understood' | 'refused'): void
  silence(): void
  expectAnswer(forMs: number, form?: AnswerForm): void
}

export interface ConversationOptions {
  dialogue: Dialogue
  service: IntentService
  hub: Hub
  clock: Clock
  voice: () => Voice | undefined
  answerWindowMs: number
  /** False where the voice is there but silent, by configuration. Left out: it is not. */
  speaks?: boolean
  /** Questions of programs; the same that the dialogue has. */
  asking?: Asking
  /** Hears free speech once more, with a better model; gives the message as it is where it has none. Never rejects. */
  betterEars?: (message: UtteranceMessage) => Promise<UtteranceMessage>
}

/** A yes and a no are heard best by ears that know little else. */
export const formOf = (expects: string): AnswerForm | undefined => expects === 'confirm' ? { kind: 'confirm' } : expects === 'choice' ? { kind: 'yes-no' } : undefined

const VOICE_IDENTITY: Identity = { client: 'voice', role: 'operator', kind: 'voice' }
/** A spotted stop word is often also the utterance that follows it: not to be carried out twice. */
const STOP_ECHO_MS = 3_000
/** "No" is about the request before it, if that was understood so recently. */
const OBJECTION_MS = 5_000
/** Announcements that wait for the speech process: no more, and no longer, than anybody would want to hear afterwards. */
const MOST_UNSAID = 10, UNSAID_MS = 60_000
/** A sentence that a program waits for is said by then, or not at all. */
const SPEAK_WAIT_MS = 15_000

/**
 * Turns sentences into submissions and answers into sentences. Text (CLI) and voice go the same way: dialogue,
 * service, final event; the voice adds earcons and speech.
 */
export class Conversation {
  readonly #o: ConversationOptions
  #lastSaid: string | undefined
  #lastStopMs = -Infinity
  /** What was asked for aloud, last. */
  #lastSpoken: { type: string; atMs: number } | undefined
  #speakingMs: number | undefined
  readonly #unsaid: { text: string; untilMs: number }[] = []
  readonly #whenBack = new Set<() => void>()

  constructor(options: ConversationOptions) { this.#o = options }

  /** What was said last, for "repeat". */
  get lastSaid() { return this.#lastSaid }

  /** One sentence of a session, typed or spoken; yields what becomes of it, ending with the final event. */
  async *hear(session: string, text: string, identity: Identity, options: { spoken: boolean; /** The operator has been asked already: what is hazardous is not asked about. */ confirmed?: boolean; signal?: AbortSignal; /** See Dialogue.hear. */ answer?: UtteranceMessage['answer']; doubt?: UtteranceMessage['doubt'] }): AsyncGenerator<Turn> {
    const { dialogue, service } = this.#o
    const act = await dialogue.hear(session, text, { spoken: options.spoken, confirmed: options.confirmed, answer: options.answer, doubt: options.doubt })
    if (act.act === 'answered') return yield { kind: 'say', say: act.say, answers: true, ...(act.code ? { code: act.code } : {}) }
    if (act.act !== 'submit') {
      this.#lastSaid = act.say
      yield { kind: 'say', say: act.say, ...(act.act === 'refuse' ? { code: act.code } : {}), ...(act.act === 'ask' ? { expects: act.expects } : {}) }
      return
    }
    yield { kind: 'understood', type: act.type, slots: act.slots }
    const source: Omit<Source, 'node'> = { kind: identity.kind, operator: identity.client.slice(0, 64) }
    yield* this.submit(service.envelope(act.type, act.slots, source, { confirmed: act.confirmed === true }), identity, options.signal)
  }

  /** Submits an envelope and yields its receipt, its events and its final event. */
  async *submit(envelope: { id: string }, identity: Identity, signal?: AbortSignal): AsyncGenerator<Turn> {
    const events: IntentEvent[] = []
    let wake = () => {}
    const off = this.#o.hub.onIntent((event) => { if (event.id === envelope.id) { events.push(event); wake() } })
    const onAbort = () => wake()
    signal?.addEventListener('abort', onAbort)
    try {
      const receipt = await this.#o.service.submit(envelope, identity)
      yield { kind: 'receipt', receipt }
      if (!receipt.accepted || receipt.duplicate) return
      while (!signal?.aborted) {
        const event = events.shift()
        if (!event) { await new Promise<void>((resolve) => { wake = resolve; if (events.length) resolve() }); continue }
        yield { kind: 'event', event }
        if (event.state === 'succeeded' || event.state === 'failed' || event.state === 'expired' || event.state === 'aborted') {
          if (event.say && event.type !== 'repeat') this.#lastSaid = event.say
          return
        }
      }
    } finally { off(); signal?.removeEventListener('abort', onAbort) }
  }

  /** What the speech process heard. */
  onSpeech(message: FromSpeech): void {
    const { hub, service } = this.#o
    const voice = this.#o.voice()
    switch (message.kind) {
      case 'wake':
        voice?.earcon('heard')
        hub.system({ severity: 'debug', component: 'speech', name: 'wake', data: { confidence: message.confidence, atMs: message.atMs, ...message.endMs === undefined ? {} : { endMs: message.endMs } } })
        return
      case 'stop-word':
        // The service triggers the stop path on this very stack, before anything else.
        void service.submit(service.envelope('stop', {}, { kind: 'voice' }), VOICE_IDENTITY)
        this.#o.asking?.stopped()
        voice?.silence()
        // A microphone near the loudspeaker hears our own "Stopped.": that stops once more, but is not answered again.
        if (this.#o.clock.monoMs() - this.#lastStopMs > STOP_ECHO_MS) void this.#say(CODES.STOPPED.say)
        this.#lastStopMs = this.#o.clock.monoMs()
        return
      case 'objection':
        this.#objected(message.text)
        return
      case 'speaking':
        if (message.state === 'started') this.#speakingMs = message.atMs
        return
      case 'ready':
        for (const back of [...this.#whenBack]) back()
        this.#o.asking?.back()
        for (const { text, untilMs } of this.#unsaid.splice(0)) if (this.#o.clock.monoMs() < untilMs) void this.#say(text)
        return
      case 'answering':
        this.#o.asking?.hearing(message.on)
        return
      case 'wake-timeout':
        this.#o.asking?.again()
        hub.system({ severity: 'debug', component: 'speech', name: 'wake.timeout' })
        return
      case 'utterance':
        // While it is made out what was said, no question runs out of time.
        this.#o.asking?.hearing(true)
        void this.#utterance(message)
          .finally(() => { this.#o.asking?.hearing(false) })
          .catch((error: unknown) => { hub.system({ severity: 'error', component: 'speech', name: 'utterance.failed', code: toMtorError(error).code, message: toMtorError(error).message }) })
          .finally(() => { hub.system({ severity: 'debug', component: 'speech', name: 'answered', message: message.text }) })
        return
      default:
    }
  }

  /** "No", right after a command: what moves stands still at once, and what was asked for is dropped. */
  #objected(text: string): void {
    const { hub, service, clock } = this.#o
    const last = this.#lastSpoken
    if (!last || clock.monoMs() - last.atMs > OBJECTION_MS) return
    this.#lastSpoken = undefined
    hub.system({ severity: 'info', component: 'speech', name: 'objection', message: text, data: { type: last.type } })
    // A stop also drops what waits; its own voice answers for the rest.
    if (intentPolicy(last.type)?.actuates) void service.submit(service.envelope('stop', {}, { kind: 'voice' }), VOICE_IDENTITY)
    else void this.#cancelSpoken().catch((error: unknown) => { hub.system({ severity: 'error', component: 'speech', name: 'objection.failed', code: toMtorError(error).code, message: toMtorError(error).message }) })
  }

  async #cancelSpoken(): Promise<void> {
    for await (const turn of this.hear('voice', 'cancel', VOICE_IDENTITY, { spoken: true })) if (turn.kind === 'event' && turn.event.state === 'succeeded') await this.#say(turn.event.say)
  }

  async #utterance(heard: UtteranceMessage): Promise<void> {
    const { hub, clock, betterEars } = this.#o
    const message = heard.how === 'free' && betterEars ? await betterEars(heard) : heard
    const voice = this.#o.voice()
    hub.system({ severity: 'info', component: 'speech', name: 'heard', message: message.how === 'rejected' ? `not in the grammar: ${message.text}` : message.text, data: { how: message.how, confidence: message.confidence, engine: message.engine, ...message.doubt ? { doubt: message.doubt } : {}, tookMs: Math.round(message.timeline.transcriptMs - message.timeline.speechEndMs) } })
    if (message.how === 'rejected') {
      voice?.earcon('refused')
      if (message.answer) this.#o.asking?.miss('voice', message.text)
      await this.#o.asking?.saying
      hub.system({ severity: 'info', component: 'speech', name: 'refused', code: 'NOT_UNDERSTOOD', message: message.text })
      return
    }
    const timeline: VoiceTimeline = { ...message.timeline }
    for await (const turn of this.hear('voice', message.text, VOICE_IDENTITY, { spoken: true, ...message.answer ? { answer: message.answer } : {}, ...message.doubt ? { doubt: message.doubt } : {} })) {
      if (turn.kind === 'understood') {
        if (turn.type === 'stop' && clock.monoMs() - this.#lastStopMs < STOP_ECHO_MS) return
        timeline.understoodMs = clock.monoMs()
        this.#lastSpoken = { type: turn.type, atMs: clock.monoMs() }
      } else if (turn.kind === 'receipt') {
        timeline.acceptedMs = clock.monoMs()
        voice?.earcon(turn.receipt.accepted ? 'understood' : 'refused')
        if (!turn.receipt.accepted) await this.#say(turn.receipt.say ?? 'No.')
      } else if (turn.kind === 'event') {
        const { event } = turn
        if (event.state === 'started') timeline.startedMs = event.at.mono
        else if (event.state === 'progress' && event.data?.deviceStarted === true) timeline.deviceStartedMs = event.at.mono
        else if (event.state !== 'accepted' && event.state !== 'progress') {
          timeline.finishedMs = event.at.mono
          if (await this.#say(event.say) && this.#speakingMs !== undefined) timeline.replyStartedMs = this.#speakingMs
          hub.system({ severity: 'debug', component: 'speech', name: 'timeline', data: { id: event.id, type: event.type, state: event.state, text: message.text, ...timeline } })
        }
      } else if (turn.answers) {
        voice?.earcon(turn.code ? 'refused' : 'understood')
        return this.#o.asking?.saying
      } else {
        if (turn.code) voice?.earcon('refused')
        await this.#say(turn.say)
        if (turn.expects) return voice?.expectAnswer(this.#o.answerWindowMs, formOf(turn.expects))
      }
    }
    // It was a command while a program's question is open.
    this.#o.asking?.again()
  }

  /**
   * Says a sentence that a program asked for; resolves once it was said. While the speech process is down it is waited for a
   * little. @throws MtorError SPEECH_DOWN where nothing can be said, or what `Voice.speak` does; the signal's reason
   */
  async speak(text: string, { interrupt = false, signal }: { interrupt?: boolean; signal?: AbortSignal } = {}): Promise<void> {
    this.#lastSaid = text
    const untilMs = this.#o.clock.monoMs() + SPEAK_WAIT_MS
    for (;;) {
      const voice = this.#o.voice()
      if (!voice || this.#o.speaks === false) throw new MtorError('SPEECH_DOWN', 'speech is switched off in the configuration', { hint: 'Set speech.enabled to true and speech.speak.engine to auto, and start again.' })
      const back = this.#back(untilMs - this.#o.clock.monoMs(), signal)
      const silence = () => voice.silence()
      signal?.addEventListener('abort', silence, { once: true })
      try { return await voice.speak(text, { interrupt }) } catch (error) {
        if (toMtorError(error).code !== 'SPEECH_DOWN' || !await back.promise) throw signal?.aborted ? signal.reason : error
      } finally {
        signal?.removeEventListener('abort', silence)
        back.forget()
      }
    }
  }

  /** True once the speech process is back; false when the time is over or the signal aborted. */
  #back(withinMs: number, signal?: AbortSignal): { promise: Promise<boolean>; forget(): void } {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const yes = () => resolve(true), no = () => resolve(false)
    const timer = this.#o.clock.setTimeout(no, Math.max(0, withinMs))
    this.#whenBack.add(yes)
    signal?.addEventListener('abort', no, { once: true })
    return { promise, forget: () => { this.#o.clock.clearTimeout(timer); this.#whenBack.delete(yes); signal?.removeEventListener('abort', no) } }
  }

  /** Speaks, true once it was said; a speech process that is down is announced by its host, and the answer still stands in the events. */
  async #say(text: string | undefined): Promise<boolean> {
    const voice = this.#o.voice()
    if (!text || !voice) return false
    return voice.speak(text).then(() => true, () => false)
  }

  /** Says something unasked: an announcement. While the speech process is down it is kept, and said once that is back. */
  announce(text: string): void {
    this.#lastSaid = text
    void this.#say(text).then((said) => {
      if (said || this.#unsaid.length >= MOST_UNSAID) return
      this.#unsaid.push({ text, untilMs: this.#o.clock.monoMs() + UNSAID_MS })
    })
  }
}
