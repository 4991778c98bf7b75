import test from 'ava'
import { readMono } from './sounds.ts'
import { encodeWav, WavReader } from './wav.ts'

const LEVEL = 8_000

/** A second of a tone that swells and fades, as samples of a given rate. */
function swell(sampleRateHz: number, hz = 330): Int16Array {
  return Int16Array.from({ length: sampleRateHz }, (_, i) => {
    const second = i / sampleRateHz
    return Math.round(LEVEL * Math.sin(Math.PI * second) * Math.sin(2 * Math.PI * hz * second))
  })
}
function interleave(...channels: Int16Array[]): Int16Array {
  const count = channels.length
  const length = count * channels[0]!.length
  return Int16Array.from({ length }, (_, i) => channels[i % count]![Math.floor(i / count)]!)
}
async function heard(samples: Int16Array, options: { sampleRateHz: number; channels: number }): Promise<Int16Array> {
  return readMono(await WavReader.fromBuffer(encodeWav(samples, options)))
}
/** The largest difference of two sounds, the first and last 10 ms apart. */
function difference(a: Int16Array, b: Int16Array): number {
  return a.subarray(160, -160).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i + 160]!)), 0)
}

for (const sampleRateHz of [6_000, 8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 37_800, 88_200]) {
  test(`${sampleRateHz} Hz: the sound is heard at its speed and in step`, async (t) => {
    const mono = await heard(swell(sampleRateHz), { sampleRateHz, channels: 1 })
    t.is(mono.length, 16_000)
    t.true(difference(mono, swell(16_000)) <= 4, `off by ${difference(mono, swell(16_000))}`)
  })
}

for (const at of [0, 1, 2]) {
  test(`a voice that is on channel ${at + 1} of 3 alone is heard`, async (t) => {
    const silent = new Int16Array(22_050)
    const channels: Int16Array[] = [silent, silent, silent]
    channels[at] = swell(22_050)
    const mono = await heard(interleave(...channels), { sampleRateHz: 22_050, channels: 3 })
    t.true(difference(mono, swell(16_000)) <= 4)
  })
}

test('a voice that moves from the left to the right is heard on both', async (t) => {
  const first = swell(16_000, 300)
  const second = swell(16_000, 410)
  const silent = new Int16Array(16_000)
  const sound = Int16Array.from([...interleave(first, silent), ...interleave(silent, second)])
  const mono = await heard(sound, { sampleRateHz: 16_000, channels: 2 })
  const peak = (from: number) => Math.max(...mono.subarray(from, from + 4_000))
  t.true(peak(6_000) > 0.95 * LEVEL)
  t.true(peak(22_000) > 0.95 * LEVEL)
})

test('the same sound on both channels is heard as it is', async (t) => {
  const sound = swell(16_000)
  t.deepEqual(await heard(interleave(sound, sound), { sampleRateHz: 16_000, channels: 2 }), sound)
})
