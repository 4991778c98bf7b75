import type { Recogniser } from './engine.ts'
import type { SampleRing } from './ring.ts'
import { StopRule, STOP_TUNING } from './stop/rule.ts'
import type { StopSpotter } from './stop/spotter.ts'
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
/** The head fires at the word's end or up to 0.25 s later; the word takes 0.25 to 0.6 s. So it began within these. */
const BEGAN_LEAST_SAMPLES = 0.3 * SAMPLE_RATE_HZ
const BEGAN_MOST_SAMPLES = 0.8 * SAMPLE_RATE_HZ
/** For so long a score of the head confirms what the streaming text holds, 0.8 s: the text comes up to half a second later. */
const CONFIRMS_FRAMES = 25
/** What the recogniser is asked about when the head has fired: the word, and what was before it. */
const JUDGED_SAMPLES = 1.5 * SAMPLE_RATE_HZ
/** The recogniser is asked again after so many frames, so often at the most. */
const LOOK_AGAIN_FRAMES = 4
const MOST_LOOKS = 3
/** The word over a sentence of the box must be likelier than that sentence alone by so much, up to the most that is asked. */
const OWN_MARGIN = 0.05
const OWN_MOST = 0.995
/** A frame of 512 samples clips where so many of them are at full scale: one or two are in any loud recording. */
const CLIPPED_SAMPLES = 16
const FULL_SCALE = 32_700
/** Sound counts as clipped for so long behind such a frame: the word and the head's delay, 0.96 s. */
const CLIPPED_FRAMES = 30

/**
 * Looks for "stop" at all times, in two ways of which either is enough: a small head on the sound itself, which knows the
 * word where it is shouted until it clips, or lies over the box's own voice; and the recogniser, in the streaming text and
 * at once when a short utterance falls silent.
 */
export class StopWatch {
  readonly #o: { spot: Recogniser; check: WakeCheck; ring: SampleRing; spotter?: StopSpotter | undefined }
  readonly #rule = new StopRule()
  /** Where the last "stop" that was told began, about. */
  #lastStop = -Infinity
  /** Best score of the head in each of the last frames. */
  readonly #scores = new Float32Array(CONFIRMS_FRAMES)
  #frames = 0
  /** Frames for which sound still counts as clipped. */
  #clipped = 0
  /** The head has heard it, and the recogniser is still asked: the head may be ahead of the end of the word. */
  #fired: { confidence: number; frame: number; looks: number } | undefined
  /** What the box is saying is as much like "stop" as this by itself. */
  #ownScore = 0

