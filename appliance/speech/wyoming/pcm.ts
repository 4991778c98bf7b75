import { inspect } from 'node:util'
import { MtorError } from '../../contracts/errors.ts'
import { Resampler } from '../resample.ts'
import { SAMPLE_RATE_HZ } from '../vad.ts'
import { WAV_LIMITS } from '../wav.ts'

/** What an event of sound says of it. */
export interface PcmFormat { rateHz: number; /** Bytes of one sample. */ width: number; channels: number }

/** Frames converted at once: 0.1 s at 44.1 kHz, so that nobody waits long behind a piece. */
const PIECE_FRAMES = 4_096

/** @throws MtorError AUDIO_INVALID for sound that no microphone makes */
export function formatOf({ rate, width, channels }: Record<string, unknown>): PcmFormat {
  const { minRateHz, maxRateHz, maxChannels } = WAV_LIMITS
  const between = (value: unknown, least: number, most: number, what: string) => {
    if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most) return value as number
    throw new MtorError('AUDIO_INVALID', `${what}: expected ${least} to ${most}, got ${inspect(value, { depth: 0 })}`, { hint: 'Send PCM.' })
  }
  return { rateHz: between(rate, minRateHz, maxRateHz, 'rate'), width: between(width, 1, 4, 'width'), channels: between(channels, 1, maxChannels, 'channels') }
}

/** PCM of any rate, width and number of channels, in pieces as they come, to mono samples of 16 bits at one rate. */
export class PcmConverter {
  readonly format: PcmFormat
  readonly #resampler: Resampler
  #rest: Buffer = Buffer.alloc(0)

  constructor(format: PcmFormat, toHz: number = SAMPLE_RATE_HZ) {
    this.format = format
    this.#resampler = new Resampler(format.rateHz, toHz)
  }

  /** A sample that is cut in two waits for its other half. */
  *push(bytes: Buffer): Generator<Int16Array> {
    const { width, channels } = this.format
    const all = this.#rest.length > 0 ? Buffer.concat([this.#rest, bytes]) : bytes
    const frames = Math.floor(all.length / (width * channels))
    this.#rest = Buffer.from(all.subarray(frames * width * channels))
    for (let at = 0; at < frames; at += PIECE_FRAMES) yield this.#resampler.push(this.#mono(all, at, Math.min(frames, at + PIECE_FRAMES)))
  }

  /** What the filter held back. Nothing may be pushed after it. */
  flush(): Int16Array { return this.#resampler.flush() }

  #mono(bytes: Buffer, from: number, to: number): Int16Array {
    const { width, channels } = this.format
    const samples = new Int16Array(to - from)
    for (let i = 0, at = from * width * channels; i < samples.length; i++) {
      let sum = 0
      for (let channel = 0; channel < channels; channel++, at += width) sum += width === 1 ? (bytes[at]! - 128) << 8 : bytes.readInt16LE(at + width - 2)
      samples[i] = Math.round(sum / channels)
    }
    return samples
  }
}

/** Samples as the payload of an event: 16 bits, little-endian. */
export function pcmOf(samples: Int16Array): Buffer {
  const bytes = Buffer.allocUnsafe(samples.length * 2)
  for (let i = 0; i < samples.length; i++) bytes.writeInt16LE(samples[i]!, i * 2)
  return bytes
}
