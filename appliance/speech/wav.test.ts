import { mkdtemp, rm, writeFile, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import { MtorError } from '../contracts/errors.ts'
import { encodeWav, WavReader } from './wav.ts'

interface Shape { tag?: number; bits?: number; container?: number; channels?: number; rateHz?: number; extensible?: boolean; dataSize?: number; before?: Buffer; after?: Buffer }

/** A WAV of any shape, with the body given as bytes. */
function wav(body: Buffer, { tag = 1, bits = 16, container = bits, channels = 1, rateHz = 16_000, extensible = false, dataSize = body.length, before = Buffer.alloc(0), after = Buffer.alloc(0) }: Shape = {}): Buffer {
  const fmt = Buffer.alloc(extensible ? 40 : 16)
  fmt.writeUInt16LE(extensible ? 0xfffe : tag, 0)
  fmt.writeUInt16LE(channels, 2)
  fmt.writeUInt32LE(rateHz, 4)
  fmt.writeUInt32LE((rateHz * channels * container) / 8, 8)
  fmt.writeUInt16LE((channels * container) / 8, 12)
  fmt.writeUInt16LE(extensible ? container : bits, 14)
  if (extensible) {
    fmt.writeUInt16LE(22, 16)
    fmt.writeUInt16LE(bits, 18)
    fmt.writeUInt16LE(tag, 24)
    Buffer.from('000000001000800000aa00389b71', 'hex').copy(fmt, 26)
  }
  return Buffer.concat([Buffer.from('RIFF\xff\xff\xff\xffWAVE', 'latin1'), before, chunk('fmt ', fmt), chunk('data', body, dataSize), after])
}
function chunk(kind: string, body: Buffer, size = body.length): Buffer {
  const header = Buffer.alloc(8)
  header.write(kind, 'latin1')
  header.writeUInt32LE(size >>> 0, 4)
  return Buffer.concat([header, body])
}
const read = async (bytes: Buffer) => { const reader = await WavReader.fromBuffer(bytes); return { format: reader.format, samples: [...await reader.all()] } }

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
      for (const [i, value] of values.entries()) t.true(Math.abs(samples[i]! - value) <= (bits === 8 ? 255 : 1), `${samples[i]} for ${value}`)
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

for (const dataSize of [0, 0xffff_ffff, 0x7fff_f000, 1_000_000]) {
  test(`a data size of ${dataSize} that the file does not have means to the end of the file`, async (t) => {
    t.deepEqual((await read(wav(Buffer.from(Int16Array.of(5, 6, 7).buffer), { dataSize }))).samples, [5, 6, 7])
  })
}

test('drops the half frame at the end of a cut file', async (t) => {
  const { samples } = await read(wav(Buffer.from([1, 0, 2, 0, 3, 0, 4]), { channels: 2, dataSize: 8 }))
  t.deepEqual(samples, [1, 2])
})

test('what is written is read back', async (t) => {
  await fc.assert(fc.asyncProperty(fc.int16Array({ minLength: 6, maxLength: 600 }), fc.integer({ min: 1, max: 6 }), async (raw, channels) => {
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
  ['mu-law', wav(Buffer.alloc(8), { tag: 7, bits: 8 }), /format 7/],
  ['a thousand chunks', wav(Buffer.alloc(8), { before: Buffer.concat(Array.from({ length: 1_001 }, () => chunk('junk', Buffer.alloc(0)))) }), /chunks/],
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
  const mutated = fc.tuple(fc.constantFrom(...valid), fc.array(fc.tuple(fc.nat({ max: 130 }), fc.integer({ min: 0, max: 255 })), { maxLength: 8 }), fc.nat({ max: 160 })).map(([base, edits, cut]) => {
    const copy = Buffer.from(base)
    for (const [at, byte] of edits) if (at < copy.length) copy[at] = byte
    return copy.subarray(0, copy.length - (cut < 60 ? cut : 0))
  })
  let read = 0
  await fc.assert(fc.asyncProperty(fc.oneof({ weight: 9, arbitrary: mutated }, fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes))), async (bytes) => {
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
