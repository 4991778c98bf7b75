import Type, { type Static, type TObject, type TSchema } from 'typebox'
import { CodeName, Instant, IntentId, IntentTypeName, NodeName, PROTOCOL_VERSION, Source } from './envelope.ts'
import type { IntentDefinition, IntentPolicy } from './intents.ts'

/**
 * Handlers: programs beyond the core (flows of Node-RED) that declare intent types of their own and carry out intents.
 *
 * A handler says on `handler/<client>/offer` which types it handles and which it declares (retained; its will says
 * `online: false`), and is answered on `handler/<client>/receipt`. An intent that waits for a handler is shown on
 * `intent/<id>/task`. Any number of instances may answer on `intent/<id>/claim`; exactly one gets it, which
 * `intent/<id>/grant` says, and only that one reports on `intent/<id>/work`. Nobody begins before the grant names it.
 * How the intent ended, also where it was stopped meanwhile, is told on `intent/<id>/event` as for every intent.
 */

/** How a declared slot is said. Quantities are SI: length m, angle deg, speed m/s, duration s, fraction 0 to 1; count is a whole number. */
export const SLOT_KINDS = ['choice', 'length', 'angle', 'speed', 'duration', 'fraction', 'count', 'words', 'text'] as const
export type SlotKind = (typeof SLOT_KINDS)[number]

const strict = <P extends Record<string, TSchema>>(properties: P, description?: string) => Type.Object(properties, { additionalProperties: false, ...(description === undefined ? {} : { description }) })
const Name = Type.String({ minLength: 1, maxLength: 128, description: 'MQTT client id of the handler' })
const Instance = Type.String({ minLength: 1, maxLength: 64, description: 'Which part of the handler, such as the id of a flow node' })

export const DeclaredSlot = strict({
  name: Type.String({ pattern: '^[a-z][A-Za-z0-9]{0,31}$', description: 'With its unit, such as durationS; rest is reserved' }),
  kind: Type.Enum([...SLOT_KINDS]),
  required: Type.Boolean(),
  values: Type.Optional(Type.Array(Type.String({ pattern: "^[a-z0-9' ]{1,40}$" }), { minItems: 1, maxItems: 50, description: 'Of a choice: what may be said, which is also the value' })),
  minimum: Type.Optional(Type.Number()),
  maximum: Type.Optional(Type.Number()),
  question: Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: 'Asked aloud where a required slot was not said' })),
})
export type DeclaredSlot = Static<typeof DeclaredSlot>

export const DeclaredIntent = strict({
  type: IntentTypeName,
  title: Type.String({ minLength: 1, maxLength: 80, description: 'As in "Say confirm to …": Open the airlock' }),
  slots: Type.Array(DeclaredSlot, { maxItems: 10 }),
  sentences: Type.Array(Type.String({ minLength: 1, maxLength: 500 }), { maxItems: 50, description: 'Sentence templates; see sentence-templates.md' }),
  actuates: Type.Boolean({ description: 'Moves something: needs arming and a permissive mode, ends at a stop, is never done late' }),
  hazardous: Type.Boolean({ description: 'It must be confirmed: the box asks whoever says or types it; of all others the envelope must say confirmed' }),
  repeatable: Type.Boolean({ description: 'May be carried out again after a failure or a restart without harm' }),
  deadlineMs: Type.Integer({ minimum: 100, maximum: 3600_000, description: 'From start to final state at the most, ms' }),
}, 'An intent type that a handler brings')
export type DeclaredIntent = Static<typeof DeclaredIntent>

export const HandlerOffer = Type.Union([
  strict({
    v: Type.Literal(PROTOCOL_VERSION),
    online: Type.Literal(true),
    name: Type.Optional(Type.String({ maxLength: 80, description: 'For people: which Node-RED' })),
    handles: Type.Array(IntentTypeName, { maxItems: 200, description: 'Types whose tasks it claims' }),
    declares: Type.Array(DeclaredIntent, { maxItems: 100 }),
    answers: Type.Array(Type.String({ pattern: "^[a-z0-9' ]{1,40}$" }), { maxItems: 200, description: 'Words its questions expect, for the ears' }),
  }),
  strict({ v: Type.Literal(PROTOCOL_VERSION), online: Type.Literal(false) }),
], { description: 'An empty message withdraws everything the handler declared; online: false keeps it for its return' })
export type HandlerOffer = Static<typeof HandlerOffer>
export type OnlineOffer = Extract<HandlerOffer, { online: true }>

/** What became of an offer: each problem names the declared type, or is of the whole offer. */
export const HandlerReceipt = strict({
  v: Type.Literal(PROTOCOL_VERSION),
  accepted: Type.Boolean({ description: 'False: nothing of it is in force, what was before still is' }),
  problems: Type.Array(strict({ type: Type.Optional(Type.String()), code: CodeName, message: Type.String() })),
  unknownWords: Type.Optional(Type.Array(Type.String(), { description: 'Words of its sentences that the ears cannot hear' })),
  at: Instant,
})
export type HandlerReceipt = Static<typeof HandlerReceipt>

