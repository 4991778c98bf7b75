import test from 'ava'
import { HOP_SAMPLES, LogMel } from './mel.ts'

/** A tone that rises from 100 Hz to 6 kHz within a second and grows louder. */
const sweep = Int16Array.from({ length: 16_000 }, (_, n) => {
  const s = n / 16_000
  return Math.round(8000 * (0.2 + 0.8 * s) * Math.sin(2 * Math.PI * (100 * s + 2950 * s * s)))
})
const FRAMES = [0, 1, 25, 50, 75, 99]
/** What faster-whisper 1.2.1 makes of the same samples, at FRAMES (FeatureExtractor, no padding). */
const REFERENCE: Record<number, number[]> = {
  0: [0.8363, 0.3186, -0.8653, -0.8653, -0.8653, -0.4741],
  1: [0.8564, 0.5828, -0.8653, -0.8653, -0.8653, -0.4693],
  7: [0.3817, 0.2027, -0.8653, -0.8653, -0.8653, -0.4737],
  20: [-0.0902, -0.5985, -0.8653, -0.8653, -0.8653, -0.4687],
  40: [-0.4241, -0.8653, 0.397, -0.8653, -0.8653, -0.435],
  60: [-0.7156, -0.8653, -0.8653, -0.8653, -0.8653, -0.313],
  79: [-0.8653, -0.8653, -0.8653, -0.8653, -0.8653, -0.0849],
}

test('a spectrogram is what another implementation makes of the same sound', (t) => {
  const mel = new LogMel(80).of(sweep, 100)
  for (const [band, values] of Object.entries(REFERENCE)) for (const [i, frame] of FRAMES.entries()) {
    const got = mel[Number(band) * 100 + frame]!
    t.true(Math.abs(got - values[i]!) < 2e-3, `band ${band}, frame ${frame}: expected ${values[i]}, got ${got}`)
  }
})

test('sound is followed by silence, and what is beyond the frames is not heard', (t) => {
  const mel = new LogMel(80)
  const heard = mel.of(sweep, 300)
  const loud = (frame: number) => Math.max(...Array.from({ length: 80 }, (_, band) => heard[band * 300 + frame]!))
  t.true(loud(50) > 1)
  t.true(loud(102) < loud(50) - 1.9, 'silence lies at the bottom of the range')
  t.deepEqual(mel.of(new Int16Array([...sweep, ...sweep]), 100), mel.of(sweep, 100))
})

test('digital silence is one even floor', (t) => {
  t.deepEqual([...new Set(new LogMel(80).of(new Int16Array(10 * HOP_SAMPLES), 10))], [-1.5])
})
