import { Readable } from 'node:stream'
import test from 'ava'
import fc from 'fast-check'
import { tapFrames, type FrameInspector } from './tap.ts'
import { connectPacket, publishPacket, subscribePacket } from './testing.ts'

/** Feeds `stream` in pieces through a tap; returns what came out and what was seen. */
function through(bytes: Buffer, cuts: number[], keep: (frame: string) => boolean = () => true, max = 1000) {
  const out: Buffer[] = []
  const seen: string[] = []
  const see = (what: string) => { seen.push(what); return keep(what) }
  const stream = new Readable({ read() {}, highWaterMark: 1 << 20 })
  const inspector: FrameInspector = {
    chunk: () => {},
    publish: (b, s, e, qos, messageId, payloadStart, end) => see(`publish ${b.toString('latin1', s, e)} ${qos} ${messageId} ${end - payloadStart}`),
    other: (type) => see(`type ${type}`),
    tooLarge: (n) => { see(`large ${n}`) },
    malformed: () => { see('malformed') },
  }
  tapFrames(stream, max, inspector)
  let from = 0
  for (const cut of [...cuts.map((c) => c % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
    if (cut > from) stream.push(bytes.subarray(from, cut))
    from = Math.max(from, cut)
  }
  for (let chunk = stream.read(); chunk; chunk = stream.read()) out.push(chunk)
  return { out: Buffer.concat(out), seen }
}

const frames = [connectPacket('a'), publishPacket('x/y', 'hello', 1, 300), publishPacket('z', '', 0), subscribePacket('#'), publishPacket('x/y', 'b'.repeat(700), 2, 65535), Buffer.from([0xc0, 0])]
const all = Buffer.concat(frames)
const names = ['type 1', 'publish x/y 1 300 5', 'publish z 0 0 0', 'type 8', 'publish x/y 2 65535 700', 'type 12']

test('every frame is seen once and every byte goes on, however the stream is cut', (t) => {
  fc.assert(fc.property(fc.array(fc.nat(all.length), { maxLength: 40 }), (cuts) => {
    const { out, seen } = through(all, cuts)
    return out.equals(all) && seen.join() === names.join()
  }), { numRuns: 300 })
  t.deepEqual(through(all, Array.from({ length: all.length }, (_, i) => i)).seen, names)
})

test('a frame that is kept back is missing from the stream, and nothing else is', (t) => {
  fc.assert(fc.property(fc.array(fc.nat(all.length), { maxLength: 40 }), fc.subarray(names), (cuts, dropped) => {
    const { out, seen } = through(all, cuts, (frame) => !dropped.includes(frame))
    return seen.join() === names.join() && out.equals(Buffer.concat(frames.filter((_, i) => !dropped.includes(names[i]!))))
  }), { numRuns: 300 })
  t.is(through(all, [], () => false).out.length, 0)
})

test('after a frame over the limit nothing more goes on', (t) => {
  const { out, seen } = through(Buffer.concat([frames[1]!, publishPacket('x', 'a'.repeat(1000)), frames[1]!]), [])
  t.deepEqual(seen, [names[1]!, 'large 1006'])
  t.deepEqual(out, frames[1])
})

test('an endless remaining length and a topic longer than its frame are not MQTT', (t) => {
  t.deepEqual(through(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 1]), [2]).seen, ['malformed'])
  t.deepEqual(through(Buffer.from([0x30, 4, 0, 9, 1, 2]), [1, 3]).seen, ['malformed'])
  t.deepEqual(through(Buffer.from([0x32, 4, 0, 1, 65, 2]), []).seen, ['malformed'])
  t.deepEqual(through(Buffer.from([0x30, 1, 0]), []).seen, ['malformed'])
  t.deepEqual(through(Buffer.from([0x30, 0]), []).seen, ['malformed'])
})
