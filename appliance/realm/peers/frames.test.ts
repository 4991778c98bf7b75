import test from 'ava'
import fc from 'fast-check'
import { decodeFrame, encodeFrame, FrameReader, joinMessage, MAX_FRAME_BYTES, splitMessage, type Frame } from './frames.ts'
import { Assembly, FRAGMENT_BYTES, Outbox, type Priority } from './outbox.ts'

const readAll = (reader: FrameReader, bytes: Buffer) => [...reader.read(bytes)]

test('frames come out as they went in, however the stream is cut', (t) => {
  const frame = fc.record({ header: fc.dictionary(fc.string(), fc.jsonValue()).map((more) => ({ ...more, t: 'msg' })), binary: fc.uint8Array({ maxLength: 300 }) })
  fc.assert(fc.property(fc.array(frame, { maxLength: 5 }), fc.array(fc.nat(), { maxLength: 10 }), (frames, cuts) => {
    const bytes = Buffer.concat(frames.map(({ header, binary }) => encodeFrame(header, binary)))
    const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
    const reader = new FrameReader()
    const got = [0, ...places].flatMap((place, i) => readAll(reader, bytes.subarray(place, places[i] ?? bytes.length)))
    t.deepEqual(got.map(({ header, binary }) => ({ header, binary: Buffer.from(binary) })), frames.map(({ header, binary }) => ({ header: JSON.parse(JSON.stringify(header)), binary: Buffer.from(binary) })))
    t.is(reader.pendingBytes, 0)
    t.is(got.reduce((sum, { wireBytes }) => sum + wireBytes, 0), bytes.length)
  }), { numRuns: 300 })
})

test('any bytes at all are frames, or an error of the catalogue', (t) => {
  const valid = encodeFrame({ t: 'msg', c: 'bus', m: { a: [1, 2, 3] } }, Buffer.from('abc'))
  const mutated = fc.array(fc.record({ at: fc.nat(valid.length - 1), value: fc.integer({ min: 0, max: 255 }) }), { minLength: 1, maxLength: 5 }).map((flips) => { const bytes = Buffer.from(valid); for (const { at, value } of flips) bytes[at] = value; return bytes })
  let refused = 0
  fc.assert(fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes))), (bytes) => {
    try { for (const frame of new FrameReader(1_000).read(bytes)) { if (typeof frame.header.t !== 'string') return false } } catch (error) {
      refused += 1
      return ['MALFORMED', 'TOO_LARGE'].includes((error as { code: string }).code)
    }
    return true
  }), { numRuns: 3_000 })
  t.true(refused > 300, `${refused} refused`)
})

test('a frame is refused by its length, before its bytes have come', (t) => {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(MAX_FRAME_BYTES)
  t.throws(() => readAll(new FrameReader(), length), { code: 'TOO_LARGE' })
  t.throws(() => decodeFrame(Buffer.concat([encodeFrame({ t: 'a' }), encodeFrame({ t: 'b' })])), { code: 'MALFORMED' })
})

test('a message keeps its bytes apart from its JSON, and no JSON can pass for bytes', (t) => {
  const round = (message: unknown) => {
    const { binary, ...content } = splitMessage(message)
    return joinMessage(decodeFrame(encodeFrame({ t: 'msg', ...content }, binary)))
  }
  for (const message of [null, 1, 'x', [1], {}, { bytes: 'text' }, { b: true, bytes: [1] }, { deep: { bytes: 1 } }]) t.deepEqual(round(message), message)
  t.is(round(undefined), undefined)
  t.deepEqual(round({ a: 1, bytes: new Uint8Array([9]) }), { a: 1, bytes: Buffer.from([9]) })
  for (const header of [{ t: 'msg', m: 1, b: true }, { t: 'msg', m: [], b: true }, { t: 'msg', b: 1, m: {} }, { t: 'msg', m: {} }]) t.throws(() => joinMessage({ header, binary: Buffer.from('x') }), { code: 'MALFORMED' })
})

const message = (t: string, bytes: number) => encodeFrame({ t }, Buffer.alloc(bytes, t))

test('what is urgent overtakes, and a long message is put together from what comes in between', (t) => {
  const outbox = new Outbox(1_000_000)
  outbox.push(3, message('long', 100_000))
  const wire = [outbox.next(false)!]
  outbox.push(2, message('usual', 10))
  outbox.push(0, message('stop', 10))
  t.is(decodeFrame(outbox.next(true)!).header.t, 'stop', 'even when the window is full')
  t.is(outbox.next(true), undefined)
  t.is(decodeFrame(outbox.next(false)!).header.t, 'usual')
  for (let next = outbox.next(false); next; next = outbox.next(false)) wire.push(next)
  t.is(outbox.bytes, 0)
  t.true(wire.every((frame) => frame.length <= FRAGMENT_BYTES + 100))
  const assembly = new Assembly(1_000_000)
  const whole = wire.map((frame) => assembly.add(decodeFrame(frame))).filter((frame) => frame !== undefined) as Frame[]
  t.is(whole.length, 1)
  t.true(whole[0]!.binary.equals(Buffer.alloc(100_000, 'long')))
})

test('a full queue takes no more, but one message however long', (t) => {
  const outbox = new Outbox(1_000)
  t.true(outbox.push(2, message('a', 5_000)))
  t.false(outbox.push(2, message('b', 10)))
  t.true(outbox.push(0, message('stop', 10)), 'each priority has a queue of its own')
})

test('parts that do not fit together are refused', (t) => {
  const whole = message('long', 40_000)
  const part = (p: unknown, n: unknown, bytes: Buffer): Frame => ({ header: { t: 'part', p, ...(n === undefined ? {} : { n }) }, binary: bytes, wireBytes: 0 })
  const first = whole.subarray(0, FRAGMENT_BYTES)
  const cases: [string, Frame[], string?][] = [
    ['no beginning', [part(1, undefined, first)]], ['no priority', [part(7, 40_000, first)]], ['no bytes', [part(1, 40_000, Buffer.alloc(0))]], ['too short to be cut', [part(1, 10, first)]],
    ['two beginnings', [part(1, whole.length, first), part(1, whole.length, first)]], ['too long', [part(1, FRAGMENT_BYTES + 1, first), part(1, undefined, first)]],
    ['larger than allowed', [part(1, 200_001, first)], 'TOO_LARGE'], ['a part within parts', parts(encodeFrame({ t: 'part', p: 1 }, Buffer.alloc(20_000)))], ['rubbish', parts(Buffer.alloc(20_000))],
  ]
  for (const [what, frames, code = 'MALFORMED'] of cases) {
    const assembly = new Assembly(200_000)
    t.throws(() => { for (const frame of frames) assembly.add(frame) }, { code }, what)
  }
  function parts(frame: Buffer, p: Priority = 1): Frame[] { return [part(p, frame.length, frame.subarray(0, FRAGMENT_BYTES)), part(p, undefined, frame.subarray(FRAGMENT_BYTES))] }
})
