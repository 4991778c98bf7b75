import test from 'ava'
import { BANDS, bandHz, FRAME_SAMPLES, HOP_SAMPLES, logMel, normaliseWindow, RATE_HZ, WINDOW_FRAMES, WINDOW_SAMPLES } from './features.ts'
import { FeatureStream, FiringRule, STEP_FRAMES } from './spotter.ts'

const sine = (hz: number, samples: number, amplitude = 0.5) => Int16Array.from({ length: samples }, (_, i) => Math.round(amplitude * 32_767 * Math.sin(2 * Math.PI * hz * i / RATE_HZ)))

/** Written from the definition: a plain sum for the Fourier transform, triangles in hertz, no tables. */
function reference(frame: Float64Array): number[] {
  const bins = 257
  const power = Array.from({ length: bins }, (_, k) => {
    let re = 0, im = 0
    for (let i = 0; i < frame.length; i++) {
      const value = frame[i]! * 0.5 * (1 - Math.cos(2 * Math.PI * i / frame.length))
      re += value * Math.cos(2 * Math.PI * k * i / 512)
      im -= value * Math.sin(2 * Math.PI * k * i / 512)
    }
    return (re ** 2 + im ** 2) / 512
  })
  const mel = (hz: number) => 2595 * Math.log10(1 + hz / 700), hertz = (mels: number) => 700 * (10 ** (mels / 2595) - 1)
  const edge = (i: number) => hertz(mel(60) + i * (mel(7_600) - mel(60)) / 41)
  return Array.from({ length: 40 }, (_, band) => {
    const [low, middle, high] = [edge(band), edge(band + 1), edge(band + 2)]
    const sum = power.reduce((total, p, k) => { const hz = k * 31.25; return total + p * Math.max(0, Math.min((hz - low) / (middle - low), (high - hz) / (high - middle))) }, 0)
    return Math.log(Math.max(1e-10, sum))
  })
}

test('features agree with a calculation written from the definition', (t) => {
  const samples = Int16Array.from({ length: 720 }, (_, i) => Math.round(9_000 * Math.sin(i * i / 900) + 4_000 * Math.cos(i / 3.3)))
  const got = logMel(samples)
  t.is(got.length, 3 * BANDS)
  for (const frame of [0, 1, 2]) {
    const expected = reference(Float64Array.from(samples.subarray(frame * HOP_SAMPLES, frame * HOP_SAMPLES + FRAME_SAMPLES), (s) => s / 32768))
    for (let band = 0; band < BANDS; band++) t.true(Math.abs(got[frame * BANDS + band]! - expected[band]!) < 1e-3, `frame ${frame}, band ${band}: ${got[frame * BANDS + band]} against ${expected[band]}`)
  }
})

test('a tone is loudest in the band whose middle is nearest to it', (t) => {
  for (const hz of [250, 1_000, 3_000, 6_000]) {
    const bands = logMel(sine(hz, 4_000)).subarray(10 * BANDS, 11 * BANDS)
    const loudest = bands.indexOf(Math.max(...bands))
    const nearest = Array.from({ length: BANDS }, (_, band) => band).reduce((best, band) => Math.abs(bandHz(band) - hz) < Math.abs(bandHz(best) - hz) ? band : best)
    t.true(Math.abs(loudest - nearest) <= 1, `${hz} Hz is loudest in band ${loudest} (${bandHz(loudest).toFixed(0)} Hz)`)
  }
})

test('loudness does not change a window', (t) => {
  const samples = Int16Array.from({ length: WINDOW_SAMPLES }, (_, i) => Math.round(8_000 * Math.sin(i * i / 300_000) * Math.sin(i / 900)))
  const quieter = samples.map((s) => Math.round(s / 4))
  const [a, b] = [samples, quieter].map((s) => { const out = new Float32Array(WINDOW_FRAMES * BANDS); normaliseWindow(logMel(s), 0, out); return out })
  const worst = Math.max(...a!.map((value, i) => Math.abs(value - b![i]!)))
  t.true(worst < 0.15, `${worst}`)
  t.true(Math.max(...a!) > 0.5, 'and there is something in it')
})

test('a stream gives the same windows as the whole sound, every 100 ms, whatever the pieces', (t) => {
  const samples = Int16Array.from({ length: 2 * RATE_HZ }, (_, i) => Math.round(6_000 * Math.sin(i / 7 + Math.sin(i / 1_500))))
  const stream = new FeatureStream()
  const windows: Float32Array[] = []
  for (let at = 0, size = 17; at < samples.length; at += size, size = 1 + (size * 31) % 700) stream.push(samples.subarray(at, at + size), (features) => windows.push(features))
  const whole = logMel(samples)
  t.is(windows.length, Math.floor((whole.length / BANDS - 100) / STEP_FRAMES) + 1)
  for (const [i, window] of windows.entries()) {
    // The stream counts its windows by the end: frames 100, 110 …
    const end = Math.ceil(WINDOW_FRAMES / STEP_FRAMES) * STEP_FRAMES + i * STEP_FRAMES
    const expected = new Float32Array(WINDOW_FRAMES * BANDS)
    normaliseWindow(whole, end - WINDOW_FRAMES, expected)
    t.deepEqual(window, expected)
  }
})

test('a word counts when two windows in a row are sure enough, and again only after a second', (t) => {
  const rule = new FiringRule(0.8)
  const fired = [0.1, 0.95, 0.2, 0.75, 0.9, 0.99, 0.99, 0.99, 0.99, 0.99, 0.99, 0.99, 0.99, 0.99, 0.99, 0.99, 0.99].map((score) => rule.push(score) !== undefined)
  t.deepEqual(fired.map((is, i) => is ? i : -1).filter((i) => i >= 0), [4, 15])
})
