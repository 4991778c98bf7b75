import Type, { type Static, type TSchema } from 'typebox'
import { intentDefinition } from '../../../contracts/intents.ts'
import { validator } from '../../../contracts/validate.ts'
import type { Understanding } from '../../../understand/index.ts'

/**
 * The messages of Hermes that are taken, and the form of those that are sent. Clients in Python write null for what
 * they leave out, and may say more than is of use here.
 * @see https://rhasspy.readthedocs.io/en/latest/reference/#mqtt-api
 */
const may = <S extends TSchema>(schema: S) => Type.Optional(Type.Union([schema, Type.Null()]))
const message = <P extends Record<string, TSchema>>(properties: P) => Type.Object({ siteId: may(Type.String({ maxLength: 64 })), ...properties })
const Id = Type.String({ minLength: 1, maxLength: 128 })
/** As long as speech.say and speech.ask take it. */
const Spoken = Type.String({ maxLength: 500 })
const CustomData = Type.String({ maxLength: 4000 })
const IntentFilter = Type.Array(Type.String({ maxLength: 64 }), { maxItems: 200 })

const Action = Type.Object({ type: Type.Literal('action'), text: may(Spoken), canBeEnqueued: may(Type.Boolean()), intentFilter: may(IntentFilter), sendIntentNotRecognized: may(Type.Boolean()) })
const Notification = Type.Object({ type: Type.Literal('notification'), text: Type.String({ minLength: 1, maxLength: 500 }) })

const StartSession = message({ init: Type.Union([Action, Notification]), customData: may(CustomData) })
export type StartSession = Static<typeof StartSession>
const ContinueSession = message({ sessionId: Id, text: may(Spoken), customData: may(CustomData), intentFilter: may(IntentFilter), sendIntentNotRecognized: may(Type.Boolean()) })
export type ContinueSession = Static<typeof ContinueSession>
const EndSession = message({ sessionId: Id, text: may(Spoken), customData: may(CustomData) })
export type EndSession = Static<typeof EndSession>
const Query = message({ input: Type.String({ maxLength: 1000 }), id: may(Id), sessionId: may(Id), intentFilter: may(IntentFilter), customData: may(CustomData), wakewordId: may(Id), asrConfidence: may(Type.Number()) })
export type Query = Static<typeof Query>
const Say = message({ text: Type.String({ minLength: 1, maxLength: 1000 }), id: may(Id), sessionId: may(Id) })
export type Say = Static<typeof Say>
const Listening = message({ sessionId: may(Id), wakewordId: may(Id) })
export type Listening = Static<typeof Listening>

export const TOPICS = {
  startSession: 'hermes/dialogueManager/startSession', continueSession: 'hermes/dialogueManager/continueSession', endSession: 'hermes/dialogueManager/endSession',
  sessionStarted: 'hermes/dialogueManager/sessionStarted', sessionQueued: 'hermes/dialogueManager/sessionQueued', sessionEnded: 'hermes/dialogueManager/sessionEnded', notRecognised: 'hermes/dialogueManager/intentNotRecognized',
  query: 'hermes/nlu/query', parsed: 'hermes/nlu/intentParsed', queryNotRecognised: 'hermes/nlu/intentNotRecognized', intent: (name: string) => `hermes/intent/${name}`,
  say: 'hermes/tts/say', sayFinished: 'hermes/tts/sayFinished',
  startListening: 'hermes/asr/startListening', stopListening: 'hermes/asr/stopListening', textCaptured: 'hermes/asr/textCaptured',
  detected: (wakewordId: string) => `hermes/hotword/${wakewordId}/detected`,
  error: (component: 'dialogueManager' | 'asr' | 'tts') => `hermes/error/${component}`,
} as const

/** What the bus opens while the dialect is on. Not hermes/audioServer: sound never travels over the broker. */
export const FOREIGN = ['hotword', 'asr', 'nlu', 'intent', 'dialogueManager', 'tts', 'error'].map((part) => `hermes/${part}/#`)

export const TAKEN = {
  [TOPICS.startSession]: validator(StartSession), [TOPICS.continueSession]: validator(ContinueSession), [TOPICS.endSession]: validator(EndSession),
  [TOPICS.query]: validator(Query), [TOPICS.say]: validator(Say), [TOPICS.startListening]: validator(Listening), [TOPICS.stopListening]: validator(Listening),
}

/** Why a session has ended. */
export type Termination = 'nominal' | 'abortedByUser' | 'intentNotRecognized' | 'timeout' | 'error'

/** Slots as Hermes has them. Units are SI, as everywhere in the appliance. */
export function slotsOf(type: string, slots: Readonly<Record<string, unknown>>) {
  const properties = (intentDefinition(type)?.slots.properties ?? {}) as Record<string, { 'x-unit'?: string }>
  return Object.entries(slots).map(([name, value]) => {
    const unit = properties[name]?.['x-unit']
    const kind = typeof value === 'number' ? 'Number' : typeof value === 'string' ? 'Custom' : 'Unknown'
    return { entity: name, slotName: name, rawValue: String(value), value: { kind, value, ...(unit === undefined ? {} : { unit }) }, confidence: 1 }
  })
}

/** What the templates make of a sentence, where it is one of these intents; a guess is none. */
export function meaningOf(understanding: Understanding, intentFilter: readonly string[] | null | undefined): { type: string; slots: Record<string, unknown>; confidence: number } | undefined {
  const { by, type, slots, confidence } = understanding
  if (by !== 'template' || type === null) return undefined
  if (intentFilter && intentFilter.length > 0 && !intentFilter.includes(type)) return undefined
  return { type, slots, confidence }
}
