import { mkdtemp, rm, writeFile, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import { MtorError } from '../contracts/errors.ts'
import { encodeWav, WavReader } from './wav.ts'

interface Shape {
  id?: string
  riffSize?: number
  tag?: number
  bits?: number
  container?: number
  channels?: number
  rateHz?: number
  byteRate?: number
  blockAlign?: number
  extensible?: boolean
  /** Bytes that the extensible form says it adds. */
  extension?: number
  validBits?: number
  dataSize?: number
  before?: Buffer
  after?: Buffer
}

/** A WAV of any shape, with the body given as bytes. */
function wav(body: Buffer, shape: Shape = {}): Buffer {
  const { tag = 1, bits = 16, container = bits, channels = 1, rateHz = 16_000, extensible = false } = shape
  const { id = 'RIFF', riffSize = 0xffff_ffff, before = Buffer.alloc(0), after = Buffer.alloc(0) } = shape
  const blockAlign = shape.blockAlign ?? (channels * container) / 8
  const fmt = Buffer.alloc(extensible ? 40 : 16)
  fmt.writeUInt16LE(extensible ? 0xfffe : tag, 0)
  fmt.writeUInt16LE(channels, 2)
  fmt.writeUInt32LE(rateHz, 4)
  fmt.writeUInt32LE(shape.byteRate ?? rateHz * blockAlign, 8)
  fmt.writeUInt16LE(blockAlign, 12)
  fmt.writeUInt16LE(extensible ? container : bits, 14)
  if (extensible) {
    fmt.writeUInt16LE(shape.extension ?? 22, 16)
    fmt.writeUInt16LE(shape.validBits ?? bits, 18)
    fmt.writeUInt16LE(tag, 24)
    Buffer.from('000000001000800000aa00389b71', 'hex').copy(fmt, 26)
  }
  const riff = Buffer.alloc(12)
  riff.write(`${id}....WAVE`, 'latin1')
  riff.writeUInt32LE(riffSize, 4)
  return Buffer.concat([riff, before, chunk('fmt ', fmt), chunk('data', body, shape.dataSize), after])
}
function chunk(kind: string, body: Buffer, size = body.length): Buffer {
  const header = Buffer.alloc(8)
  header.write(kind, 'latin1')
  header.writeUInt32LE(size >>> 0, 4)
  return Buffer.concat([header, body])
}
const RIFF_HEADER = wav(Buffer.alloc(0)).subarray(0, 12)
/** What a writer leaves that was stopped before the first sample: all sizes are right, and no byte is sound. */
function emptyWithList(): Buffer {
  const list = chunk('LIST', Buffer.from('INFOISFT\x04\0\0\0test', 'latin1'))
  return wav(Buffer.alloc(0), { riffSize: 36 + list.length, after: list })
}
async function read(bytes: Buffer) {
  const reader = await WavReader.fromBuffer(bytes)
  return { format: reader.format, samples: [...await reader.all()] }
}

const pcm = (...samples: number[]) => Buffer.from(Int16Array.from(samples).buffer)
function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return bytes
}

const values = [0, 16_384, -16_384, 32_767, -32_768]
const store: Record<string, (out: Buffer, value: number, at: number) => void> = {
  '1/8': (out, v, at) => out.writeUInt8((v >> 8) + 128, at),
  '1/16': (out, v, at) => out.writeInt16LE(v, at),
  '1/24': (out, v, at) => out.writeIntLE(v * 256, at, 3),
  '1/32': (out, v, at) => out.writeInt32LE(v * 65_536, at),
  '3/32': (out, v, at) => out.writeFloatLE(v / 32_767, at),
  '3/64': (out, v, at) => out.writeDoubleLE(v / 32_767, at),
}
for (const [name, write] of Object.entries(store)) {
  const [tag, bits] = name.split('/').map(Number) as [number, number]
  for (const extensible of [false, true]) {
    test(`reads ${tag === 1 ? 'PCM' : 'float'} ${bits}${extensible ? ' extensible' : ''}`, async (t) => {
      const body = Buffer.alloc((values.length * bits) / 8)
      values.forEach((value, i) => write(body, value, (i * bits) / 8))
      const { samples, format } = await read(wav(body, { tag, bits, extensible }))
      t.is(format.frames, values.length)
      const off = bits === 8 ? 255 : 1
      for (const [i, value] of values.entries()) {
        t.true(Math.abs(samples[i]! - value) <= off, `${samples[i]} for ${value}`)
      }
    })
  }
}

