/**
 * The port of speech engines. It suits streaming engines (Vosk, PocketSphinx, sherpa-onnx transducers), whose
 * `partial` grows while audio comes in, and whole-utterance engines (Whisper), which keep the audio, answer ''
 * from `partial` and do all their work in `final`.
 */
export interface SpeechEngine {
  readonly name: string
  /** False for whole-utterance engines: a wake word or a stop cannot be spotted before a pause. */
  readonly streaming: boolean
  /**
   * Makes a recogniser. One is kept and used again for each utterance: making a new one each time leaks in
   * native libraries.
   * @throws MtorError ENGINE_MISSING where the library refuses.
   */
  open(vocabulary: Vocabulary): Promise<Recogniser>
  /** True when the engine's dictionary has the word; a word it lacks can never be heard. */
  knows(word: string): boolean
  /** Closes the engine and what it opened. */
  close(): void
}

/**
 * What a recogniser may hear. 'phrases': these and pieces of them, or garbage; speech outside comes out as
 * `GARBAGE` or with low confidence. 'open': the language's vocabulary.
 */
export type Vocabulary = { kind: 'phrases'; phrases: readonly string[]; /** How many readings `final` gives at the most; left out, one. */ readings?: number } | { kind: 'open' }

/** The word that stands for speech outside the phrases. */
export const GARBAGE = '[unk]'

/** One utterance after the other: accept … accept, final, accept … Calls come in order, each after the last has ended. */
export interface Recogniser {
  /** 16 kHz mono. The samples are not kept beyond the call unless copied. */
  accept(samples: Int16Array): void | Promise<void>
  /** The words so far; may still change. */
  partial(): string
  /** Ends the utterance; the recogniser is ready for the next one. */
  final(): Transcript | Promise<Transcript>
  /** Drops the utterance. */
  reset(): void
  close(): void
}

export interface Word {
  word: string
  /** Seconds since the first sample of the utterance. */
  startS: number
  endS: number
  /** Posterior probability, 0 to 1. */
  confidence: number
}

export interface Transcript {
  /** The best reading. */
  words: Word[]
  /** Other readings, better ones first, where they were asked for and the engine has them. */
  others?: Word[][]
  /** Of the best reading, in nats, where readings were asked for and the engine tells: to compare grammars on one sound. */
  logLikelihood?: number
}

/** The text of a transcript without its garbage. */
export const textOf = (words: readonly Word[]): string => words.filter((w) => w.word !== GARBAGE).map((w) => w.word).join(' ')
