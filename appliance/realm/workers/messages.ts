import Type, { type Static, type TSchema } from 'typebox'
import { WorkerHealth, WorkerOffer } from '../../contracts/telemetry.ts'
import { validator } from '../../contracts/validate.ts'
import { TASK_NAMES } from '../../inference/port.ts'

/** Nodes of the next version may say more than this one knows: what is unknown is not looked at. */
const lenient = <T extends TSchema>(schema: T): T => JSON.parse(JSON.stringify(schema, (key, value: unknown) => key === 'additionalProperties' && value === false ? undefined : value)) as T

/** The channel of the links that inference goes over; everything else goes before it. */
export const CHANNEL = 'inference'

const Model = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,47}$' })
const Identity = Type.String({ pattern: '^[0-9a-f]{64}$' })
const Extension = Type.String({ pattern: '^(\\.[A-Za-z0-9]{1,5})?$' })
/** A tensor whose numbers are in the bytes of the message. */
const PackedTensor = Type.Object({
  type: Type.Enum(['float32', 'int32', 'int64', 'uint8']),
  dims: Type.Array(Type.Integer({ minimum: 0 }), { maxItems: 16 }),
  offset: Type.Integer({ minimum: 0 }), byteLength: Type.Integer({ minimum: 0 }),
}, { additionalProperties: false })
const Tensors = Type.Record(Type.String({ maxLength: 256 }), PackedTensor)
export type PackedTensor = Static<typeof PackedTensor>

/** An input without its file: what that held is in the bytes of the message, as are the numbers of tensors. */
export const PackedInput = Type.Object({
  fields: Type.Record(Type.String({ maxLength: 64 }), Type.Unknown()),
  file: Type.Optional(Type.Object({ extension: Extension }, { additionalProperties: false })),
  tensors: Type.Optional(Tensors),
  /** A file is asked for with the answer. */
  wants: Type.Optional(Type.Object({ extension: Extension }, { additionalProperties: false })),
}, { additionalProperties: false })
export type PackedInput = Static<typeof PackedInput> & { bytes?: Uint8Array }

const Common = { model: Model, identity: Identity }
/** `known`: the first known answer of the model, for a proof. */
export const WorkerRequest = Type.Union([
  Type.Object({ op: Type.Literal('run'), ...Common, task: Type.Enum([...TASK_NAMES]), input: PackedInput, deadlineMs: Type.Number({ exclusiveMinimum: 0, maximum: 3_600_000 }), priority: Type.Integer({ minimum: 0, maximum: 9 }), vote: Type.Optional(Type.Integer({ minimum: 1, maximum: 9 })) }, { additionalProperties: false }),
  Type.Object({ op: Type.Literal('known'), ...Common, deadlineMs: Type.Number({ exclusiveMinimum: 0, maximum: 3_600_000 }) }, { additionalProperties: false }),
  Type.Object({ op: Type.Literal('warm'), ...Common }, { additionalProperties: false }),
  Type.Object({ op: Type.Literal('manifest'), ...Common }, { additionalProperties: false }),
])
export type WorkerRequest = Static<typeof WorkerRequest>
export const requestValidator = validator(lenient(WorkerRequest))

/** An answer; files and tensors of it are in the bytes of the message. */
export const WorkerReply = Type.Object({
  output: Type.Record(Type.String(), Type.Unknown()),
  tensors: Type.Optional(Tensors),
  hasFile: Type.Optional(Type.Boolean()),
  version: Type.String({ maxLength: 64 }), provider: Type.String({ maxLength: 64 }),
  queuedMs: Type.Number({ minimum: 0 }), runMs: Type.Number({ minimum: 0 }), attempts: Type.Integer({ minimum: 0 }),
  proof: Type.Optional(Type.Object({ index: Type.Integer({ minimum: 0 }), output: Type.Optional(Type.Unknown()), digest: Type.Optional(Type.String({ maxLength: 128 })) }, { additionalProperties: false })),
  vote: Type.Optional(Type.Object({ asked: Type.Integer(), agreed: Type.Integer(), dissenters: Type.Array(Type.String()) }, { additionalProperties: false })),
  bytes: Type.Optional(Type.Unknown()),
}, { additionalProperties: false })
export type WorkerReply = Static<typeof WorkerReply>
export const replyValidator = validator(lenient(WorkerReply))

/** offer: told to all others whenever something has changed, and every few seconds; ask: by one that has just started. */
export const Notice = Type.Union([
  Type.Object({ op: Type.Literal('offer'), offer: WorkerOffer, health: WorkerHealth }, { additionalProperties: false }),
  Type.Object({ op: Type.Literal('ask') }, { additionalProperties: false }),
])
export type Notice = Static<typeof Notice>
export type Offer = Extract<Notice, { op: 'offer' }>
export const noticeValidator = validator(lenient(Notice))
