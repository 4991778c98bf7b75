import test from 'ava'
import fc from 'fast-check'
import { MtorError } from '../../contracts/errors.ts'
import { encodeEvent, EventReader, WYOMING_LIMITS, type WyomingEvent } from './codec.ts'

const pieces = (bytes: Buffer, cuts: number[]) => [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length].map((from, i, all) => bytes.subarray(from, all[i + 1] ?? bytes.length))
const read = (parts: Buffer[]) => { const reader = new EventReader(); return parts.flatMap((part) => [...reader.push(part)]) }
const json = fc.jsonValue({ maxDepth: 3 }).filter((value) => JSON.stringify(value) !== undefined)
/** What JSON makes of it: −0 becomes 0. */
const throughJson = (data: Record<string, unknown>) => JSON.parse(JSON.stringify(data)) as Record<string, unknown>

const anEvent: fc.Arbitrary<WyomingEvent> = fc.record({
  type: fc.string({ minLength: 1, maxLength: 20 }),
  data: fc.dictionary(fc.string().filter((key) => key !== '__proto__'), json, { maxKeys: 4 }).map(throughJson),
  payload: fc.option(fc.uint8Array({ minLength: 1, maxLength: 200 }).map((bytes) => Buffer.from(bytes)), { nil: undefined }),
})

test('events come out as they went in, however the network cuts them', (t) => {
  fc.assert(fc.property(fc.array(anEvent, { maxLength: 5 }), fc.array(fc.nat(), { maxLength: 12 }), (events, cuts) => {
    const got = read(pieces(Buffer.concat(events.map(encodeEvent)), cuts))
    t.deepEqual(got, events.map(({ type, data, payload }) => ({ type, data, ...(payload ? { payload } : {}) })))
  }))
})

test('data in the header and behind it is one: what stands behind wins', (t) => {
  const behind = JSON.stringify({ name: 'b', rate: 16_000 })
  t.deepEqual(read([Buffer.from(`{"type":"detect","data":{"name":"a","width":2},"data_length":${behind.length},"payload_length":null}\n${behind}`)]), [{ type: 'detect', data: { name: 'b', width: 2, rate: 16_000 } }])
})

test('any bytes give events or an error with a code, and never more than the limits hold', (t) => {
  const nearly = fc.tuple(fc.constantFrom('{"type":"a","payload_length":', '{"type":"a","data_length":', '{"type":', '{"data":[],"type":"a"', '[', '\n', '{"type":"a"}\n'), fc.oneof(fc.integer().map(String), fc.double().map(String), fc.string(), fc.constant('1e300')), fc.constantFrom('}\n', '\n', ''))
    .map((parts) => Buffer.from(parts.join('')))
  fc.assert(fc.property(fc.array(fc.oneof(nearly, fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes))), { maxLength: 10 }), (parts) => {
    try {
      for (const event of read(parts)) {
        t.is(typeof event.type, 'string')
        t.true((event.payload?.length ?? 0) <= WYOMING_LIMITS.payloadBytes)
      }
    } catch (error) { t.true(error instanceof MtorError && (error.code === 'MALFORMED' || error.code === 'TOO_LARGE'), String(error)) }
  }), { numRuns: 1_000 })
})

for (const [what, bytes, code] of [
  ['a header without an end', Buffer.alloc(WYOMING_LIMITS.headerBytes + 1, 'a'), 'TOO_LARGE'],
  ['too long a header that ends', Buffer.from(`{"type":"${'a'.repeat(WYOMING_LIMITS.headerBytes)}"}\n`), 'TOO_LARGE'],
  ['too much data', Buffer.from(`{"type":"a","data_length":${WYOMING_LIMITS.dataBytes + 1}}\n`), 'TOO_LARGE'],
  ['too much payload', Buffer.from(`{"type":"a","payload_length":${WYOMING_LIMITS.payloadBytes + 1}}\n`), 'TOO_LARGE'],
  ['a negative length', Buffer.from('{"type":"a","payload_length":-1}\n'), 'MALFORMED'],
  ['half a byte', Buffer.from('{"type":"a","payload_length":0.5}\n'), 'MALFORMED'],
  ['no type', Buffer.from('{"data":{}}\n'), 'MALFORMED'],
  ['an array', Buffer.from('[1]\n'), 'MALFORMED'],
  ['data that is no object', Buffer.from('{"type":"a","data_length":1}\n7'), 'MALFORMED'],
  ['brackets without end', Buffer.from(`${'['.repeat(60_000)}\n`), 'MALFORMED'],
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'MALFORMED'],
] as const) test(`refused: ${what}`, (t) => { t.is(t.throws(() => read([bytes]), { instanceOf: MtorError })?.code, code) })

test('a header that comes in single bytes counts against the same limit', (t) => {
  const reader = new EventReader()
  const one = Buffer.from('a')
  t.is(t.throws(() => { for (let i = 0; i <= WYOMING_LIMITS.headerBytes; i++) Array.from(reader.push(one)) }, { instanceOf: MtorError })?.code, 'TOO_LARGE')
})
