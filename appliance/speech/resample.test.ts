import test from 'ava'
import fc from 'fast-check'
import { Resampler } from './resample.ts'

function tone(hz: number, rateHz: number, seconds: number, amplitude = 16_000): Int16Array {
  return Int16Array.from({ length: Math.round(rateHz * seconds) }, (_, i) => Math.round(amplitude * Math.sin((2 * Math.PI * hz * i) / rateHz)))
}
function convert(input: Int16Array, fromHz: number, toHz = 16_000, block = 1_000): Int16Array {
  const resampler = new Resampler(fromHz, toHz)
  const parts: Int16Array[] = []
  for (let at = 0; at < input.length; at += block) parts.push(resampler.push(input.subarray(at, at + block)))
  parts.push(resampler.flush())
  return Int16Array.from(parts.flatMap((part) => [...part]))
}
/** Level of what is left in the middle of the signal, relative to a full tone of 16,000, dB. */
function levelDb(samples: Int16Array): number {
  const middle = samples.subarray(samples.length >> 2, (samples.length * 3) >> 2)
  const power = middle.reduce((sum, value) => sum + value * value, 0) / middle.length
  return 10 * Math.log10(Math.max(power, 1e-9) / (16_000 ** 2 / 2))
}

const RATES = [8_000, 11_025, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000]
for (const rate of [...RATES, 44_099]) {
  test(`${rate} Hz: the pass band is flat within 0.1 dB and a second stays a second`, (t) => {
    for (const hz of [100, 1_000, 0.4 * Math.min(rate, 16_000)]) {
      const output = convert(tone(hz, rate, 1), rate)
      t.is(output.length, 16_000)
      t.true(Math.abs(levelDb(output)) < 0.1, `${hz} Hz came out at ${levelDb(output).toFixed(2)} dB`)
    }
  })
}

for (const rate of RATES.filter((rate) => rate > 16_000)) {
  test(`${rate} Hz: what lies above 8.2 kHz is rejected by 70 dB`, (t) => {
    for (const hz of [8_200, 9_000, 10_500].filter((hz) => hz < rate / 2)) t.true(levelDb(convert(tone(hz, rate, 0.5), rate)) < -70, `${hz} Hz: ${levelDb(convert(tone(hz, rate, 0.5), rate))} dB`)
  })
}

test('the output is in step with the input: sample n lies at time n / 16 kHz', (t) => {
  for (const rate of [8_000, 44_100, 44_099, 48_000]) {
    const output = convert(tone(500, rate, 0.5), rate)
    const wanted = tone(500, 16_000, 0.5)
    for (let i = 2_000; i < 6_000; i++) t.true(Math.abs(output[i]! - wanted[i]!) < 20, `${rate} Hz, sample ${i}: ${output[i]} for ${wanted[i]}`)
  }
})

test('how the stream is cut into blocks does not change a sample', (t) => {
  const input = tone(700, 44_100, 0.3)
  const whole = convert(input, 44_100, 16_000, input.length)
  fc.assert(fc.property(fc.integer({ min: 1, max: 3_000 }), (block) => { t.deepEqual(convert(input, 44_100, 16_000, block), whole) }), { numRuns: 15 })
})

test('16 kHz passes untouched', (t) => {
  const input = tone(3_000, 16_000, 0.1)
  t.deepEqual(convert(input, 16_000), input)
})

test('full scale does not wrap', (t) => {
  const square = Int16Array.from({ length: 4_800 }, (_, i) => (Math.floor(i / 240) % 2 ? 32_767 : -32_768))
  const output = convert(square, 48_000)
  // Overshoot of the filter is clipped, so neighbours inside a plateau keep their sign.
  for (let i = 20; i < 60; i++) t.true(output[i]! < -20_000, `sample ${i}: ${output[i]}`)
})
