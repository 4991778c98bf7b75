import { readFileSync } from 'node:fs'
import test from 'ava'
import fc from 'fast-check'
import { MtorError } from '../../appliance/contracts/errors.ts'
import { cobsDecode, cobsEncode } from './cobs.ts'
import { crc16 } from './crc16.ts'
import { decodeBody, encodeBody, encodeFrame, FrameDecoder, MAX_FRAME_BYTES, MESSAGES, STOP_REASON, type Message, type MessageType } from './protocol.ts'
import { stopFrame } from './stop-line.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const bytesOf = (text: string) => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')
const documentation = readFileSync(new URL('../../docs/reference/rover-protocol.md', import.meta.url), 'utf8')

const limits = { u8: [0, 0xff], u16: [0, 0xffff], i16: [-0x8000, 0x7fff], u32: [0, 0xffffffff], i32: [-0x80000000, 0x7fffffff] } as const
const field = (type: keyof typeof limits | 'uuid') => type === 'uuid' ? fc.uuid() : fc.integer({ min: limits[type][0], max: limits[type][1] })
const anyMessage = fc.constantFrom(...Object.keys(MESSAGES) as MessageType[]).chain((type) => fc.record({
  type: fc.constant(type), epoch: field('u32'), sequence: field('u32'), ...Object.fromEntries(MESSAGES[type].fields.map(([name, kind]) => [name, field(kind)])),
})) as fc.Arbitrary<Message>

test('ROV-001 CRC-16/CCITT-FALSE has the published check value', (t) => {
  t.is(crc16(Buffer.from('123456789')), 0x29b1)
  t.is(crc16(Buffer.alloc(0)), 0xffff)
})

test('ROV-001 COBS encodes the examples of its paper and of long runs', (t) => {
  t.is(hex(cobsEncode(bytesOf(''))), '01')
  t.is(hex(cobsEncode(bytesOf('00'))), '0101')
  t.is(hex(cobsEncode(bytesOf('11 22 00 33'))), '0311220233')
  t.is(hex(cobsEncode(bytesOf('11 00 00 00'))), '0211010101')
  const run = Buffer.from(Array.from({ length: 254 }, (_, i) => i + 1))
  t.is(hex(cobsEncode(run)), `ff${hex(run)}`)
  t.is(hex(cobsEncode(Buffer.concat([run, Buffer.of(0xff)]))), `ff${hex(run)}02ff`)
})

test('ROV-001 COBS gives back every sequence of bytes and never holds a zero', (t) => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
    const encoded = cobsEncode(bytes)
    return !encoded.includes(0) && encoded.length <= bytes.length + 1 + Math.floor(bytes.length / 254) && hex(cobsDecode(encoded)!) === hex(bytes)
  }))
  t.is(cobsDecode(bytesOf('05 11')), undefined)
  t.is(cobsDecode(bytesOf('02 00')), undefined)
})

test('ROV-002 every message survives encoding and decoding', (t) => {
  fc.assert(fc.property(anyMessage, (message) => {
    t.deepEqual(decodeBody(encodeBody(message)), message)
    t.deepEqual(new FrameDecoder().feed(encodeFrame(message)), [message])
  }))
})

test('ROV-002 the worked examples of the protocol reference are byte-exact', (t) => {
  const examples = [...documentation.matchAll(/```example\n(\{.*\})\nbody (.+)\nwire (.+)\n```/g)]
  t.true(examples.length >= 6, 'the reference has its examples')
  for (const [, json, body, wire] of examples) {
    const message = JSON.parse(json!) as Message
    t.is(hex(encodeBody(message)), hex(bytesOf(body!)), json)
    t.is(hex(encodeFrame(message)), hex(bytesOf(wire!)), json)
    t.deepEqual(new FrameDecoder().feed(bytesOf(wire!)), [message])
  }
})

