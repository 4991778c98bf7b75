import Type, { type Static } from 'typebox'
import { CODES, type Code } from './codes.ts'
import { UUIDV7_PATTERN } from './ids.ts'
import { PROTOCOL_VERSION } from './protocol.ts'

export { PROTOCOL_VERSION }

export const NodeName = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$', description: 'A node or realm name: lower-case letters, digits, dashes' })
export const IntentId = Type.String({ pattern: UUIDV7_PATTERN, description: 'UUIDv7 of the intent, made by the submitter' })
export const IntentTypeName = Type.String({ pattern: '^[a-z][a-z0-9]*(\\.[a-z][a-zA-Z0-9]*)*$', maxLength: 64, description: 'Intent type, such as drive.move' })
export const CodeName = Type.Enum(Object.keys(CODES) as Code[], { description: 'A code of the catalogue' })

/** When something happened. A board may have no clock: `wall` is there only when it is known good. */
export const Instant = Type.Object({
  wall: Type.Optional(Type.Integer({ minimum: 0, description: 'Unix time, ms' })),
  boot: Type.Integer({ minimum: 0, description: 'Which boot of the board' }),
  mono: Type.Number({ minimum: 0, description: 'Milliseconds since that boot (CLOCK_MONOTONIC)' }),
}, { additionalProperties: false })
export type Instant = Static<typeof Instant>

export const SOURCE_KINDS = ['voice', 'mqtt', 'websocket', 'flow', 'sequence', 'link', 'cli', 'console', 'system'] as const
export const Source = Type.Object({
  kind: Type.Enum(SOURCE_KINDS),
  node: NodeName,
  operator: Type.Optional(Type.String({ maxLength: 64 })),
}, { additionalProperties: false })
export type Source = Static<typeof Source>

export const Envelope = Type.Object({
  v: Type.Literal(PROTOCOL_VERSION),
  id: IntentId,
  type: IntentTypeName,
  slots: Type.Record(Type.String(), Type.Unknown(), { description: 'SI units; the schema of the type decides' }),
  source: Source,
  issuedAt: Instant,
  ttlMs: Type.Integer({ minimum: 1, maximum: 7 * 24 * 3600 * 1000, description: 'After this the intent may no longer be started, ms' }),
  priority: Type.Integer({ minimum: 0, maximum: 9, description: '0 is served first, 5 is usual' }),
  confirmed: Type.Optional(Type.Literal(true, { description: 'The sender has asked its operator, or is entitled to decide. What must be confirmed (hazardous, by the policy of its type) is rejected without it with NOT_CONFIRMED; elsewhere it means nothing' })),
  parent: Type.Optional(Type.String({ pattern: UUIDV7_PATTERN, description: 'The intent that this is a step of. Where that is stopped, cancelled or too late, this ends with it, or is not begun' })),
  auth: Type.Optional(Type.Object({ token: Type.String({ maxLength: 512 }) }, { additionalProperties: false })),
}, { additionalProperties: false })
export type Envelope = Static<typeof Envelope>

/** The answer to a submission: accepted (durable) or rejected with a code. */
export const Receipt = Type.Object({
  v: Type.Literal(PROTOCOL_VERSION),
  id: Type.Union([IntentId, Type.Null()], { description: 'Null when the message was too broken to have an id' }),
  accepted: Type.Boolean(),
  duplicate: Type.Optional(Type.Boolean({ description: 'True when this very intent had been accepted before' })),
  durable: Type.Optional(Type.Boolean({ description: 'False: carried out at once although the journal cannot be reached, so that nothing is known of it after a restart. Only harmless queries are' })),
  code: Type.Optional(CodeName),
  message: Type.Optional(Type.String({ description: 'What was expected, what was got' })),
  say: Type.Optional(Type.String()),
  hint: Type.Optional(Type.String()),
  at: Instant,
}, { additionalProperties: false })
export type Receipt = Static<typeof Receipt>
