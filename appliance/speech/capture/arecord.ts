import { spawnTied, LastWords } from '../../inference/child.ts'
import { FRAME_SAMPLES, SAMPLE_RATE_HZ } from './framer.ts'

/** What the device agreed to. */
export interface CaptureSetup { rateHz: number; channels: number }

export interface Recorder {
  readonly pid: number | undefined
  /** Ends it; `onEnd` is not called any more. Resolves when the process is gone. */
  stop(): Promise<void>
}

/** Data that came before arecord's setup was parsed is held up to this; the setup is printed first, so it is little. */
const HOLD_BYTES = 1_048_576
const PERIODS_IN_BUFFER = 16

/**
 * Starts `arecord` on a device: raw S16_LE on its stdout. It is asked for the wanted rate with ALSA's own rate
 * conversion off, and its verbose report says which rate and how many channels the device really gives.
 * @see arecord(1); alsa-lib, snd_pcm_dump_setup()
 */
export function record(options: {
  device: string
  channels: number
  rateHz?: number
  /** Frames per period; left out: what makes 512 samples at 16 kHz. */
  periodFrames?: number
  env?: Record<string, string>
  cwd?: string
  onSetup(setup: CaptureSetup): void
  onData(bytes: Buffer): void
  /** A remark of arecord that is no part of the setup, such as an overrun. */
  onRemark?(line: string): void
  /** The recorder ended by itself: the device went, or never opened. */
  onEnd(message: string): void
}): Recorder {
  const rateHz = options.rateHz ?? SAMPLE_RATE_HZ
  const period = options.periodFrames ?? Math.round((FRAME_SAMPLES * rateHz) / SAMPLE_RATE_HZ)
  const child = spawnTied('arecord', ['-v', '--disable-resample', '-t', 'raw', '-f', 'S16_LE', '-D', options.device,
    '-r', String(rateHz), '-c', String(options.channels), `--period-size=${period}`, `--buffer-size=${period * PERIODS_IN_BUFFER}`, '-'], { env: options.env, cwd: options.cwd })
  const setup: Partial<CaptureSetup> = {}
  let held: Buffer[] | undefined = []
  let heldBytes = 0
  let stopped = false

  const words = new LastWords(child, (line) => {
    if (stopped) return
    if (held) {
      const [, key, value] = /^\s+(channels|rate)\s*: (\d+)$/.exec(line) ?? []
      if (key === 'channels') setup.channels ??= Number(value)
      if (key === 'rate') setup.rateHz ??= Number(value)
      if (setup.channels && setup.rateHz) {
        options.onSetup({ channels: setup.channels, rateHz: setup.rateHz })
        const early = held
        held = undefined
        for (const bytes of early) options.onData(bytes)
      }
    } else if (/overrun|error/i.test(line)) options.onRemark?.(line.trim())
  })
  child.stdout!.on('data', (bytes: Buffer) => {
    if (stopped) return
    if (!held) return options.onData(bytes)
    held.push(bytes)
    heldBytes += bytes.length
    if (heldBytes > HOLD_BYTES) end('arecord did not report its setup')
  })

  const { promise: gone, resolve: setGone } = Promise.withResolvers<void>()
  const end = (message: string) => {
    if (stopped) return
    stopped = true
    child.kill('SIGKILL')
    options.onEnd(message)
  }
  child.once('error', (error) => { setGone(); end(error.message) })
  child.once('close', (code, signal) => { setGone(); end(words.toString() || `arecord ended with ${signal ?? code}`) })
  return {
    get pid() { return child.pid },
    stop() {
      stopped = true
      child.kill('SIGKILL')
      return gone
    },
  }
}