test('ROV-002 the protocol reference lists every message with its type byte and fields', (t) => {
  for (const [type, { code, fields }] of Object.entries(MESSAGES)) {
    const row = documentation.split('\n').find((line) => line.startsWith(`| \`${type}\` `))
    t.truthy(row, type)
    t.true(row!.includes(`0x${code.toString(16).padStart(2, '0')}`), `${type} type byte`)
    const shown = [...row!.matchAll(/(\w+) (u8|u16|i16|u32|i32|uuid)\b/g)].map((m) => [m[1], m[2]])
    const result = MESSAGES.DONE.fields.map((f) => [...f] as string[])
    t.deepEqual(row!.includes('*result*') ? [...shown, ...result] : shown, fields.map((f) => [...f] as string[]), type)
  }
})

test('ROV-002 a value that does not fit its field is refused before it is sent', (t) => {
  const message = { type: 'MOVE', epoch: 1, sequence: 1, intentId: '01890a5d-ac96-774b-bcce-b302099a8057', distanceMm: 1, speedMmps: 70_000 } as const
  t.is(t.throws(() => encodeFrame(message), { instanceOf: MtorError })!.code, 'INVALID_SLOTS')
  t.is(t.throws(() => encodeFrame({ ...message, speedMmps: 1, intentId: 'x' }), { instanceOf: MtorError })!.code, 'INVALID_SLOTS')
  t.is(t.throws(() => encodeFrame({ ...message, speedMmps: 1.5 }), { instanceOf: MtorError })!.code, 'INVALID_SLOTS')
})

test('ROV-003 random bytes never throw, and the next frame is read', (t) => {
  const good: Message = { type: 'HEARTBEAT', epoch: 7, sequence: 0 }
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (chunks) => {
    const decoder = new FrameDecoder()
    for (const chunk of chunks) for (const item of decoder.feed(chunk)) if (item instanceof MtorError) t.is(item.code, 'FRAME_INVALID')
    t.deepEqual(decoder.feed(encodeFrame(good)).at(-1), good)
  }))
})

test('ROV-003 a frame with flipped bits or lost bytes is never taken for another, and the next one is read', (t) => {
  const good: Message = { type: 'STOP', epoch: 0, sequence: 0, reason: 1 }
  fc.assert(fc.property(anyMessage, fc.nat(), fc.integer({ min: 1, max: 255 }), fc.boolean(), (message, place, flip, lose) => {
    const frame = encodeFrame(message)
    const at = place % frame.length
    const damaged = Buffer.from(lose ? [...frame.subarray(0, at), ...frame.subarray(at + 1)] : frame.map((byte, i) => i === at ? byte ^ flip : byte))
    const items = new FrameDecoder().feed(Buffer.concat([damaged, encodeFrame(good)]))
    t.deepEqual(items.at(-1), good)
    // A delimiter lost or added at the edge leaves the message whole; anything else is an error, not a different message.
    for (const item of items.slice(0, -1)) if (!(item instanceof MtorError)) t.deepEqual(item, message)
    // A seed of its own: about one damaged count byte in 2^16 would pass the CRC by chance.
  }), { numRuns: 500, seed: 1 })
})

test('ROV-003 a flood without delimiter is bounded and told once', (t) => {
  const decoder = new FrameDecoder()
  t.deepEqual(decoder.feed(Buffer.alloc(100_000, 0x55)), [])
  const [error, ...rest] = decoder.feed(Buffer.of(0))
  t.true(error instanceof MtorError)
  t.regex((error as MtorError).message, new RegExp(`more than ${MAX_FRAME_BYTES} bytes`))
  t.deepEqual(rest, [])
})

test('ROV-003 another version and an unknown type are told apart from noise', (t) => {
  for (const [at, value, expected] of [[0, 2, /version 1, got 2/], [1, 0x55, /unknown type 0x55/]] as const) {
    const body = encodeBody({ type: 'HEARTBEAT', epoch: 1, sequence: 0 })
    body[at] = value
    body.writeUInt16LE(crc16(body.subarray(0, -2)), body.length - 2)
    const error = decodeBody(body)
    t.true(error instanceof MtorError)
    t.regex((error as MtorError).message, expected)
  }
})

test('ROV-010 no stop frame holds a byte that a cooked terminal would change', (t) => {
  for (const reason of Object.keys(STOP_REASON) as (keyof typeof STOP_REASON)[]) t.false(stopFrame(reason).includes(0x0a), reason)
})
