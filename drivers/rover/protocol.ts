import { MtorError } from '../../appliance/contracts/errors.ts'
import { uuidBytes, uuidFromBytes } from '../../appliance/contracts/ids.ts'
import { cobsDecode, cobsEncode, DELIMITER } from './cobs.ts'
import { crc16 } from './crc16.ts'

/** First byte of every frame. @see ../../docs/reference/rover-protocol.md */
export const ROVER_PROTOCOL_VERSION = 1

type FieldType = 'u8' | 'u16' | 'i16' | 'u32' | 'i32' | 'uuid'
type Fields = readonly (readonly [name: string, type: FieldType])[]

/** What is known of one command's fate; carried by REPLY, PROGRESS, DONE and OUTCOME alike. */
const result = [['outcome', 'u8'], ['refusal', 'u8'], ['distanceMm', 'i32'], ['angleCdeg', 'i32'], ['headingCdeg', 'i32']] as const

/** Every message: its type byte and, in order, the fields of its payload. Integers are little-endian. */
export const MESSAGES = {
  HELLO: { code: 0x01, fields: [] },
  HEARTBEAT: { code: 0x02, fields: [] },
  MOVE: { code: 0x10, fields: [['intentId', 'uuid'], ['distanceMm', 'i32'], ['speedMmps', 'u16']] },
  TURN: { code: 0x11, fields: [['intentId', 'uuid'], ['angleCdeg', 'i32']] },
  SET_SPEED: { code: 0x12, fields: [['intentId', 'uuid'], ['speedMmps', 'u16']] },
  SET_LIGHT: { code: 0x13, fields: [['intentId', 'uuid'], ['fraction255', 'u8']] },
  QUERY: { code: 0x20, fields: [] },
  GET_TELEMETRY: { code: 0x21, fields: [] },
  STOP: { code: 0x7f, fields: [['reason', 'u8']] },
  REPLY: { code: 0x81, fields: [['command', 'u8'], ['status', 'u8'], ['currentEpoch', 'u32'], ...result] },
  PROGRESS: { code: 0x82, fields: result },
  DONE: { code: 0x83, fields: result },
  OUTCOME: { code: 0x84, fields: result },
  TELEMETRY: { code: 0x85, fields: [['xMm', 'i32'], ['yMm', 'i32'], ['headingCdeg', 'i32'], ['odometerMm', 'u32'], ['speedMmps', 'i16'],
    ['batteryMv', 'u16'], ['batteryPermille', 'u16'], ['temperatureCdegC', 'i16'], ['light255', 'u8'], ['flags', 'u8'], ['currentEpoch', 'u32'], ['uptimeMs', 'u32']] },
  STOPPED: { code: 0x86, fields: [['cause', 'u8'], ['reason', 'u8']] },
  BOOT: { code: 0x87, fields: [['bootCount', 'u32'], ['cause', 'u8']] },
} as const satisfies Record<string, { code: number; fields: Fields }>

export type MessageType = keyof typeof MESSAGES
type FieldsOf<T extends MessageType> = (typeof MESSAGES)[T]['fields'][number]
/** `epoch` and `sequence` are 0 where a message has none. */
export type MessageOf<T extends MessageType> = T extends MessageType ? { type: T; epoch: number; sequence: number } & { [F in FieldsOf<T> as F[0]]: F[1] extends 'uuid' ? string : number } : never
export type Message = MessageOf<MessageType>
export type ResultFields = { [F in (typeof result)[number] as F[0]]: number }

/** Why a command was or was not taken (`status` of REPLY). */
export const STATUS = { ok: 0, staleEpoch: 1, repeatedSequence: 2, badArgument: 3, busy: 4, lowBattery: 5, noHeartbeat: 6, storageFault: 7 } as const
/** What became of a command. */
export const OUTCOME = { none: 0, running: 1, done: 2, stopped: 3, deadMan: 4, stalled: 5, lowBattery: 6, takenOver: 7, interrupted: 8, refused: 9, neverReceived: 10, unknown: 11 } as const
/** What halted the wheels (`cause` of STOPPED). */
export const STOP_CAUSE = { stop: 1, deadMan: 2, stalled: 3, lowBattery: 4, takenOver: 5 } as const
/** Who asked for a STOP. No frame of a STOP holds a newline byte, so it passes a line that is not in raw mode. */
export const STOP_REASON = { operator: 1, cancelled: 2, shutdown: 3, lastResort: 4 } as const
/** Why the controller began anew (`cause` of BOOT). */
export const BOOT_CAUSE = { powerOn: 1, brownOut: 2 } as const
/** Bits of `flags` of TELEMETRY. */
export const FLAG = { moving: 1, stalled: 2, deadMan: 4, brownOut: 8, lowBattery: 16 } as const
/** Field values that mean "could not be read"; a reader leaves the value out. */
export const UNKNOWN = { i16: -0x8000, i32: -0x80000000, u16: 0xffff } as const

const SIZE: Record<FieldType, number> = { u8: 1, u16: 2, i16: 2, u32: 4, i32: 4, uuid: 16 }
const RANGE: Record<Exclude<FieldType, 'uuid'>, readonly [number, number]> = {
  u8: [0, 0xff], u16: [0, 0xffff], i16: [-0x8000, 0x7fff], u32: [0, 0xffffffff], i32: [-0x80000000, 0x7fffffff],
}
const HEADER_BYTES = 10
const CRC_BYTES = 2
/** The longest body (header, payload, CRC) of this version. */
export const MAX_BODY_BYTES = HEADER_BYTES + CRC_BYTES + Math.max(...Object.values(MESSAGES).map((m) => payloadBytes(m.fields)))
/** The longest frame between two delimiters; more than this without a delimiter is noise. */
export const MAX_FRAME_BYTES = MAX_BODY_BYTES + 1 + Math.floor(MAX_BODY_BYTES / 254)