/** An intent that waits for a handler. Shown again where its holder was lost. */
export const Task = strict({
  v: Type.Literal(PROTOCOL_VERSION),
  id: IntentId,
  type: IntentTypeName,
  slots: Type.Record(Type.String(), Type.Unknown()),
  source: Source,
  attempt: Type.Integer({ minimum: 1 }),
  deadlineMs: Type.Integer({ minimum: 0, description: 'Left until it must have ended, counted from this message, ms' }),
  node: NodeName,
})
export type Task = Static<typeof Task>

export const Claim = strict({ v: Type.Literal(PROTOCOL_VERSION), handler: Name, instance: Instance, attempt: Type.Integer({ minimum: 1, description: 'Of the task that it answers' }) })
export type Claim = Static<typeof Claim>
/** Whom a grant names where nobody can have the intent any more. */
export const NOBODY = '-'
export const Grant = strict({ v: Type.Literal(PROTOCOL_VERSION), handler: Name, instance: Instance, attempt: Type.Integer({ minimum: 1 }) })
export type Grant = Static<typeof Grant>

export const WORK_STATES = ['progress', 'succeeded', 'failed'] as const
export const Work = strict({
  v: Type.Literal(PROTOCOL_VERSION),
  handler: Name,
  instance: Instance,
  attempt: Type.Integer({ minimum: 1 }),
  state: Type.Enum(WORK_STATES),
  code: Type.Optional(CodeName),
  message: Type.Optional(Type.String({ maxLength: 1000 })),
  say: Type.Optional(Type.String({ maxLength: 1000, description: 'The sentence for the operator' })),
  data: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
})
export type Work = Static<typeof Work>

/** Retained on `catalogue`: what a flow editor offers to choose from. */
export const RealmCatalogue = strict({
  v: Type.Literal(PROTOCOL_VERSION),
  at: Instant,
  node: NodeName,
  types: Type.Array(strict({
    type: IntentTypeName,
    title: Type.String(),
    slots: Type.Object({}, { additionalProperties: true, description: 'JSON Schema of the slots; x-unit names units' }),
    actuates: Type.Boolean(),
    hazardous: Type.Boolean({ description: 'Must be confirmed in at least some cases' }),
    by: Type.String({ description: 'appliance: carried out by the box; flow: by a handler; nobody: NOT_FITTED' }),
    declaredBy: Type.Optional(Type.String({ description: 'The handler that declared it' })),
    examples: Type.Array(Type.String()),
  })),
  devices: Type.Array(strict({ id: Type.String(), kind: Type.String(), commands: Type.Record(Type.String(), Type.Unknown(), { description: 'JSON Schema of the arguments, by command' }) })),
  components: Type.Array(Type.String(), { description: 'Components that raise events' }),
})
export type RealmCatalogue = Static<typeof RealmCatalogue>

const UNITS: Readonly<Partial<Record<SlotKind, string>>> = { length: 'm', angle: 'deg', speed: 'm/s', duration: 's', fraction: '1', count: '1' }

function slotSchema({ kind, values, minimum, maximum, question }: DeclaredSlot): TSchema {
  const range = { ...(minimum === undefined ? {} : { minimum }), ...(maximum === undefined ? {} : { maximum }) }
  const about = { ...(question === undefined ? {} : { description: question }) }
  switch (kind) {
    case 'choice': return Type.Enum([...values ?? []], about)
    case 'words': return Type.String({ minLength: 1, maxLength: 80, ...about })
    case 'text': return Type.String({ minLength: 1, maxLength: 2000, ...about })
    case 'count': return Type.Integer({ ...range, ...about, 'x-unit': UNITS[kind] })
    case 'fraction': return Type.Number({ minimum: 0, maximum: 1, ...range, ...about, 'x-unit': UNITS[kind] })
    default: return Type.Number({ ...range, ...about, 'x-unit': UNITS[kind] })
  }
}

const POLICY: Pick<IntentPolicy, 'retries' | 'priority'> = { retries: 2, priority: 5 }
const ACTUATION_TTL_MS = 10_000, TTL_MS = 30_000

/** The definition of a declared type, as the built-in ones have it. */
export function definitionOf({ type, title, slots, actuates, hazardous, repeatable, deadlineMs }: DeclaredIntent): IntentDefinition {
  const properties = Object.fromEntries(slots.map((slot) => [slot.name, slot.required ? slotSchema(slot) : Type.Optional(slotSchema(slot))]))
  return {
    type, title, slots: Type.Object(properties, { additionalProperties: false }) as TObject,
    policy: { ...POLICY, actuates, hazardous, repeatable, deadlineMs, ttlMs: actuates ? ACTUATION_TTL_MS : TTL_MS, refusedIn: actuates ? ['safe', 'maintenance'] : [] },
  }
}