test('reads 24 bits left-justified in 32', async (t) => {
  const body = Buffer.alloc(4)
  body.writeInt32LE(-12_345 * 65_536)
  t.deepEqual((await read(wav(body, { bits: 24, container: 32, extensible: true }))).samples, [-12_345])
})

test('clips float beyond full scale and reads NaN as silence', async (t) => {
  const body = Buffer.alloc(16)
  body.writeFloatLE(7, 0); body.writeFloatLE(-Infinity, 4); body.writeFloatLE(NaN, 8); body.writeFloatLE(0.5, 12)
  t.deepEqual((await read(wav(body, { tag: 3, bits: 32 }))).samples, [32_767, -32_768, 0, 16_384])
})

test('skips odd and unknown chunks before the data and ignores those after it', async (t) => {
  const body = Buffer.from(Int16Array.of(1, 2, 3).buffer)
  const before = Buffer.concat([chunk('LIST', Buffer.from('odd')), Buffer.alloc(1), chunk('junk', Buffer.alloc(0))])
  t.deepEqual((await read(wav(body, { before, after: chunk('LIST', Buffer.from('INFO')) }))).samples, [1, 2, 3])
})

for (const dataSize of [0, 0xffff_ffff, 0x7fff_f000, 0x8000_0000]) {
  test(`a data size of ${dataSize}, as streaming writers leave it, means to the end of the file`, async (t) => {
    t.deepEqual((await read(wav(Buffer.from(Int16Array.of(5, 6, 7).buffer), { dataSize }))).samples, [5, 6, 7])
  })
}

for (const riffSize of [0, 36]) {
  test(`a data size of 0 in a file whose own size is given as ${riffSize} was never filled in`, async (t) => {
    t.deepEqual((await read(wav(pcm(5, 6, 7), { dataSize: 0, riffSize }))).samples, [5, 6, 7])
  })
}

test('a data size that is too large by the header it counts loses nothing', async (t) => {
  t.deepEqual((await read(wav(pcm(5, 6, 7), { dataSize: 6 + 44 }))).samples, [5, 6, 7])
})

test('a data size that is not whole frames gives the whole frames', async (t) => {
  t.deepEqual((await read(wav(pcm(5, 6, 7, 8), { channels: 2, dataSize: 7 }))).samples, [5, 6])
})

for (const kind of ['RF64', 'BW64']) {
  test(`${kind}: ds64 says where the sound ends, and what follows is no sound`, async (t) => {
    const ds64 = chunk('ds64', Buffer.concat([u64(0x1_0000_0000n), u64(6n), u64(3n), Buffer.alloc(4)]))
    const after = chunk('LIST', Buffer.alloc(40, 1))
    const bytes = wav(pcm(5, 6, 7), { id: kind, dataSize: 0xffff_ffff, before: ds64, after })
    t.deepEqual((await read(bytes)).samples, [5, 6, 7])
  })
}

test('a chunk of odd length without its pad byte hides nothing', async (t) => {
  t.deepEqual((await read(wav(pcm(1, 2), { before: chunk('LIST', Buffer.from('odd')) }))).samples, [1, 2])
})

test('20 bits lie in the high bits of three bytes, and 12 in those of two', async (t) => {
  t.deepEqual((await read(wav(Buffer.from('10f2ff20f3ff', 'hex'), { bits: 20, container: 24 }))).samples, [-14, -13])
  t.deepEqual((await read(wav(pcm(1_600, -1_600), { bits: 12, container: 16 }))).samples, [1_600, -1_600])
})

