import { randomUUID } from 'node:crypto'
import { MtorError, toMtorError } from '../../../contracts/errors.ts'
import type { IntentEvent } from '../../../contracts/events.ts'
import type { Identity } from '../../../contracts/intents.ts'
import type { DialectParts } from '../port.ts'
import { meaningOf, slotsOf, TOPICS, type ContinueSession, type EndSession, type StartSession, type Termination } from './messages.ts'
import { newSession, type HeardText, type Session } from './session.ts'

export interface DialogueManagerOptions extends Pick<DialectParts, 'clock' | 'service' | 'understander' | 'expectAnswer'> {
  siteId: string
  answerWindowMs: number
  publish(topic: string, payload: Record<string, unknown>): void
}

/** How long a client has to go on with a session or to end it, ms. */
const CLIENT_MS = 30_000
/** After the box has answered what it heard, a client may still go on with the session for this long, ms. */
const LINGER_MS = 2_000
const MOST_QUEUED = 10
const ENDINGS: Readonly<Record<string, Termination>> = { NO_ANSWER: 'timeout', DEADLINE: 'timeout', CANCELLED: 'abortedByUser', STOPPED: 'abortedByUser', NOT_UNDERSTOOD: 'intentNotRecognized' }
interface Waiting { session: Session; init: StartSession['init'] }

/** The sessions of one site: one at a time, others wait. What a client asks aloud is the intent speech.ask, what it says is speech.say. */
export class DialogueManager {
  readonly #o: DialogueManagerOptions
  readonly #queue: Waiting[] = []
  #active: Session | undefined
  /** What the box is carrying out just now, and whether it was told as an intent. */
  #utterance: { text: string; understood: boolean } | undefined

