import { join } from 'node:path'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { Recogniser, SpeechEngine, Transcript, Vocabulary, Word } from '../engine.ts'
import { GARBAGE } from '../engine.ts'
import { trustedFolder, VOSK_LIBRARY, VOSK_LIBRARY_ARM64, VOSK_MODEL, type SpeechModelOptions } from '../models.ts'

const SAMPLE_RATE_HZ = 16_000
/** Vosk counts samples in 32 bits and gives times as floats: after this much speech a recogniser is renewed. */
const RENEW_SAMPLES = 8 * 3600 * SAMPLE_RATE_HZ
type Handle = unknown

/** The functions of libvosk that are used. @see vosk_api.h of the Vosk project, 0.3.39 */
interface Vosk {
  setLogLevel(level: number): void
  modelNew(path: string): Handle
  modelFree(model: Handle): void
  findWord(model: Handle, word: string): number
  recogniserNew(model: Handle, rateHz: number): Handle
  recogniserNewGrammar(model: Handle, rateHz: number, json: string): Handle
  setWords(recogniser: Handle, on: number): void
  setMaxAlternatives(recogniser: Handle, count: number): void
  accept(recogniser: Handle, samples: Int16Array, count: number): number
  partial(recogniser: Handle): string
  final(recogniser: Handle): string
  reset(recogniser: Handle): void
  free(recogniser: Handle): void
}

async function library(file: string): Promise<Vosk> {
  const { default: koffi } = await import('koffi')
  const lib = koffi.load(file)
  return {
    setLogLevel: lib.func('void vosk_set_log_level(int)'),
    modelNew: lib.func('void *vosk_model_new(const char *)'),
    modelFree: lib.func('void vosk_model_free(void *)'),
    findWord: lib.func('int vosk_model_find_word(void *, const char *)'),
    recogniserNew: lib.func('void *vosk_recognizer_new(void *, float)'),
    recogniserNewGrammar: lib.func('void *vosk_recognizer_new_grm(void *, float, const char *)'),
    setWords: lib.func('void vosk_recognizer_set_words(void *, int)'),
    setMaxAlternatives: lib.func('void vosk_recognizer_set_max_alternatives(void *, int)'),
    accept: lib.func('int vosk_recognizer_accept_waveform_s(void *, int16_t *, int)'),
    partial: lib.func('const char *vosk_recognizer_partial_result(void *)'),
    final: lib.func('const char *vosk_recognizer_final_result(void *)'),
    reset: lib.func('void vosk_recognizer_reset(void *)'),
    free: lib.func('void vosk_recognizer_free(void *)'),
  }
}

async function libraryFile(options: SpeechModelOptions): Promise<string> {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) throw new MtorError('ENGINE_MISSING', `there is no libvosk for ${process.platform} ${process.arch} here`)
  return join(await trustedFolder(process.arch === 'x64' ? VOSK_LIBRARY : VOSK_LIBRARY_ARM64, options), 'libvosk.so')
}

/** Vosk (Kaldi) through libvosk, in this process. A call takes about 0.015 s per second of audio and blocks. */
export class VoskEngine implements SpeechEngine {
  readonly name = 'vosk'
  readonly streaming = true
  #vosk: Vosk
  #model: Handle
  #open = new Set<VoskRecogniser>()

  private constructor(vosk: Vosk, model: Handle) {
    this.#vosk = vosk
    this.#model = model
  }

  /** @throws MtorError MODEL_UNTRUSTED or ENGINE_MISSING. */
  static async load(options: SpeechModelOptions = {}): Promise<VoskEngine> {
    const file = await libraryFile(options)
    const folder = await trustedFolder(VOSK_MODEL, options)
    try {
      const vosk = await library(file)
      vosk.setLogLevel(-1)
      const model = vosk.modelNew(folder)
      if (model === null) throw new MtorError('ENGINE_MISSING', `Vosk cannot read its model in ${folder}`)
      return new VoskEngine(vosk, model)
    } catch (error) { throw toMtorError(error, 'ENGINE_MISSING') }
  }

