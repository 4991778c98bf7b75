import { constants, closeSync, openSync, writeSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock, Timer } from '../../contracts/clock.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import { output } from '../../inference/child.ts'
import { WavReader } from '../wav.ts'
import { record, type Recorder } from './arecord.ts'
import { FRAME_SAMPLES, Framer, SAMPLE_RATE_HZ } from './framer.ts'

const PCM_NAME = 'mtor_file'
const CONFIG_FILE = 'asound.conf'
/** A write of up to PIPE_BUF bytes goes into a FIFO whole or not at all. @see pipe(7) */
const PIPE_BUF = 4_096
/** Periods taken from the file at once. */
const PERIODS_PER_READ = 32
/** The recorder must be through this long after the file is: else it is stuck. */
const GRACE_MS = 5_000

/**
 * Plays a WAV file through the same path as a microphone: arecord on an ALSA `type file` device, whose input is a FIFO
 * that is fed in real time, at the file's own rate and channels.
 *
 * ALSA's file device reads one period at a time and fills what a short read leaves with junk. So the FIFO is written in
 * whole periods of at most PIPE_BUF bytes (which never arrive in part), is fed silence past the end, and the reader
 * counts samples and stops by itself. The configuration is the system's with the device added.
 * @see alsa-lib, doc "PCM file plugin"; ALSA_CONFIG_PATH takes a list of files
 */
export async function playThroughAlsa(file: string, options: {
  /** For the FIFO and the ALSA configuration. */
  runDir: string
  clock: Clock
  /** Silence after the file, s: real time in which the end of a sentence is decided. */
  tailS: number
  onFrame(frame: Int16Array, endMs: number): void
  signal?: AbortSignal
}): Promise<{ audioS: number; recorderPid: number | undefined }> {
  const { clock, signal } = options
  const reader = await WavReader.open(file)
  let folder: string | undefined
  let feeder: Feeder | undefined
  let recorder: Recorder | undefined
  try {
    const { sampleRateHz, channels, frames, durationS } = reader.format
    await mkdir(options.runDir, { recursive: true })
    folder = await mkdtemp(join(options.runDir, 'alsa-'))
    const fifo = join(folder, 'samples')
    if (await output('mkfifo', ['-m', '600', fifo]) === undefined) {
      throw new MtorError('AUDIO_DEVICE', `cannot make a FIFO in ${folder}`)
    }
    const alsaDevice = `pcm.${PCM_NAME} { type file slave.pcm null file /dev/null infile samples format raw }\n`
    await writeFile(join(folder, CONFIG_FILE), alsaDevice)

    let periodFrames = Math.round((FRAME_SAMPLES * sampleRateHz) / SAMPLE_RATE_HZ)
    while (periodFrames * channels * 2 > PIPE_BUF) periodFrames = Math.ceil(periodFrames / 2)
    const total = frames + Math.round(options.tailS * sampleRateHz)
    const { promise: ended, resolve, reject } = Promise.withResolvers<void>()
    const framer = new Framer({ channels, rateHz: sampleRateHz, frames: total, onFrame: options.onFrame })
    const abort = () => reject(new MtorError('CANCELLED', `listening to ${file} was cancelled`))
    const feed = feeder = new Feeder({
      fifo,
      blocks: reader.blocks(periodFrames * PERIODS_PER_READ),
      periodFrames,
      channels,
      rateHz: sampleRateHz,
      clock,
      onError: (error) => reject(toMtorError(error, 'AUDIO_INVALID')),
    })
    const deadlineMs = (total / sampleRateHz) * 1000 + GRACE_MS
    const within = `within ${Math.round(deadlineMs)} ms`
    const late = () => reject(new MtorError('AUDIO_DEVICE', `arecord did not deliver ${file} ${within}`))
    const timer = clock.setTimeout(late, deadlineMs)
    const started = recorder = record({
      device: PCM_NAME,
      channels,
      rateHz: sampleRateHz,
      periodFrames,
      // Relative to its working folder: the list in ALSA_CONFIG_PATH breaks at spaces and colons.
      cwd: folder,
      env: { ALSA_CONFIG_PATH: `${process.env['ALSA_CONFIG_PATH'] ?? '/usr/share/alsa/alsa.conf'}:${CONFIG_FILE}` },
      onSetup: (setup) => {
        if (setup.rateHz === sampleRateHz && setup.channels === channels) {
          feed.start()
          return
        }
        const got = `${setup.rateHz} Hz and ${setup.channels} channels`
        const expected = `${sampleRateHz} and ${channels}`
        reject(new MtorError('AUDIO_DEVICE', `the ALSA file device gave ${got}, expected ${expected}`))
      },
      onData: (bytes) => {
        framer.push(bytes, clock.monoMs())
        if (framer.done) resolve()
      },
      onEnd: (message) => reject(new MtorError('AUDIO_DEVICE', `arecord: ${message}`)),
    })
    signal?.addEventListener('abort', abort, { once: true })
    if (signal?.aborted) abort()
    try {
      await ended
    } finally {
      clock.clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
    }
    framer.flush(clock.monoMs())
    return { audioS: durationS, recorderPid: started.pid }
  } finally {
    feeder?.stop()
    await recorder?.stop()
    await reader.close()
    if (folder) await rm(folder, { recursive: true, force: true })
  }
}

