import type { Heard } from '../../../bus/index.ts'
import { Throttle } from '../../../bus/limits.ts'
import { MtorError, toMtorError } from '../../../contracts/errors.ts'
import type { IntentEvent, SystemEvent } from '../../../contracts/events.ts'
import type { Identity } from '../../../contracts/intents.ts'
import { textOf, type DialectParts } from '../port.ts'
import { DialogueManager } from './dialogue-manager.ts'
import { meaningOf, slotsOf, TAKEN, TOPICS, type ContinueSession, type EndSession, type Listening, type Query, type Say, type StartSession } from './messages.ts'

export { FOREIGN } from './messages.ts'

export interface HermesOptions extends DialectParts {
  siteId: string
  /** False where this box has no ears. */
  speech: boolean
  wakeWord: string
  answerWindowMs: number
}

const COMPONENT = 'hermes'
const USUAL_SITE = 'default'
/** A word as a level of a topic. */
const levelOf = (word: string) => word.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')

/** The topics of Hermes, as Rhasspy has them: tells what the ears hear and understand, and takes what clients ask of voice, ears and understanding. */
export class Hermes {
  readonly #o: HermesOptions
  readonly #manager: DialogueManager
  readonly #complaints: Throttle
  #off: (() => void)[] = []
  /** Of the client that had the ears opened last. */
  #listening: Listening | undefined
  #rejectedTookMs = 0

  constructor(options: HermesOptions) {
    this.#o = options
    this.#manager = new DialogueManager({ ...options, publish: (topic, payload) => this.#publish(topic, payload) })
    this.#complaints = new Throttle(options.clock, 1, 5)
  }

  start(): void {
    const { bus, hub } = this.#o
    this.#off = [
      ...Object.keys(TAKEN).map((topic) => bus.subscribe(topic, (heard) => this.#take(heard))),
      hub.onSystem((event) => this.#onSystem(event)),
      hub.onIntent((event) => this.#onIntent(event)),
    ]
  }

  stop(): void {
    for (const off of this.#off.splice(0)) off()
    this.#manager.stop()
  }

  #publish(topic: string, payload: Record<string, unknown>) { this.#o.bus.publish(topic, payload, { qos: 1 }) }

  #take({ topic, payload, identity }: Heard) {
    try {
      const message = parsed(topic as keyof typeof TAKEN, textOf(payload))
      if ((message.siteId ?? USUAL_SITE) !== this.#o.siteId) return
      switch (topic) {
        case TOPICS.startSession: return this.#manager.start(message as StartSession, identity)
        case TOPICS.continueSession: return this.#manager.continue(message as ContinueSession, identity)
        case TOPICS.endSession: return this.#manager.end(message as EndSession, identity)
        case TOPICS.query: return this.#query(message as Query)
        case TOPICS.say: void this.#say(message as Say, identity); return
        case TOPICS.startListening:
          if (!this.#o.speech) return this.#publish(TOPICS.error('asr'), { error: 'SPEECH_DOWN: speech is switched off in the configuration', siteId: this.#o.siteId, context: null, sessionId: (message as Listening).sessionId ?? null })
          this.#listening = message as Listening
          return this.#o.expectAnswer(this.#o.answerWindowMs)
        default:
          this.#listening = undefined
          this.#o.expectAnswer(0)
      }
    } catch (thrown) {
      const { code, message } = toMtorError(thrown)
      const leftOut = this.#complaints.pass()
      if (leftOut !== undefined) this.#o.hub.system({ severity: 'warning', component: COMPONENT, name: 'message.rejected', code, message: `${topic}: ${message}`, data: { client: identity.client, ...(leftOut > 0 ? { leftOut } : {}) } })
    }
  }

  /** Says what a sentence means. Nothing is carried out: who asked has the answer. */
  #query({ input, id = null, sessionId = null, intentFilter, customData = null, wakewordId = null, asrConfidence = null }: Query) {
    const { siteId } = this.#o
    const meaning = meaningOf(this.#o.understander.match(input), intentFilter)
    if (!meaning) { this.#publish(TOPICS.queryNotRecognised, { input, siteId, id, customData, sessionId }); return }
    const answer = { input, intent: { intentName: meaning.type, confidenceScore: meaning.confidence }, siteId, id, slots: slotsOf(meaning.type, meaning.slots), sessionId }
    this.#publish(TOPICS.parsed, answer)
    this.#publish(TOPICS.intent(meaning.type), { ...answer, customData, asrTokens: null, asrConfidence, rawInput: input, wakewordId, lang: null })
  }

  /** Said or not, its end is told: nobody waits for a voice that is off. */
  async #say({ text, id = null, sessionId = null }: Say, identity: Identity) {
    const { service, siteId } = this.#o
    try {
      const event = await service.run(service.envelope('speech.say', { text }, { kind: identity.kind, operator: identity.client.slice(0, 64) }), identity)
      if (event.state !== 'succeeded') throw new MtorError(event.code ?? 'INTERNAL', event.message ?? event.state)
    } catch (thrown) {
      const { code, message } = toMtorError(thrown)
      this.#publish(TOPICS.error('tts'), { error: `${code}: ${message}`, siteId, context: text, sessionId })
    }
    this.#publish(TOPICS.sayFinished, { siteId, id, sessionId })
  }

  #onIntent(event: IntentEvent) { if (event.state === 'accepted' && event.source?.kind === 'voice') this.#manager.accepted(event) }

  #onSystem({ component, name, message: text = '', data = {} }: SystemEvent) {
    if (component !== 'speech') return
    const confidence = Number(data.confidence ?? 0), tookMs = Number(data.tookMs ?? 0)
    switch (name) {
      case 'wake': return this.#manager.woken(levelOf(this.#o.wakeWord), (sessionId) => this.#detected(this.#o.wakeWord, sessionId))
      case 'keyword': return this.#detected(String(data.word))
      case 'wake.timeout': return this.#manager.silence()
      case 'heard':
        // Its text follows by itself, as it was heard.
        if (data.how === 'rejected') { this.#rejectedTookMs = tookMs; return }
        return this.#heard({ text, confidence, tookMs })
      case 'refused': return this.#heard({ text, confidence: 0, tookMs: this.#rejectedTookMs, isRejected: true })
      case 'answered': return this.#manager.answered(text)
      default:
    }
  }

  #heard(heard: Parameters<DialogueManager['heard']>[0]) {
    const sessionId = this.#listening?.sessionId
    this.#listening = undefined
    this.#manager.heard(heard, sessionId)
  }

  #detected(word: string, sessionId: string | null = null) {
    const modelId = levelOf(word)
    this.#publish(TOPICS.detected(modelId), { modelId, modelVersion: '', modelType: 'universal', siteId: this.#o.siteId, sessionId, sendAudioCaptured: null, lang: null })
  }
}

function parsed(topic: keyof typeof TAKEN, text: string): { siteId?: string | null } {
  let value: unknown
  try { value = JSON.parse(text) } catch (error) { throw new MtorError('MALFORMED', 'expected JSON', { cause: error }) }
  return TAKEN[topic].assert(value, 'INVALID_ENVELOPE', topic) as { siteId?: string | null }
}