test('a byte rate or a number of valid bits of 0 is "not given"', async (t) => {
  t.deepEqual((await read(wav(pcm(1, 2), { byteRate: 0 }))).samples, [1, 2])
  t.deepEqual((await read(wav(pcm(1, 2), { extensible: true, validBits: 0 }))).samples, [1, 2])
})

test('drops the half frame at the end of a cut file', async (t) => {
  const { samples } = await read(wav(Buffer.from([1, 0, 2, 0, 3, 0, 4]), { channels: 2, dataSize: 8 }))
  t.deepEqual(samples, [1, 2])
})

test('what is written is read back', async (t) => {
  const sounds = fc.int16Array({ minLength: 6, maxLength: 600 })
  await fc.assert(fc.asyncProperty(sounds, fc.integer({ min: 1, max: 6 }), async (raw, channels) => {
    const samples = raw.subarray(0, raw.length - (raw.length % channels))
    const { samples: back, format } = await read(encodeWav(samples, { sampleRateHz: 44_100, channels }))
    t.is(format.channels, channels)
    t.deepEqual(back, [...samples])
  }), { numRuns: 50 })
})

for (const [what, bytes, message] of [
  ['an empty file', Buffer.alloc(0), /RIFF WAVE/],
  ['a big-endian file', Buffer.from('RIFX\0\0\0\0WAVE'), /RIFX/],
  ['no data chunk', wav(Buffer.alloc(8)).subarray(0, 36), /no data/],
  ['no samples', wav(Buffer.alloc(0)), /no samples/],
  ['9 channels', wav(Buffer.alloc(36), { channels: 9 }), /channels/],
  ['0 channels', wav(Buffer.alloc(36), { channels: 0 }), /channels/],
  ['1 Hz', wav(Buffer.alloc(8), { rateHz: 1 }), /Hz/],
  ['0 Hz', wav(Buffer.alloc(8), { rateHz: 0 }), /192000 Hz, got 0/],
  ['mu-law', wav(Buffer.alloc(8), { tag: 7, bits: 8 }), /format 7 \(µ-law\)/],
  ['A-law in the extensible form', wav(Buffer.alloc(8), { tag: 6, bits: 8, extensible: true }), /format 6 \(A-law\)/],
  ['compressed sound', wav(Buffer.alloc(8), { tag: 0x55 }), /MP3/],
  ['an unknown format', wav(Buffer.alloc(8), { tag: 0x1234 }), /format 4660/],
  ['mono 8 bit in blocks of 2', wav(Buffer.alloc(8), { bits: 8, blockAlign: 2 }), /blocks of 1 bytes, got 2/],
  ['stereo 16 bit in blocks of 2', wav(Buffer.alloc(8), { channels: 2, blockAlign: 2 }), /blocks of 4 bytes, got 2/],
  ['3 channels of 16 bit in blocks of 12', wav(Buffer.alloc(24), { channels: 3, blockAlign: 12 }), /6 bytes, got 12/],
  ['16 bit in blocks of 0', wav(Buffer.alloc(8), { blockAlign: 0 }), /blocks of 2 bytes, got 0/],
  // arecord -f S24_LE writes this and has the sample in the low bytes; the standard has it in the high ones.
  ['plain 24 bit in blocks of 4', wav(Buffer.alloc(8), { bits: 24, container: 32 }), /blocks of 3 bytes, got 4/],
  ['0 bits', wav(Buffer.alloc(8), { bits: 0 }), /PCM: expected 8, 16, 24, 32 bits, got 0/],
  ['48 bits', wav(Buffer.alloc(12), { bits: 48 }), /got 48/],
  ['float of 16 bits', wav(Buffer.alloc(8), { tag: 3 }), /float: expected 32, 64 bits, got 16/],
  ['more valid bits than there are', wav(Buffer.alloc(8), { extensible: true, validBits: 24 }), /24 are said/],
  ['an extensible container of 20 bits', wav(Buffer.alloc(8), { extensible: true, bits: 20, blockAlign: 3 }), /got 20/],
  ['an extensible form without extension', wav(Buffer.alloc(8), { extensible: true, extension: 0 }), /22 bytes, got 0/],
  ['a byte rate of another sample rate', wav(Buffer.alloc(8), { byteRate: 22_050 }), /32000 bytes a second, got 22050/],
  ['a byte rate of another width', wav(Buffer.alloc(8), { bits: 24, byteRate: 32_000 }), /48000 .* got 32000/],
  ['two fmt chunks', wav(Buffer.alloc(8), { before: wav(Buffer.alloc(0)).subarray(12, 36) }), /one fmt chunk/],
  ['data before fmt', Buffer.from('RIFF\xff\0\0\0WAVEdata\x04\0\0\0\0\0\0\0', 'latin1'), /before the fmt/],
  ['an empty data chunk with a chunk behind it', emptyWithList(), /no samples/],
  ['a file cut short', wav(Buffer.alloc(2_000)).subarray(0, 1_000), /2000 bytes .* got 956/],
  ['a fmt chunk of 14 bytes', Buffer.concat([RIFF_HEADER, chunk('fmt ', Buffer.alloc(14))]), /got 14/],
  ['a thousand chunks', wav(Buffer.alloc(8), { before: Buffer.alloc(8_008, 'junk\0\0\0\0', 'latin1') }), /chunks/],
] as const) {
  test(`refuses ${what} with AUDIO_INVALID`, async (t) => {
    const error = await t.throwsAsync(WavReader.fromBuffer(bytes), { instanceOf: MtorError, message })
    t.is(error.code, 'AUDIO_INVALID')
  })
}

