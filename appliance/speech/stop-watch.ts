import type { Recogniser } from './engine.ts'
import type { SampleRing } from './ring.ts'
import type { Utterance } from './utterance.ts'
import { FRAME_SAMPLES, SAMPLE_RATE_HZ } from './vad.ts'
import type { WakeCheck } from './wake.ts'

/** Frames for which the word has been in the streaming text. */
const LOOKS_FRAMES = [1, 5, 9, 13]
const TAIL_SAMPLES = 1.6 * SAMPLE_RATE_HZ
/** A short utterance is searched as soon as it falls silent: the streaming text would come 0.2 s later. */
const PAUSE_LOOK_FRAMES = 2
const SHORT_SAMPLES = 2.5 * SAMPLE_RATE_HZ
/** Closer together than this it is the same word. */
const SAME_SAMPLES = 0.3 * SAMPLE_RATE_HZ

/** Looks for "stop" at all times: in the streaming text, and at once when a short utterance falls silent. */
export class StopWatch {
  readonly #o: { spot: Recogniser; check: WakeCheck; ring: SampleRing }

  constructor(options: { spot: Recogniser; check: WakeCheck; ring: SampleRing }) { this.#o = options }

  /** To be asked with each frame; how sure it is where a new one was heard. */
  async look(u: Utterance, isSpeech: boolean, isEcho: boolean): Promise<number | undefined> {
    const { spot, check, ring } = this.#o
    const heard = spot.partial().split(' ').filter((word) => word === 'stop').length
    const paused = !isSpeech && !u.pauseLooked && ring.end - u.speechEnd >= PAUSE_LOOK_FRAMES * FRAME_SAMPLES
    if (isSpeech) u.pauseLooked = false
    if (paused) u.pauseLooked = true
    if (heard <= u.stopsSettled) u.stopFrames = 0
    else u.stopFrames++
    if (!LOOKS_FRAMES.includes(u.stopFrames) && !(paused && ring.end - u.from <= SHORT_SAMPLES)) return undefined
    const from = Math.max(u.from, ring.end - TAIL_SAMPLES)
    const found = await check.stop(ring.slice(from), isEcho)
    const at = found && from + found.startS * SAMPLE_RATE_HZ
    const isNew = at !== undefined && at - u.lastStop > SAME_SAMPLES
    if (at !== undefined) u.lastStop = at
    if (found || u.stopFrames >= LOOKS_FRAMES.at(-1)!) u.stopsSettled = Math.max(heard, u.stopsSettled)
    return isNew ? found!.confidence : undefined
  }
}