const byCode = new Map<number, MessageType>(Object.entries(MESSAGES).map(([type, { code }]) => [code, type as MessageType]))
/** Name of a type byte, or undefined. */
export const messageTypeOf = (code: number): MessageType | undefined => byCode.get(code)
/** Name of a number in one of the tables above, or the number as text. */
export const nameOf = (table: Readonly<Record<string, number>>, value: number): string => Object.keys(table).find((name) => table[name] === value) ?? String(value)

function payloadBytes(fields: Fields): number { return fields.reduce((sum, [, type]) => sum + SIZE[type], 0) }

/** Header, payload and CRC of a message, before byte stuffing. Throws INVALID_SLOTS where a value does not fit its field. */
export function encodeBody(message: Message): Buffer {
  const { code, fields } = MESSAGES[message.type] as { code: number; fields: Fields }
  const values = message as unknown as Record<string, number | string>
  const body = Buffer.alloc(HEADER_BYTES + payloadBytes(fields) + CRC_BYTES)
  body[0] = ROVER_PROTOCOL_VERSION
  body[1] = code
  let at = 2
  for (const [name, type] of [['epoch', 'u32'], ['sequence', 'u32'], ...fields] as Fields) {
    const value = values[name]
    if (type === 'uuid') {
      const bytes = uuidBytes(String(value))
      if (bytes.length !== 16) throw new MtorError('INVALID_SLOTS', `${message.type}.${name}: expected a UUID, got ${JSON.stringify(value)}`)
      bytes.copy(body, at)
    } else {
      const [low, high] = RANGE[type]
      if (typeof value !== 'number' || !Number.isInteger(value) || value < low || value > high) {
        throw new MtorError('INVALID_SLOTS', `${message.type}.${name}: expected an integer ${low} to ${high}, got ${JSON.stringify(value)}`)
      }
      if (low < 0) body.writeIntLE(value, at, SIZE[type])
      else body.writeUIntLE(value, at, SIZE[type])
    }
    at += SIZE[type]
  }
  body.writeUInt16LE(crc16(body.subarray(0, at)), at)
  return body
}

/** The message in a body, or a MtorError FRAME_INVALID that says what is wrong with it. Never throws. */
export function decodeBody(body: Uint8Array): Message | MtorError {
  const invalid = (why: string) => new MtorError('FRAME_INVALID', `rover frame of ${body.length} bytes: ${why}`)
  if (body.length < HEADER_BYTES + CRC_BYTES) return invalid(`shorter than ${HEADER_BYTES + CRC_BYTES}`)
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length)
  const crcAt = bytes.length - CRC_BYTES
  if (bytes.readUInt16LE(crcAt) !== crc16(bytes.subarray(0, crcAt))) return invalid('the CRC does not match')
  if (bytes[0] !== ROVER_PROTOCOL_VERSION) return invalid(`expected version ${ROVER_PROTOCOL_VERSION}, got ${bytes[0]}`)
  const type = messageTypeOf(bytes[1]!)
  if (!type) return invalid(`unknown type 0x${bytes[1]!.toString(16)}`)
  const fields: Fields = MESSAGES[type].fields
  if (crcAt !== HEADER_BYTES + payloadBytes(fields)) return invalid(`${type} has ${payloadBytes(fields)} payload bytes, got ${crcAt - HEADER_BYTES}`)
  const message: Record<string, number | string> = { type, epoch: bytes.readUInt32LE(2), sequence: bytes.readUInt32LE(6) }
  let at = HEADER_BYTES
  for (const [name, fieldType] of fields) {
    message[name] = fieldType === 'uuid' ? uuidFromBytes(bytes.subarray(at, at + 16))
      : RANGE[fieldType][0] < 0 ? bytes.readIntLE(at, SIZE[fieldType]) : bytes.readUIntLE(at, SIZE[fieldType])
    at += SIZE[fieldType]
  }
  return message as unknown as Message
}

/** The bytes on the wire: delimiter, stuffed body, delimiter. The leading delimiter ends whatever noise came before. */
export function encodeFrame(message: Message): Buffer {
  return Buffer.concat([Buffer.of(DELIMITER), cobsEncode(encodeBody(message)), Buffer.of(DELIMITER)])
}

/** Cuts a byte stream into messages; after noise it is right again at the next delimiter. */
export class FrameDecoder {
  #held: number[] = []
  #overlong = false

  /** Messages and errors (FRAME_INVALID) in the order of the stream. */
  feed(chunk: Uint8Array): (Message | MtorError)[] {
    const out: (Message | MtorError)[] = []
    for (const byte of chunk) {
      if (byte !== DELIMITER) {
        if (this.#held.length < MAX_FRAME_BYTES) this.#held.push(byte)
        else this.#overlong = true
        continue
      }
      if (this.#overlong) out.push(new MtorError('FRAME_INVALID', `rover frame: more than ${MAX_FRAME_BYTES} bytes without a delimiter`))
      else if (this.#held.length > 0) {
        const body = cobsDecode(Uint8Array.from(this.#held))
        out.push(body ? decodeBody(body) : new MtorError('FRAME_INVALID', `rover frame of ${this.#held.length} bytes: not a COBS block`))
      }
      this.#held = []
      this.#overlong = false
    }
    return out
  }
}
