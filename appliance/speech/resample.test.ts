import test from 'ava'
import fc from 'fast-check'
import { MtorError } from '../contracts/errors.ts'
import { Resampler } from './resample.ts'

function tone(hz: number, rateHz: number, seconds: number, amplitude = 16_000): Int16Array {
  const step = (2 * Math.PI * hz) / rateHz
  return Int16Array.from({ length: Math.round(rateHz * seconds) }, (_, i) => Math.round(amplitude * Math.sin(step * i)))
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
    for (const hz of [100, 1_000, 0.4, 0.43, 0.46].map((f) => f < 1 ? f * Math.min(rate, 16_000) : f)) {
      const output = convert(tone(hz, rate, 1), rate)
      t.is(output.length, 16_000)
      t.true(Math.abs(levelDb(output)) < 0.1, `${hz} Hz came out at ${levelDb(output).toFixed(2)} dB`)
    }
  })
}

for (const rate of RATES.filter((rate) => rate > 16_000)) {
  test(`${rate} Hz: what lies above 8.1 kHz is rejected by 80 dB`, (t) => {
    for (const hz of [8_100, 8_200, 9_000, 10_500].filter((hz) => hz < rate / 2)) {
      const db = levelDb(convert(tone(hz, rate, 0.5), rate))
      t.true(db < -80, `${hz} Hz: ${db} dB`)
    }
  })
}

/** What is in a signal beside a tone of `hz`, in its middle half, relative to a full tone of 16,000, dB. */
function besidesDb(samples: Int16Array, hz: number): number {
  const from = samples.length >> 2
  const middle = samples.subarray(from, (samples.length * 3) >> 2)
  const angle = (i: number) => (2 * Math.PI * hz * (from + i)) / 16_000
  const project = (wave: (x: number) => number) => {
    const sum = middle.reduce((soFar, value, i) => soFar + value * wave(angle(i)), 0)
    return (2 * sum) / middle.length
  }
  const sine = project(Math.sin)
  const cosine = project(Math.cos)
  return levelDb(samples.map((v, i) => v - sine * Math.sin(angle(i - from)) - cosine * Math.cos(angle(i - from))))
}

for (const rate of [4_000, 6_000, 8_000, 11_025, 11_127, 12_000, 15_999]) {
  test(`${rate} Hz: a tone near the top of the old band has no image above it`, (t) => {
    for (const part of [0.5, 0.8, 0.9]) {
      // A whole number of periods in the stretch that is looked at.
      const hz = Math.round((part * rate) / 2 / 2) * 2
      const db = besidesDb(convert(tone(hz, rate, 1), rate), hz)
      t.true(db < -78, `${hz} Hz has ${db.toFixed(1)} dB beside it`)
    }
  })
}

for (const rate of [8_000, 11_025, 22_050, 44_099, 192_000]) {
  test(`${rate} Hz: after half a minute the sound is still in step`, (t) => {
    const output = convert(tone(440, rate, 30, 10_000), rate, 16_000, 4_099)
    t.is(output.length, 480_000)
    for (let i = 479_000; i < 479_800; i++) {
      const wanted = 10_000 * Math.sin((2 * Math.PI * 440 * i) / 16_000)
      t.true(Math.abs(output[i]! - wanted) < 5, `sample ${i}: ${output[i]} for ${wanted}`)
    }
  })
}

test('n samples become n · to / from, rounded up, whatever the rates', (t) => {
  const rates = fc.integer({ min: 4_000, max: 60_000 })
  fc.assert(fc.property(rates, fc.nat({ max: 3_000 }), (rate, length) => {
    t.is(convert(new Int16Array(length), rate, 16_000, 700).length, Math.ceil((length * 16_000) / rate))
  }), { numRuns: 40 })
})

for (const rate of [0, -8_000, 11_025.5, Number.NaN, Infinity]) {
  test(`a rate of ${rate} is refused`, (t) => {
    t.throws(() => new Resampler(rate), { instanceOf: MtorError, code: 'AUDIO_INVALID', message: /whole Hz, got/ })
    t.throws(() => new Resampler(16_000, rate), { code: 'AUDIO_INVALID' })
  })
}

test('the output is in step with the input: sample n lies at time n / 16 kHz', (t) => {
  for (const rate of [8_000, 44_100, 44_099, 48_000]) {
    const output = convert(tone(500, rate, 0.5), rate)
    const wanted = tone(500, 16_000, 0.5)
    for (let i = 2_000; i < 6_000; i++) {
      t.true(Math.abs(output[i]! - wanted[i]!) < 20, `${rate} Hz, sample ${i}: ${output[i]} for ${wanted[i]}`)
    }
  }
})

test('how the stream is cut into blocks does not change a sample', (t) => {
  const input = tone(700, 44_100, 0.3)
  const whole = convert(input, 44_100, 16_000, input.length)
  fc.assert(fc.property(fc.integer({ min: 1, max: 3_000 }), (block) => {
    t.deepEqual(convert(input, 44_100, 16_000, block), whole)
  }), { numRuns: 15 })
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