interface FeederOptions {
  fifo: string
  blocks: AsyncGenerator<Int16Array>
  periodFrames: number
  channels: number
  rateHz: number
  clock: Clock
  onError(error: unknown): void
}

/** Writes periods into the FIFO when they are due. */
class Feeder {
  readonly #o: FeederOptions
  readonly #silence: Buffer
  #fd: number
  #block: Buffer = Buffer.alloc(0)
  #next: Promise<Buffer>
  #timer: Timer | undefined
  #stopped = false

  constructor(options: FeederOptions) {
    this.#o = options
    this.#silence = Buffer.alloc(options.periodFrames * options.channels * 2)
    // Read and write: opening does not wait for arecord, and arecord's opening does not wait for us.
    this.#fd = openSync(options.fifo, constants.O_RDWR | constants.O_NONBLOCK)
    this.#next = this.#read()
    this.#next.catch(() => {})
  }

  start(): void { this.#run().catch((error: unknown) => { if (!this.#stopped) this.#o.onError(error) }) }

  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#o.clock.clearTimeout(this.#timer)
    closeSync(this.#fd)
  }

  /** The next period; silence past the end of the file. */
  async #read(): Promise<Buffer> {
    if (this.#block.length === 0) {
      const { value } = await this.#o.blocks.next()
      if (!value) return this.#silence
      this.#block = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    }
    const length = this.#silence.length
    const period = this.#block.subarray(0, length)
    this.#block = this.#block.subarray(length)
    return period.length === length ? period : Buffer.concat([period], length)
  }

  async #run() {
    const { clock, periodFrames, rateHz } = this.#o
    const startMs = clock.monoMs()
    for (let period = 1; ; period++) {
      const bytes = await this.#next
      // A microphone gives a period when its last sample is there, not before.
      await this.#until(startMs + (period * periodFrames * 1000) / rateHz)
      if (this.#stopped) return
      while (!this.#write(bytes)) {
        await this.#until(clock.monoMs() + 2)
        if (this.#stopped) return
      }
      this.#next = this.#read()
      this.#next.catch(() => {})
    }
  }

  /** False where the FIFO is full: arecord is behind. */
  #write(bytes: Buffer): boolean {
    try {
      writeSync(this.#fd, bytes)
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return false
      throw error
    }
  }

  #until(atMs: number): Promise<void> {
    const waitMs = atMs - this.#o.clock.monoMs()
    if (waitMs <= 0) return Promise.resolve()
    return new Promise((resolve) => { this.#timer = this.#o.clock.setTimeout(resolve, waitMs) })
  }
}