  knows(word: string): boolean { return word === GARBAGE || this.#vosk.findWord(this.#model, word) >= 0 }

  async open(vocabulary: Vocabulary): Promise<Recogniser> {
    const make = () => {
      const handle = vocabulary.kind === 'open'
        ? this.#vosk.recogniserNew(this.#model, SAMPLE_RATE_HZ)
        : this.#vosk.recogniserNewGrammar(this.#model, SAMPLE_RATE_HZ, JSON.stringify([...vocabulary.phrases, GARBAGE]))
      if (handle === null) throw new MtorError('ENGINE_MISSING', 'Vosk cannot make a recogniser')
      this.#vosk.setWords(handle, 1)
      if (vocabulary.kind === 'phrases' && vocabulary.readings !== undefined) this.#vosk.setMaxAlternatives(handle, vocabulary.readings)
      return handle
    }
    const recogniser: VoskRecogniser = new VoskRecogniser(this.#vosk, make, () => { this.#open.delete(recogniser) })
    this.#open.add(recogniser)
    return recogniser
  }

  close(): void {
    for (const recogniser of [...this.#open]) recogniser.close()
    if (this.#model !== null) this.#vosk.modelFree(this.#model)
    this.#model = null
  }
}

class VoskRecogniser implements Recogniser {
  #vosk: Vosk
  #handle: Handle
  #make: () => Handle
  #onClose: () => void
  /** Vosk counts the time of words from the recogniser's first sample ever; we from the utterance's. */
  #samplesBefore = 0
  #samples = 0

  constructor(vosk: Vosk, make: () => Handle, onClose: () => void) {
    this.#vosk = vosk
    this.#make = make
    this.#handle = make()
    this.#onClose = onClose
  }

  accept(samples: Int16Array): void {
    if (samples.length === 0) return
    // The return value says that Vosk sees an end of speech; the pipeline decides that itself.
    this.#vosk.accept(this.#live, samples, samples.length)
    this.#samples += samples.length
  }

  partial(): string { return this.#samples === 0 ? '' : (JSON.parse(this.#vosk.partial(this.#live)) as { partial?: string }).partial ?? '' }

  final(): Transcript {
    if (this.#samples === 0) return { words: [] }
    const transcript = toTranscript(this.#vosk.final(this.#live), this.#samplesBefore / SAMPLE_RATE_HZ)
    this.#samplesBefore += this.#samples
    this.#samples = 0
    if (this.#samplesBefore > RENEW_SAMPLES) {
      this.#vosk.free(this.#handle)
      this.#handle = this.#make()
      this.#samplesBefore = 0
    }
    return transcript
  }

  reset(): void {
    // Not vosk_recognizer_reset: it keeps the speaker's statistics, so that a cough would colour the next utterance.
    this.final()
  }

  close(): void {
    if (this.#handle === null) return
    this.#vosk.free(this.#handle)
    this.#handle = null
    this.#onClose()
  }

  get #live(): Handle {
    if (this.#handle === null) throw new MtorError('INTERNAL', 'this recogniser is closed')
    return this.#handle
  }
}

interface VoskWord { word: string; start: number; end: number; conf?: number }
interface VoskResult { result?: VoskWord[]; alternatives?: { confidence: number; result?: VoskWord[] }[] }

function toTranscript(json: string, beforeS: number): Transcript {
  const { result = [], alternatives } = JSON.parse(json) as VoskResult
  const toWord = ({ word, start, end }: VoskWord, confidence: number): Word => ({ word, startS: Math.max(0, start - beforeS), endS: Math.max(0, end - beforeS), confidence })
  if (!alternatives) return { words: result.map((w) => toWord(w, w.conf ?? 0)) }
  // With several readings Vosk gives each a log likelihood instead of a confidence for each word: that is the sum of
  // the posteriors of the readings that have the word in that place.
  const best = alternatives[0]?.confidence ?? 0
  const weights = alternatives.map(({ confidence }) => Math.exp(confidence - best))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const has = (list: readonly VoskWord[] | undefined, word: VoskWord) => list?.some((w) => w.word === word.word && w.start < word.end && word.start < w.end) ?? false
  const posterior = (word: VoskWord) => alternatives.reduce((sum, { result: list }, index) => has(list, word) ? sum + weights[index]! : sum, 0) / total
  const [words = [], ...others] = alternatives.map(({ result: list = [] }) => list.map((w) => toWord(w, posterior(w))))
  return { words, others, logLikelihood: best }
}
