import { Resampler } from '../resample.ts'
import { ChannelMix, type ChannelReducer } from './channels.ts'
import { FrameTimes } from './frame-times.ts'

/** What the pipeline takes: 512 samples at 16 kHz, 32 ms. */
export const FRAME_SAMPLES = 512
export const SAMPLE_RATE_HZ = 16_000
const FRAME_MS = (FRAME_SAMPLES / SAMPLE_RATE_HZ) * 1000

/** Bytes of a recorder, cut into frames: interleaved S16_LE at the device's rate in, mono 16 kHz frames of 512 out. */
export class Framer {
  readonly #channels: number
  readonly #reducer: ChannelReducer
  readonly #resampler: Resampler
  readonly #times = new FrameTimes(FRAME_MS)
  readonly #onFrame: (frame: Int16Array, endMs: number) => void
  #rest: Buffer = Buffer.alloc(0)
  #frame = new Int16Array(FRAME_SAMPLES)
  #filled = 0
  #left: number

  /** @param frames how many frames per channel to take in all, at the device's rate; what comes after them is dropped */
  constructor(options: { channels: number; rateHz: number; frames?: number; reducer?: ChannelReducer; onFrame(frame: Int16Array, endMs: number): void }) {
    this.#channels = options.channels
    this.#reducer = options.reducer ?? new ChannelMix(options.channels, options.rateHz)
    this.#resampler = new Resampler(options.rateHz, SAMPLE_RATE_HZ)
    this.#onFrame = options.onFrame
    this.#left = options.frames ?? Infinity
    // The first frame begins with as much silence as the resampler runs behind: then a frame is complete with the device's
    // period, and not only with the next one.
    this.#filled = this.#resampler.delaySamples
  }

  /** True once the number of frames that was asked for is through. */
  get done() { return this.#left === 0 }

  push(bytes: Buffer, readAtMs: number): void {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    const frameBytes = this.#channels * 2
    const frames = Math.min(Math.floor(all.length / frameBytes), this.#left)
    this.#left -= frames
    this.#rest = this.done ? Buffer.alloc(0) : Buffer.from(all.subarray(frames * frameBytes))
    if (frames === 0) return
    const samples = new Int16Array(frames * this.#channels)
    for (let i = 0; i < samples.length; i++) samples[i] = all.readInt16LE(i * 2)
    this.#take(this.#resampler.push(this.#reducer.reduce(samples)), readAtMs)
  }

  /** Ends the stream: gives out what the resampler held back, the last frame filled with zeros. */
  flush(readAtMs: number): void {
    this.#take(this.#resampler.flush(), readAtMs)
    if (this.#filled > 0) this.#take(new Int16Array(FRAME_SAMPLES - this.#filled), readAtMs)
  }

  #take(mono: Int16Array, readAtMs: number) {
    for (let at = 0; at < mono.length;) {
      const count = Math.min(FRAME_SAMPLES - this.#filled, mono.length - at)
      this.#frame.set(mono.subarray(at, at + count), this.#filled)
      this.#filled += count
      at += count
      if (this.#filled < FRAME_SAMPLES) break
      const frame = this.#frame
      this.#frame = new Int16Array(FRAME_SAMPLES)
      this.#filled = 0
      // What was read after this frame's last sample came that much later.
      this.#onFrame(frame, this.#times.next(readAtMs - ((mono.length - at) * 1000) / SAMPLE_RATE_HZ))
    }
  }
}
