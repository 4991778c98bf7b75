import Type, { type TObject, type TSchema } from 'typebox'
import type { Source } from './envelope.ts'

/**
 * Policy of an intent type. Deadlines, retries and confirmation come from here, never from the caller.
 */
export interface IntentPolicy {
  /** Moves something in the world: needs arming and a permissive mode, and is never replayed after its ttl. */
  actuates: boolean
  /** Must be confirmed, however it was submitted: always, or when these slots have these values. Voice and console ask; all others say `confirmed` in the envelope. */
  hazardous: boolean | Readonly<Record<string, unknown>>
  /** May be carried out again after a failure or a restart without harm. */
  repeatable: boolean
  /** Device it commands (config's device id of that kind), if any; such intents are serialised per device. */
  deviceKind?: 'rover'
  /** Slot that names the device it commands. */
  deviceSlot?: string
  /** Time to live when the submitter gives none, ms. */
  ttlMs: number
  /** From start to final state at the most, ms. */
  deadlineMs: number
  /** How often it is tried again after a failure that may pass (only where repeatable). */
  retries: number
  /** Models are asked this many times, on different workers, and the majority counts. */
  vote?: number
  /** Priority when the submitter gives none; 0 first. */
  priority: number
  /** Modes in which it is refused with UNSAFE_MODE. */
  refusedIn: readonly Mode[]
}

export const MODES = ['normal', 'safe', 'maintenance'] as const
export type Mode = (typeof MODES)[number]

export interface IntentDefinition { type: string; title: string; slots: TObject; policy: IntentPolicy }

const query: IntentPolicy = { actuates: false, hazardous: false, repeatable: true, ttlMs: 30_000, deadlineMs: 15_000, retries: 2, priority: 5, refusedIn: [] }
const record: IntentPolicy = { ...query, ttlMs: 24 * 3600_000 }
const actuate: IntentPolicy = { actuates: true, hazardous: false, repeatable: false, deviceKind: 'rover', ttlMs: 10_000, deadlineMs: 120_000, retries: 0, priority: 4, refusedIn: ['safe', 'maintenance'] }

const slots = (properties: Record<string, TSchema>) => Type.Object(properties, { additionalProperties: false })
const oneOf = (values: readonly string[], description: string) => Type.Enum([...values], { description })
const optional = Type.Optional

/** Sensors the box can be asked for; where each is read is decided by the skill. */
export const SENSORS = ['battery', 'temperature', 'heading', 'distance', 'speed', 'humidity', 'pressure', 'light'] as const

/** Kinds of answers to a question that is asked aloud: yes or no (true, false), a firm yes, one of some words, a quantity (SI units), or anything. */
export const ANSWER_KINDS = ['yes-no', 'confirm', 'choice', 'length', 'angle', 'speed', 'duration', 'fraction', 'count', 'text'] as const
export type AnswerKind = (typeof ANSWER_KINDS)[number]

