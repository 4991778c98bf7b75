import Type, { type Static } from 'typebox'
import { CodeName, Instant, IntentId, IntentTypeName, NodeName, PROTOCOL_VERSION, Source } from './envelope.ts'

/** Every accepted intent ends in exactly one of these. */
export const FINAL_STATES = ['succeeded', 'failed', 'expired', 'aborted'] as const
export type FinalState = (typeof FINAL_STATES)[number]
export const INTENT_STATES = ['accepted', 'started', 'progress', ...FINAL_STATES] as const
export type IntentState = (typeof INTENT_STATES)[number]
export const isFinal = (state: string): state is FinalState => (FINAL_STATES as readonly string[]).includes(state)

export const DeviceTicket = Type.Object({
  device: Type.String(),
  epoch: Type.Integer({ minimum: 1, maximum: 0xffffffff, description: 'Fencing token' }),
  sequence: Type.Integer({ minimum: 1, maximum: 0xffffffff, description: 'Never repeated within an epoch' }),
}, { additionalProperties: false })
/** The right to send one command: the device refuses an older epoch and repeats no sequence. */
export type DeviceTicket = Static<typeof DeviceTicket>

/** What became of an intent, in order: accepted, started, progress…, one final state. */
export const IntentEvent = Type.Object({
  v: Type.Literal(PROTOCOL_VERSION),
  id: IntentId,
  type: IntentTypeName,
  state: Type.Enum(INTENT_STATES),
  at: Instant,
  node: NodeName,
  source: Type.Optional(Source),
  ticket: Type.Optional(DeviceTicket),
  code: Type.Optional(CodeName),
  message: Type.Optional(Type.String()),
  say: Type.Optional(Type.String({ description: 'The sentence for the operator' })),
  data: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
}, { additionalProperties: false })
export type IntentEvent = Static<typeof IntentEvent>

export const SEVERITIES = ['debug', 'info', 'warning', 'error', 'critical'] as const
export type Severity = (typeof SEVERITIES)[number]

/** Something that happened to the appliance itself; published on event/<severity>/<component>. */
export const SystemEvent = Type.Object({
  v: Type.Literal(PROTOCOL_VERSION),
  severity: Type.Enum(SEVERITIES),
  component: Type.String({ pattern: '^[a-z0-9-]{1,32}$', description: 'bus, journal, dispatch, speech, a device id …' }),
  name: Type.String({ pattern: '^[a-zA-Z0-9.-]{1,64}$', description: 'Which event, such as device.lost' }),
  at: Instant,
  node: NodeName,
  code: Type.Optional(CodeName),
  message: Type.Optional(Type.String()),
  say: Type.Optional(Type.String({ description: 'Spoken when the box announces it' })),
  data: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
}, { additionalProperties: false })
export type SystemEvent = Static<typeof SystemEvent>

/** What a part gives to raise a system event; the hub adds version, time and node. */
export type SystemEventInput = Omit<SystemEvent, 'v' | 'at' | 'node'>
