import test from 'ava'
import fc from 'fast-check'
import { MtorError } from '../../contracts/errors.ts'
import { concatenate } from '../sounds.ts'
import { formatOf, PcmConverter, pcmOf, type PcmFormat } from './pcm.ts'

const TONE_HZ = 440
const toneAt = (second: number) => 12_000 * Math.sin(2 * Math.PI * TONE_HZ * second)

/** A second of a tone in any format, each channel the same. */
function tone({ rateHz, width, channels }: PcmFormat): Buffer {
  const bytes = Buffer.alloc(rateHz * width * channels)
  for (let i = 0, at = 0; i < rateHz; i++) {
    for (let channel = 0; channel < channels; channel++, at += width) {
      const value = toneAt(i / rateHz)
      if (width === 1) bytes.writeUInt8(128 + Math.round(value / 256), at)
      else bytes.writeIntLE(Math.round(value) * 256 ** (width - 2), at, width)
    }
  }
  return bytes
}

for (const format of [{ rateHz: 16_000, width: 2, channels: 1 }, { rateHz: 48_000, width: 2, channels: 2 }, { rateHz: 44_100, width: 3, channels: 1 }, { rateHz: 22_050, width: 4, channels: 2 }, { rateHz: 8_000, width: 1, channels: 1 }]) {
  test(`${format.rateHz} Hz, ${format.width} bytes, ${format.channels} channels become 16 kHz mono`, (t) => {
    const converter = new PcmConverter(format)
    // Pieces of 999 bytes end within samples.
    const bytes = tone(format)
    const parts: Int16Array[] = []
    for (let at = 0; at < bytes.length; at += 999) parts.push(...converter.push(bytes.subarray(at, at + 999)))
    const samples = concatenate([...parts, converter.flush()])
    t.true(Math.abs(samples.length - 16_000) <= 1, `${samples.length} samples`)
    const middle = samples.subarray(4_000, 12_000)
    const error = Math.max(...middle.map((value, i) => Math.abs(value - toneAt((i + 4_000) / 16_000))))
    t.true(error < (format.width === 1 ? 400 : 100), `off by ${error}`)
  })
}

test('a megabyte of sound comes in pieces that nobody waits long behind', (t) => {
  const sizes = [...new PcmConverter({ rateHz: 8_000, width: 1, channels: 1 }).push(Buffer.alloc(1_048_576, 128))].map(({ length }) => length)
  t.true(sizes.length >= 256 && Math.max(...sizes) <= 8_192)
})

test('no format but that of sound is taken, whatever is sent', (t) => {
  fc.assert(fc.property(fc.record({ rate: fc.anything({ withNullPrototype: true }), width: fc.anything(), channels: fc.anything() }), (data) => {
    try {
      const { rateHz, width, channels } = formatOf(data)
      t.true(rateHz >= 4_000 && rateHz <= 192_000 && width >= 1 && width <= 4 && channels >= 1 && channels <= 8)
    } catch (error) { t.true(error instanceof MtorError && error.code === 'AUDIO_INVALID', String(error)) }
  }), { numRuns: 2_000 })
  t.deepEqual(formatOf({ rate: 22_050, width: 2, channels: 1 }), { rateHz: 22_050, width: 2, channels: 1 })
})

test('samples become bytes, low one first', (t) => { t.deepEqual([...pcmOf(Int16Array.of(1, -2))], [1, 0, 254, 255]) })