/** The first catalogue. A type named here whose skill is not installed answers NOT_FITTED. */
export const INTENTS = [
  { type: 'drive.move', title: 'Drive a distance', policy: actuate, slots: slots({
    distanceM: Type.Number({ minimum: -100, maximum: 100, description: 'Forward is positive', 'x-unit': 'm' }),
    speedMps: optional(Type.Number({ minimum: 0.05, maximum: 2, description: 'Travel speed for this move', 'x-unit': 'm/s' })) }) },
  { type: 'drive.turn', title: 'Turn on the spot', policy: actuate, slots: slots({
    angleDeg: Type.Number({ minimum: -720, maximum: 720, description: 'Left (counter-clockwise) is positive', 'x-unit': 'deg' }) }) },
  { type: 'drive.speed', title: 'Set the usual travel speed', policy: { ...actuate, repeatable: true, deadlineMs: 5_000 }, slots: slots({
    speedMps: Type.Number({ minimum: 0.05, maximum: 2, 'x-unit': 'm/s' }) }) },
  { type: 'stop', title: 'Emergency stop: everything that moves, at once', policy: { ...actuate, repeatable: true, ttlMs: 5_000, deadlineMs: 2_000, priority: 0, refusedIn: [] }, slots: slots({}) },
  { type: 'camera.capture', title: 'Take a picture', policy: query, slots: slots({}) },
  { type: 'vision.describe', title: 'Say what is in view', policy: query, slots: slots({}) },
  { type: 'vision.find', title: 'Look for one kind of object', policy: query, slots: slots({ object: Type.String({ minLength: 1, maxLength: 40, description: 'As the detector calls it, such as person or cup' }) }) },
  { type: 'vision.watch', title: 'Tell when an object appears', policy: record, slots: slots({
    object: Type.String({ minLength: 1, maxLength: 40 }), durationS: optional(Type.Number({ minimum: 1, maximum: 7 * 24 * 3600, description: 'Left out: until told to stop watching', 'x-unit': 's' })) }) },
  { type: 'vision.unwatch', title: 'Stop watching', policy: query, slots: slots({ object: optional(Type.String({ minLength: 1, maxLength: 40, description: 'Left out: all' })) }) },
  { type: 'vision.read', title: 'Read the text in view', policy: query, slots: slots({}) },
  { type: 'power.status', title: 'State of battery and power', policy: query, slots: slots({}) },
  { type: 'sensor.read', title: 'Read one sensor', policy: query, slots: slots({ sensor: oneOf(SENSORS, 'Which sensor') }) },
  { type: 'system.status', title: 'State of the box', policy: query, slots: slots({}) },
  { type: 'node.list', title: 'Nodes of the realm', policy: query, slots: slots({}) },
  { type: 'light.set', title: 'Lights on, off or dimmed', policy: { ...actuate, repeatable: true, deadlineMs: 5_000, refusedIn: [] }, slots: slots({
    on: Type.Boolean(), brightness: optional(Type.Number({ minimum: 0, maximum: 1, description: 'Fraction of full', 'x-unit': '1' })) }) },
  { type: 'timer.set', title: 'Start a timer', policy: { ...record, repeatable: false }, slots: slots({
    durationS: Type.Number({ minimum: 1, maximum: 7 * 24 * 3600, 'x-unit': 's' }), name: optional(Type.String({ minLength: 1, maxLength: 40 })) }) },
  { type: 'timer.list', title: 'Running timers', policy: query, slots: slots({}) },
  { type: 'timer.cancel', title: 'Cancel a timer, or all', policy: query, slots: slots({ name: optional(Type.String({ minLength: 1, maxLength: 40 })) }) },
  { type: 'log.record', title: 'Write a spoken note into the log', policy: { ...record, repeatable: true }, slots: slots({ text: Type.String({ minLength: 1, maxLength: 2000 }) }) },
  { type: 'log.play', title: 'Read the last notes', policy: query, slots: slots({ count: optional(Type.Integer({ minimum: 1, maximum: 20, 'x-unit': '1' })) }) },
  { type: 'sequence.run', title: 'Run a named sequence of intents', policy: { ...actuate, hazardous: true, deviceKind: undefined, deadlineMs: 600_000 }, slots: slots({ name: Type.String({ minLength: 1, maxLength: 40 }) }) },
  { type: 'mode.set', title: 'Change the operating mode', policy: query, slots: slots({ mode: oneOf(MODES, 'normal, safe (nothing moves), maintenance') }) },
  { type: 'arm.set', title: 'Arm or disarm the drive', policy: { ...query, hazardous: { armed: true } }, slots: slots({ armed: Type.Boolean() }) },
  { type: 'help', title: 'What can I say', policy: query, slots: slots({ topic: optional(Type.String({ maxLength: 40 })) }) },
  { type: 'repeat', title: 'Say the last answer again', policy: query, slots: slots({}) },
  { type: 'cancel', title: 'Drop the question or the running request', policy: { ...query, priority: 1 }, slots: slots({}) },
  { type: 'chat.ask', title: 'Ask the language model', policy: { ...query, deadlineMs: 60_000 }, slots: slots({ text: Type.String({ minLength: 1, maxLength: 2000 }) }) },
  { type: 'weather.report', title: 'Weather here', policy: query, slots: slots({ place: optional(Type.String({ maxLength: 80 })) }) },
  { type: 'mail.send', title: 'Queue a mail', policy: { ...record, repeatable: false, hazardous: true }, slots: slots({
    to: Type.String({ minLength: 1, maxLength: 80 }), text: Type.String({ minLength: 1, maxLength: 4000 }) }) },
  { type: 'speech.say', title: 'Say a sentence', policy: { ...query, ttlMs: 60_000, deadlineMs: 60_000 }, slots: slots({
    text: Type.String({ minLength: 1, maxLength: 1000 }), interrupt: optional(Type.Boolean({ description: 'Cuts off what is being said' })) }) },
  { type: 'speech.ask', title: 'Ask aloud and wait for the answer', policy: { ...query, repeatable: false, retries: 0, ttlMs: 60_000, deadlineMs: 180_000 }, slots: slots({
    question: Type.String({ minLength: 1, maxLength: 500 }),
    kind: oneOf(ANSWER_KINDS, 'What kind of answer is expected; confirm takes only a firm yes'),
    values: optional(Type.Array(Type.String({ minLength: 1, maxLength: 40 }), { minItems: 1, maxItems: 50, description: 'Of a choice: the answers' })),
    timeoutS: optional(Type.Number({ minimum: 2, maximum: 120, description: 'Left out: the usual answer window', 'x-unit': 's' })) }) },
  { type: 'device.command', title: 'One command to one device', policy: { ...actuate, deviceKind: undefined, deviceSlot: 'device' }, slots: slots({
    device: Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$', description: 'Id of the device in the configuration' }),
    command: Type.String({ pattern: '^[a-z][a-zA-Z0-9-]{0,31}$', description: 'As its driver names it; see the catalogue' }),
    args: optional(Type.Record(Type.String(), Type.Unknown(), { description: 'Checked by the driver' })) }) },
  { type: 'time.tell', title: 'Time of day', policy: query, slots: slots({}) },
] as const satisfies readonly IntentDefinition[]