test('a file that is missing, is a folder, or shrinks while it is read is AUDIO_INVALID', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'mtor-wav-'))
  t.teardown(() => rm(folder, { recursive: true }))
  t.is((await t.throwsAsync(WavReader.open(join(folder, 'none.wav')), { instanceOf: MtorError })).code, 'AUDIO_INVALID')
  t.is((await t.throwsAsync(WavReader.open(folder), { instanceOf: MtorError })).code, 'AUDIO_INVALID')
  const path = join(folder, 'a.wav')
  await writeFile(path, encodeWav(new Int16Array(20_000), { sampleRateHz: 16_000 }))
  const reader = await WavReader.open(path)
  t.teardown(() => reader.close())
  await truncate(path, 10_000)
  t.is((await t.throwsAsync(reader.all(), { instanceOf: MtorError })).code, 'AUDIO_INVALID')
})

test('fuzz: mutated files and random bytes give samples or AUDIO_INVALID, nothing else', async (t) => {
  const valid = [
    wav(Buffer.alloc(96, 7), { channels: 2, bits: 24 }),
    wav(Buffer.alloc(96, 9), { tag: 3, bits: 32, extensible: true }),
    encodeWav(new Int16Array(64), { sampleRateHz: 8_000, channels: 8 }),
  ]
  const edit = fc.tuple(fc.nat({ max: 130 }), fc.integer({ min: 0, max: 255 }))
  const mutation = fc.tuple(fc.constantFrom(...valid), fc.array(edit, { maxLength: 8 }), fc.nat({ max: 160 }))
  const mutated = mutation.map(([base, edits, cut]) => {
    const copy = Buffer.from(base)
    for (const [at, byte] of edits) if (at < copy.length) copy[at] = byte
    return copy.subarray(0, copy.length - (cut < 60 ? cut : 0))
  })
  let read = 0
  const random = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes))
  await fc.assert(fc.asyncProperty(fc.oneof({ weight: 9, arbitrary: mutated }, random), async (bytes) => {
    try {
      const reader = await WavReader.fromBuffer(bytes)
      const samples = await reader.all()
      // No header may make the reader produce more than the bytes can hold.
      t.true(samples.length <= bytes.length)
      read++
    } catch (error) {
      if (!(error instanceof MtorError) || error.code !== 'AUDIO_INVALID') throw error
    }
  }), { numRuns: 5_000 })
  t.true(read > 100, `${read} of the mutated files were still readable`)
})
