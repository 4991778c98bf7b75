/**
 * The frozen features of learned words: log mel energies. 40 bands from 60 Hz to 7.6 kHz, frames of 25 ms every 10 ms,
 * Hann window, 512-point FFT. Mel scale after O'Shaughnessy: mel = 2595·log10(1 + f/700 Hz).
 * @see S. Davis, P. Mermelstein, IEEE Trans. ASSP 28(4), 1980
 */
export const RATE_HZ = 16_000
export const BANDS = 40
export const FRAME_SAMPLES = 400
export const HOP_SAMPLES = 160
export const WINDOW_SAMPLES = 16_000
/** Frames of one second. */
export const WINDOW_FRAMES = 1 + Math.floor((WINDOW_SAMPLES - FRAME_SAMPLES) / HOP_SAMPLES)

const FFT = 512
const LOW_HZ = 60
const HIGH_HZ = 7_600
/** Power below which a band is empty: about −100 dBFS. */
const FLOOR = 1e-10
/** What lies this far below the loudest (natural logarithm of power; 50 dB) is taken for nothing. */
const RANGE = 11.5
const SCALE = 0.3

const mel = (hz: number) => 2595 * Math.log10(1 + hz / 700)
const hertz = (mels: number) => 700 * (10 ** (mels / 2595) - 1)
/** Middle of a band, Hz. */
export const bandHz = (band: number) => hertz(mel(LOW_HZ) + (band + 1) * (mel(HIGH_HZ) - mel(LOW_HZ)) / (BANDS + 1))

const HANN = Float64Array.from({ length: FRAME_SAMPLES }, (_, i) => 0.5 - 0.5 * Math.cos(2 * Math.PI * i / FRAME_SAMPLES))
const COS = Float64Array.from({ length: FFT / 2 }, (_, i) => Math.cos(2 * Math.PI * i / FFT))
const SIN = Float64Array.from({ length: FFT / 2 }, (_, i) => Math.sin(2 * Math.PI * i / FFT))
const REVERSED = Uint16Array.from({ length: FFT }, (_, i) => { let r = 0; for (let bit = 1; bit < FFT; bit <<= 1) r = (r << 1) | (i & bit ? 1 : 0); return r })

/** Triangles over the bins, each with its first bin; their areas are equal in weight, as in HTK. */
const FILTERS = Array.from({ length: BANDS }, (_, band) => {
  const [low, middle, high] = [bandHz(band - 1), bandHz(band), bandHz(band + 1)]
  const first = Math.ceil(low * FFT / RATE_HZ), last = Math.floor(high * FFT / RATE_HZ)
  const weights = Float64Array.from({ length: last - first + 1 }, (_, i) => {
    const hz = (first + i) * RATE_HZ / FFT
    return Math.max(0, hz <= middle ? (hz - low) / (middle - low) : (high - hz) / (high - middle))
  })
  return { first, weights }
})

const re = new Float64Array(FFT), im = new Float64Array(FFT), power = new Float64Array(FFT / 2 + 1)

/** In place, decimation in time, radix 2. @see Cooley & Tukey, Math. Comp. 19, 1965 */
function transform(): void {
  for (let size = 2; size <= FFT; size <<= 1) {
    const half = size >> 1, step = FFT / size
    for (let start = 0; start < FFT; start += size) {
      for (let i = 0; i < half; i++) {
        const a = start + i, b = a + half, c = COS[i * step]!, s = SIN[i * step]!
        const r = re[b]! * c + im[b]! * s, q = im[b]! * c - re[b]! * s
        re[b] = re[a]! - r; im[b] = im[a]! - q
        re[a]! += r; im[a]! += q
      }
    }
  }
}

/** Natural logarithm of the energy in each band of 400 samples from `at` on, written to `out` from `to` on. Full scale is 1. */
export function frameBands(samples: Int16Array | Float32Array, at: number, out: Float32Array, to: number): void {
  const scale = samples instanceof Int16Array ? 1 / 32768 : 1
  for (let i = 0; i < FFT; i++) {
    const from = REVERSED[i]!
    re[i] = from < FRAME_SAMPLES ? samples[at + from]! * scale * HANN[from]! : 0
    im[i] = 0
  }
  transform()
  for (let k = 0; k <= FFT / 2; k++) power[k] = (re[k]! * re[k]! + im[k]! * im[k]!) / FFT
  for (let band = 0; band < BANDS; band++) {
    const { first, weights } = FILTERS[band]!
    let sum = 0
    for (let i = 0; i < weights.length; i++) sum += weights[i]! * power[first + i]!
    out[to + band] = Math.log(Math.max(FLOOR, sum))
  }
}

/** Log mel energies of a whole sound, [frames × 40]; a sound shorter than a frame has none. */
export function logMel(samples: Int16Array | Float32Array): Float32Array {
  const frames = Math.max(0, 1 + Math.floor((samples.length - FRAME_SAMPLES) / HOP_SAMPLES))
  const out = new Float32Array(frames * BANDS)
  for (let frame = 0; frame < frames; frame++) frameBands(samples, frame * HOP_SAMPLES, out, frame * BANDS)
  return out
}

/**
 * One window of 98 frames as the head takes it, written to `out`: each band without its mean over the window, so that
 * loudness, microphone and line do not matter, and without what lies 50 dB below the loudest, so that the noise floor does not.
 */
export function normaliseWindow(bands: Float32Array, fromFrame: number, out: Float32Array, to = 0): void {
  const count = WINDOW_FRAMES * BANDS, from = fromFrame * BANDS
  let top = -Infinity
  for (let i = 0; i < count; i++) if (bands[from + i]! > top) top = bands[from + i]!
  const floor = top - RANGE
  for (let band = 0; band < BANDS; band++) {
    let sum = 0
    for (let i = band; i < count; i += BANDS) sum += Math.max(floor, bands[from + i]!)
    const mean = sum / WINDOW_FRAMES
    for (let i = band; i < count; i += BANDS) out[to + i] = (Math.max(floor, bands[from + i]!) - mean) * SCALE
  }
}