export type IntentType = (typeof INTENTS)[number]['type']

const builtIn = new Map<string, IntentDefinition>(INTENTS.map((definition) => [definition.type, definition]))
let declared: ReadonlyMap<string, IntentDefinition> = new Map()
/** The definition of a type, built in or declared by a handler, or undefined. */
export const intentDefinition = (type: string): IntentDefinition | undefined => builtIn.get(type) ?? declared.get(type)
export const isBuiltIn = (type: string): type is IntentType => builtIn.has(type)
/** Types that were declared once: an intent of one may still be under way. */
const retired = new Map<string, IntentDefinition>()
/** The policy of a type, also of one that is declared no more. */
export const intentPolicy = (type: string): IntentPolicy | undefined => (intentDefinition(type) ?? retired.get(type))?.policy
/** From now on these types are known beside the built-in ones, in this process; it takes the place of what was declared before. */
export function declareIntents(definitions: readonly IntentDefinition[]): void {
  for (const [type, definition] of declared) retired.set(type, definition)
  declared = new Map(definitions.filter(({ type }) => !builtIn.has(type)).map((definition) => [definition.type, definition]))
}
/** Every type: the built-in ones, then those that are declared. */
export const allIntents = (): readonly IntentDefinition[] => [...builtIn.values(), ...declared.values()]

/** True when this very request must be confirmed by the operator. */
export function isHazardous(type: string, slotValues: Record<string, unknown>): boolean {
  const hazardous = intentDefinition(type)?.policy.hazardous ?? false
  return typeof hazardous === 'boolean' ? hazardous : Object.entries(hazardous).every(([slot, value]) => slotValues[slot] === value)
}

export const ROLES = ['operator', 'flow', 'device', 'worker', 'observer'] as const
export type Role = (typeof ROLES)[number]

/** Who submits: known from the connection, never from the message. */
export interface Identity { client: string; role: Role; kind: Source['kind'] }
