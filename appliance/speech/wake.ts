import { GARBAGE, type Recogniser, type SpeechEngine, type Transcript, type Word } from './engine.ts'
import { phrasesFor, STOP_DECOYS, WAKE_DECOYS, WAKE_VETO, WAKE_WORD } from './grammar.ts'

/** What a second look at the audio found. */
export interface Sighting {
  confidence: number
  /** Seconds since the first sample looked at. */
  startS: number
  endS: number
}

/** Thresholds; measure a change with bench/wake.ts on recorded people. */
export interface WakeTuning {
  /** Posterior of the wake word against garbage alone. */
  minConfidence: number
  /** A word said to a machine takes longer than the same syllables inside a sentence. */
  minWordS: number
  /** The wake word opens the utterance: it may begin this long after voice activity did. */
  maxOnsetS: number
  /** Garbage this long before the wake word is taken for breath or noise. */
  maxGarbageBeforeS: number
  /** Posterior of the wake word among words that sound like it. */
  minAmongDecoys: number
  /** The open vocabulary is believed from here on, and a decoy is beyond doubt; above 1 neither is asked. */
  sureConfidence: number
  /** Posterior of "stop" among words that sound like it; the same where it was the only word, and while the box itself is speaking. */
  minStop: number
  minStopAlone: number
  minStopWhileSpeaking: number
  /** Shortest "stop". */
  minStopS: number
}

export const VOSK_TUNING: WakeTuning = { minConfidence: 0.98, minWordS: 0.45, maxOnsetS: 0.5, maxGarbageBeforeS: 0, minAmongDecoys: 0.45, sureConfidence: 0.9, minStop: 0.55, minStopAlone: 0.4, minStopWhileSpeaking: 0.95, minStopS: 0.2 }

/** So many readings of what may be a stop are looked at. */
const STOP_READINGS = 8
/** What the recogniser makes of people's "stop". */
const TAKEN_FOR_STOP: ReadonlySet<string> = new Set(['stop', 'stops', 'stopped', 'stock', 'spot'])

/**
 * Second stage of wake and stop words. The first stage (the streaming recogniser of `SPOT_PHRASES`) hears every
 * wake word and much else; here the same audio is decoded again, whole, by recognisers that were built to disagree:
 * the word against garbage, the word against words that sound like it, and the open vocabulary.
 */
export class WakeCheck {
  #strict: Recogniser
  #decoys: Recogniser
  #stop: Recogniser
  /** Every word of the commands, in any order. */
  #words: Recogniser
  #open: () => Promise<Recogniser>
  #tuning: WakeTuning

  private constructor(recognisers: { strict: Recogniser; decoys: Recogniser; stop: Recogniser; words: Recogniser }, open: () => Promise<Recogniser>, tuning: WakeTuning) {
    this.#strict = recognisers.strict
    this.#decoys = recognisers.decoys
    this.#stop = recognisers.stop
    this.#words = recognisers.words
    this.#open = open
    this.#tuning = tuning
  }

  /** `open` gives a recogniser of the open vocabulary that is free for the length of one check. */
  static async load(engine: SpeechEngine, open: () => Promise<Recogniser>, tuning: WakeTuning, words: readonly string[]): Promise<WakeCheck> {
    const of = (phrases: readonly string[]) => engine.open({ kind: 'phrases', phrases: phrasesFor(engine, phrases) })
    return new WakeCheck({ strict: await of([WAKE_WORD]), decoys: await of(WAKE_DECOYS), stop: await of(STOP_DECOYS), words: await engine.open({ kind: 'phrases', phrases: phrasesFor(engine, [...new Set([...words, ...STOP_DECOYS, ...TAKEN_FOR_STOP, ...WAKE_DECOYS])]), readings: STOP_READINGS }) }, open, tuning)
  }

  /** Does this utterance open with the wake word? `onsetS`: where voice activity began in `audio`. Cheapest test first. */
  async wake(audio: Int16Array, onsetS: number): Promise<Sighting | undefined> {
    const { minConfidence, minWordS, maxOnsetS, maxGarbageBeforeS, minAmongDecoys, sureConfidence } = this.#tuning
    const first = ({ words }: Transcript) => words.find((w) => w.word !== GARBAGE || w.endS - w.startS > maxGarbageBeforeS)
    const word = first(await decode(this.#strict, audio))
    if (word?.word !== WAKE_WORD || word.confidence < minConfidence || word.endS - word.startS < minWordS || word.startS - onsetS > maxOnsetS) return undefined
    const among = first(await decode(this.#decoys, audio))
    if (!among) return undefined
    const clear = among.word === WAKE_WORD && among.confidence >= minAmongDecoys
    // The decoys include pieces of the wake word itself: where they are in doubt, the open vocabulary decides.
    if (!clear && (among.confidence >= sureConfidence || !WAKE_VETO.has(among.word))) return undefined
    if (sureConfidence <= 1) {
      const heard = (await decode(await this.#open(), audio)).words.find((w) => overlaps(w, word))
      const sure = heard !== undefined && heard.confidence >= sureConfidence
      if (clear ? sure && WAKE_VETO.has(heard.word) : !sure || heard.word !== WAKE_WORD) return undefined
    } else if (!clear) return undefined
    return { confidence: Math.min(word.confidence, among.confidence), startS: word.startS, endS: word.endS }
  }

  /** Was "stop" said in this audio? The last one, if so. */
  async stop(audio: Int16Array, whileSpeaking: boolean): Promise<Sighting | undefined> {
    const { minStop, minStopAlone, minStopWhileSpeaking, minStopS } = this.#tuning
    const { words } = await decode(this.#stop, audio)
    // Called out alone, "stop" ends sharply and is easily taken for "stopped"; inside a sentence that is another word.
    const found = words.findLast((w, index) => (w.word === 'stop' || (w.word === 'stopped' && index === 0 && words.length === 1)) && w.endS - w.startS >= minStopS)
    const least = whileSpeaking ? minStopWhileSpeaking : words.length === 1 ? minStopAlone : minStop
    if (!found || found.confidence < least) return undefined
    return { confidence: found.confidence, startS: found.startS, endS: found.endS }
  }

  /**
   * May "stop" have been said in this audio? Of the words of all commands, "stop" or what it is taken for must be in a
   * reading. Asked where something else has heard the word already, and where the sound does not clip.
   */
  async mayBeStop(audio: Int16Array): Promise<boolean> {
    const { words, others = [] } = await decode(this.#words, audio)
    // Of what is too soft for words nothing else is known either.
    if (words.every(({ word }) => word === GARBAGE)) return true
    return [words, ...others].some((reading) => reading.some(({ word }) => TAKEN_FOR_STOP.has(word)))
  }

  close(): void { for (const recogniser of [this.#strict, this.#decoys, this.#stop, this.#words]) recogniser.close() }
}

/** Kaldi decodes in blocks of its own: larger pieces only save calls. */
const BLOCK_SAMPLES = 4096

/** Decodes a whole piece of audio. */
export async function decode(recogniser: Recogniser, audio: Int16Array): Promise<Transcript> {
  for (let i = 0; i < audio.length; i += BLOCK_SAMPLES) await recogniser.accept(audio.subarray(i, i + BLOCK_SAMPLES))
  return recogniser.final()
}

/** Half of `a` or more lies within `b`, or the other way round. */
function overlaps(a: Word, b: Word): boolean {
  const common = Math.min(a.endS, b.endS) - Math.max(a.startS, b.startS)
  return common > 0.5 * Math.min(a.endS - a.startS, b.endS - b.startS)
}