  constructor(options: DialogueManagerOptions) { this.#o = options }

  get active(): Session | undefined { return this.#active }

  stop(): void {
    this.#queue.length = 0
    const session = this.#active
    if (session) this.#end(session, 'error')
  }

  start({ init, customData = null }: StartSession, identity: Identity): void {
    const session = newSession(randomUUID(), identity, { customData })
    if (!this.#active) { this.#begin(session, init); return }
    if (init.type === 'action' && !init.canBeEnqueued) return this.#error(session.id, 'the site is busy and the session may not wait')
    if (this.#queue.length >= MOST_QUEUED) return this.#error(session.id, `${MOST_QUEUED} sessions wait already`)
    this.#queue.push({ session, init })
    this.#o.publish(TOPICS.sessionQueued, this.#of(session))
  }

  continue({ sessionId, text, customData, intentFilter = null, sendIntentNotRecognized }: ContinueSession, identity: Identity): void {
    const session = this.#active
    if (session?.id !== sessionId) return this.#error(sessionId, 'no such session is open')
    if (session.state === 'asking' || session.state === 'saying') return this.#error(sessionId, `the session is ${session.state}`)
    Object.assign(session, { intentFilter, sendIntentNotRecognized: sendIntentNotRecognized ?? false, customData: customData ?? session.customData })
    this.#listen(session, text, identity)
  }

  end({ sessionId, text, customData }: EndSession, identity: Identity): void {
    const session = this.#active
    if (session?.id !== sessionId) {
      const waits = this.#queue.findIndex((each) => each.session.id === sessionId)
      if (waits < 0) return this.#error(sessionId, 'no such session is open')
      this.#told(this.#queue.splice(waits, 1)[0]!.session, 'nominal')
      return
    }
    session.customData = customData ?? session.customData
    session.abort.abort(new MtorError('CANCELLED', 'the session was ended'))
    if (text) this.#sayAndEnd(session, text, identity)
    else this.#end(session, 'nominal')
  }

  /** The wake word: a session of the box itself, unless one is open. @param tell is told the id of the session, before that begins */
  woken(wakewordId: string, tell: (sessionId: string | null) => void): void {
    const before = this.#active
    if (before && before.client === undefined && before.timer !== undefined) this.#end(before, 'nominal')
    if (this.#active) return tell(null)
    const session = newSession(randomUUID(), undefined, { wakewordId })
    tell(session.id)
    this.#begin(session)
  }

  /** The wake word was not followed by anything. */
  silence(): void { if (this.#active?.state === 'listening') this.#end(this.#active, 'timeout') }

  /** A sentence that the box has heard and is about to carry out. @param sessionId of who had the ears opened */
  heard(heard: HeardText, sessionId?: string | null): void {
    const session = this.#active ?? this.#beginHeard()
    if (session.state === 'asking') { session.heard = heard; return }
    const own = session.state === 'listening' ? session : undefined
    if (own) { this.#rest(own); own.understood = false }
    this.#captured(heard, own, sessionId ?? own?.id ?? null)
    const meaning = heard.isRejected ? undefined : meaningOf(this.#o.understander.match(heard.text), null)
    this.#utterance = { text: heard.text, understood: meaning !== undefined }
    if (meaning) this.#intent(heard, meaning, own)
  }

  /** The box has taken an intent from the voice: what no template knew (an answer to its own question) is told now. */
  accepted({ type, data }: Pick<IntentEvent, 'type' | 'data'>): void {
    const utterance = this.#utterance
    if (utterance?.understood) return
    if (utterance) utterance.understood = true
    // While a question is out: a command that was said instead of an answer.
    const heard = this.#active?.heard ?? { text: utterance?.text ?? '', confidence: 1, tookMs: 0 }
    this.#intent(heard, { type, slots: (data?.slots ?? {}) as Record<string, unknown>, confidence: 1 }, this.#active?.state === 'listening' ? this.#active : undefined)
  }

  /** The box has answered what it heard. */
  answered(text: string): void {
    this.#utterance = undefined
    const session = this.#active
    if (session?.state !== 'listening') return
    if (!session.understood) {
      this.#o.publish(TOPICS.notRecognised, { ...this.#of(session), input: text })
      if (session.client === undefined || !session.sendIntentNotRecognized) { this.#end(session, 'intentNotRecognized'); return }
    }
    this.#expire(session, session.client === undefined ? LINGER_MS : CLIENT_MS, session.client === undefined ? 'nominal' : 'timeout')
  }

  #of({ id, customData }: Session) { return { sessionId: id, siteId: this.#o.siteId, customData } }
  #error(sessionId: string, error: string) { this.#o.publish(TOPICS.error('dialogueManager'), { error, siteId: this.#o.siteId, context: null, sessionId }) }

  #begin(session: Session, init?: StartSession['init']) {
    this.#active = session
    this.#o.publish(TOPICS.sessionStarted, { ...this.#of(session), lang: null })
    if (init?.type === 'notification') return this.#sayAndEnd(session, init.text, session.client!)
    if (!init) return this.#expire(session, CLIENT_MS, 'timeout')
    Object.assign(session, { intentFilter: init.intentFilter ?? null, sendIntentNotRecognized: init.sendIntentNotRecognized ?? false })
    this.#listen(session, init.text, session.client!)
  }

  #beginHeard(): Session {
    const session = newSession(randomUUID(), undefined)
    this.#begin(session)
    return session
  }

  /** With a question: speech.ask. Without: as if the wake word had been said, so the box carries out what follows. */
  #listen(session: Session, text: string | null | undefined, identity: Identity) {
    this.#rest(session)
    session.understood = false
    if (text) { void this.#ask(session, text, identity); return }
    session.state = 'listening'
    this.#o.expectAnswer(this.#o.answerWindowMs)
    this.#expire(session, CLIENT_MS, 'timeout')
  }

  async #ask(session: Session, question: string, identity: Identity) {
    Object.assign(session, { state: 'asking', heard: undefined })
    try {
      const { data } = await this.#run('speech.ask', { question, kind: 'text' }, identity, session.abort.signal)
      if (this.#active !== session || session.state !== 'asking') return
      const text = String(data?.text ?? data?.answer ?? '')
      session.state = 'waiting'
      this.#recognise(session, { text, confidence: session.heard?.confidence ?? 1, tookMs: session.heard?.tookMs ?? 0 })
    } catch (thrown) {
      if (this.#active !== session || session.state !== 'asking') return
      const { code, message } = toMtorError(thrown)
      const ending = ENDINGS[code] ?? 'error'
      if (ending === 'error') this.#error(session.id, `${code}: ${message}`)
      this.#end(session, ending)
    }
  }

  /** The answer to a client's question is for the client: it is told what it means, and nothing is carried out. */
  #recognise(session: Session, heard: HeardText) {
    this.#captured(heard, session, session.id)
    const meaning = meaningOf(this.#o.understander.match(heard.text), session.intentFilter)
    if (meaning) this.#intent(heard, meaning, session)
    else {
      this.#o.publish(TOPICS.queryNotRecognised, { ...this.#of(session), input: heard.text, id: null })
      if (!session.sendIntentNotRecognized) { this.#end(session, 'intentNotRecognized'); return }
      this.#o.publish(TOPICS.notRecognised, { ...this.#of(session), input: heard.text })
    }
    this.#expire(session, CLIENT_MS, 'timeout')
  }

  #captured({ text, confidence, tookMs }: HeardText, session: Session | undefined, sessionId: string | null) {
    this.#o.publish(TOPICS.textCaptured, { text, likelihood: confidence, seconds: tookMs / 1000, siteId: this.#o.siteId, sessionId, wakewordId: session?.wakewordId ?? null, asrTokens: null, lang: null })
  }

  #intent({ text, confidence }: HeardText, { type, slots, confidence: sure }: { type: string; slots: Record<string, unknown>; confidence: number }, session: Session | undefined) {
    if (session) session.understood = true
    const parsed = { input: text, intent: { intentName: type, confidenceScore: sure }, siteId: this.#o.siteId, id: null, slots: slotsOf(type, slots), sessionId: session?.id ?? null }
    this.#o.publish(TOPICS.parsed, parsed)
    this.#o.publish(TOPICS.intent(type), { ...parsed, customData: session?.customData ?? null, asrTokens: null, asrConfidence: confidence, rawInput: text, wakewordId: session?.wakewordId ?? null, lang: null })
  }

  #sayAndEnd(session: Session, text: string, identity: Identity) {
    this.#rest(session)
    session.state = 'saying'
    this.#run('speech.say', { text }, identity).then(() => 'nominal' as const, (thrown: unknown) => { this.#error(session.id, toMtorError(thrown).message); return 'error' as const })
      .then((termination) => this.#end(session, termination))
  }

  /** @throws MtorError with the code of an intent that was refused or failed */
  async #run(type: string, slots: Record<string, unknown>, identity: Identity, signal?: AbortSignal): Promise<IntentEvent> {
    const { service } = this.#o
    const event = await service.run(service.envelope(type, slots, { kind: identity.kind, operator: identity.client.slice(0, 64) }), identity, signal)
    if (event.state !== 'succeeded') throw new MtorError(event.code ?? 'INTERNAL', event.message ?? event.state)
    return event
  }

  #expire(session: Session, afterMs: number, termination: Termination) {
    this.#rest(session)
    session.timer = this.#o.clock.setTimeout(() => { session.timer = undefined; this.#end(session, termination) }, afterMs)
  }
  #rest(session: Session) {
    this.#o.clock.clearTimeout(session.timer)
    session.timer = undefined
  }

  #end(session: Session, termination: Termination) {
    if (this.#active !== session) return
    this.#rest(session)
    session.abort.abort(new MtorError('CANCELLED', 'the session has ended'))
    this.#active = undefined
    this.#told(session, termination)
    const next = this.#queue.shift()
    if (next) this.#begin(next.session, next.init)
  }

  #told(session: Session, reason: Termination) { this.#o.publish(TOPICS.sessionEnded, { ...this.#of(session), termination: { reason } }) }
}
