import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import { Capture } from '../../speech/capture/capture.ts'
import { concatenate } from '../../speech/sounds.ts'
import { encodeWav } from '../../speech/wav.ts'
import { FRAME_SAMPLES, RATE_HZ } from './features.ts'

/** Listened to after each prompt. */
const EXAMPLE_S = 2.2
/** A device that gives nothing by then is no microphone. */
const OPEN_MS = 5_000
/** The loudest 25 ms of something said are this much above the quietest. */
const LOUDER = 4
/** Tries for each example before it is given up. */
const TRIES = 3

export interface RecordOptions {
  device: string
  channels?: number
  count: number
  folder: string
  clock: Clock
  /** Say it now; `again`: nothing was heard the time before. */
  onPrompt(example: number, again: boolean): void
  signal?: AbortSignal
}

/**
 * Records examples through the microphone, one after each prompt, as WAV files.
 * @throws MtorError AUDIO_DEVICE (no microphone, or nothing is said into it), CANCELLED
 */
export async function recordExamples(options: RecordOptions): Promise<string[]> {
  const { clock, signal, folder } = options
  await mkdir(folder, { recursive: true })
  let taking: { parts: Int16Array[]; samples: number; done: PromiseWithResolvers<Int16Array> } | undefined
  const opened = Promise.withResolvers<void>()
  opened.promise.catch(() => {})
  const fail = (error: MtorError) => { opened.reject(error); taking?.done.reject(error) }
  const capture = new Capture({
    device: options.device, channels: options.channels, clock,
    onFrame(frame) {
      if (!taking) return
      taking.parts.push(frame.slice())
      taking.samples += frame.length
      if (taking.samples >= EXAMPLE_S * RATE_HZ) taking.done.resolve(concatenate(taking.parts))
    },
    onState(state, device, message) {
      if (state === 'open') opened.resolve()
      else fail(new MtorError('AUDIO_DEVICE', `${device}: ${message ?? state}`))
    },
  })
  const timer = clock.setTimeout(() => opened.reject(new MtorError('AUDIO_DEVICE', `${options.device}: no sound within ${OPEN_MS / 1000} s`)), OPEN_MS)
  const abort = () => fail(new MtorError('CANCELLED', 'recording was cancelled'))
  signal?.addEventListener('abort', abort, { once: true })
  if (signal?.aborted) abort()
  capture.start()
  const files: string[] = []
  try {
    await opened.promise
    for (let example = 1; example <= options.count; example++) {
      let samples: Int16Array | undefined
      for (let attempt = 0; attempt < TRIES && samples === undefined; attempt++) {
        options.onPrompt(example, attempt > 0)
        taking = { parts: [], samples: 0, done: Promise.withResolvers<Int16Array>() }
        const said = await taking.done.promise
        taking = undefined
        if (somethingSaid(said)) samples = said
      }
      if (samples === undefined) throw new MtorError('AUDIO_DEVICE', `nothing was said into ${capture.device} (${TRIES} times ${EXAMPLE_S} s)`, { hint: 'Speak closer to the microphone, or choose another with --device.' })
      const file = join(folder, `example-${String(example).padStart(3, '0')}.wav`)
      await writeFile(file, encodeWav(samples, { sampleRateHz: RATE_HZ }), { mode: 0o600 })
      files.push(file)
    }
    return files
  } finally {
    clock.clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
    await capture.stop()
  }
}

/** Something stands out of the ground noise. */
export function somethingSaid(samples: Int16Array): boolean {
  const levels: number[] = []
  for (let at = 0; at + FRAME_SAMPLES <= samples.length; at += FRAME_SAMPLES) {
    let sum = 0
    for (let i = 0; i < FRAME_SAMPLES; i++) sum += samples[at + i]! ** 2
    levels.push(Math.sqrt(sum / FRAME_SAMPLES))
  }
  levels.sort((a, b) => a - b)
  const quiet = levels[Math.floor(levels.length / 5)] ?? 0, loud = levels.at(-3) ?? 0
  return loud > 50 && loud > LOUDER * quiet
}