  constructor(options: { spot: Recogniser; check: WakeCheck; ring: SampleRing; spotter?: StopSpotter | undefined }) { this.#o = options }

  /** By its sound. To be asked with each frame that is in the ring, also where there is no voice: voice activity takes a shout that clips for noise. How sure it is where a new one was heard. */
  async hear(frame: Int16Array, isEcho: boolean): Promise<number | undefined> {
    const { spotter, ring } = this.#o
    this.#clipped = clips(frame) ? CLIPPED_FRAMES : Math.max(0, this.#clipped - 1)
    const { threshold, clipped, whileSpeaking } = STOP_TUNING
    const least = isEcho ? this.#aboveOwn(whileSpeaking) : this.#clipped > 0 ? clipped : threshold
    const slot = this.#frames++ % CONFIRMS_FRAMES
    this.#scores[slot] = 0
    let confidence: number | undefined
    for (const score of await spotter?.push(frame) ?? []) {
      this.#scores[slot] = Math.max(score, this.#scores[slot]!)
      const fired = this.#rule.push(score, least)
      if (fired !== undefined) this.#fired = { confidence: fired, frame: this.#frames, looks: 0 }
    }
    const waiting = this.#fired
    if (!waiting || this.#frames < waiting.frame + waiting.looks * LOOK_AGAIN_FRAMES) return undefined
    if (await this.#mayBe(isEcho)) {
      this.#fired = undefined
      if (this.#isNew(ring.end - BEGAN_MOST_SAMPLES, ring.end - BEGAN_LEAST_SAMPLES)) confidence = waiting.confidence
    } else if (++waiting.looks >= MOST_LOOKS) this.#fired = undefined
    return confidence
  }

  /**
   * What the box is about to say, 16 kHz: a sentence of its own that sounds like the word ("nothing to cancel") must not stop
   * it, and for the others the threshold stays low.
   */
  async knowOwn(samples: Int16Array): Promise<void> {
    const spotter = this.#o.spotter?.beside()
    const rule = new StopRule()
    for (let at = 0; spotter && at < samples.length; at += FRAME_SAMPLES) {
      for (const score of await spotter.push(samples.subarray(at, at + FRAME_SAMPLES))) this.#ownScore = Math.max(this.#ownScore, rule.mean(score))
    }
  }

  /** The box has ended speaking. */
  forgetOwn(): void { this.#ownScore = 0 }

  /** By its words. To be asked with each frame of an utterance; how sure it is where a new one was heard. */
  async look(u: Utterance, isSpeech: boolean, isEcho: boolean): Promise<number | undefined> {
    const { spot, check, ring } = this.#o
    const heard = spot.partial().split(' ').filter((word) => word === 'stop').length
    const paused = !isSpeech && !u.pauseLooked && ring.end - u.speechEnd >= PAUSE_LOOK_FRAMES * FRAME_SAMPLES
    if (isSpeech) u.pauseLooked = false
    if (paused) u.pauseLooked = true
    if (heard <= u.stopsSettled) u.stopFrames = 0
    else u.stopFrames++
    if (!LOOKS_FRAMES.includes(u.stopFrames) && !(paused && ring.end - u.from <= SHORT_SAMPLES)) return undefined
    const score = Math.max(...this.#scores)
    // Two that know little by themselves agree.
    const confirming = isEcho ? this.#aboveOwn(STOP_TUNING.confirming) : STOP_TUNING.confirming
    if (heard > u.stopsSettled && score >= confirming && await this.#mayBe(isEcho)) {
      u.stopsSettled = heard
      return this.#isNew(ring.end - BEGAN_MOST_SAMPLES, ring.end - BEGAN_LEAST_SAMPLES) ? score : undefined
    }
    const from = Math.max(u.from, ring.end - TAIL_SAMPLES)
    const found = await check.stop(ring.slice(from), isEcho)
    const at = found && from + found.startS * SAMPLE_RATE_HZ
    if (found || u.stopFrames >= LOOKS_FRAMES.at(-1)!) u.stopsSettled = Math.max(heard, u.stopsSettled)
    return at !== undefined && this.#isNew(at) ? found!.confidence : undefined
  }

  #aboveOwn(threshold: number): number { return Math.max(threshold, Math.min(OWN_MOST, this.#ownScore + OWN_MARGIN)) }

  /** The recogniser's word on what the head has heard. Where sound clips, or the box's own voice lies over it, it is no judge. */
  async #mayBe(isEcho: boolean): Promise<boolean> {
    const { check, ring } = this.#o
    return isEcho || this.#clipped > 0 || check.mayBeStop(ring.slice(Math.max(ring.start, ring.end - JUDGED_SAMPLES)))
  }

  /** A word that began between these is another one than the last. */
  #isNew(earliest: number, latest = earliest): boolean {
    const isNew = earliest - this.#lastStop > SAME_SAMPLES
    this.#lastStop = Math.max(latest, this.#lastStop)
    return isNew
  }

  reset(): void {
    this.#rule.reset()
    this.#o.spotter?.reset()
    this.#clipped = 0
    this.#fired = undefined
    this.#scores.fill(0)
  }
}

function clips(frame: Int16Array): boolean {
  let count = 0
  for (const sample of frame) if (sample >= FULL_SCALE || sample <= -FULL_SCALE) count++
  return count >= CLIPPED_SAMPLES
}
