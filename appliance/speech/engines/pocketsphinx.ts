import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { Recogniser, SpeechEngine, Transcript, Vocabulary, Word } from '../engine.ts'
import { GARBAGE } from '../engine.ts'
import type { CommandTuning } from '../judge.ts'
import type { WakeTuning } from '../wake.ts'
import { bigramArpa } from './bigram.ts'

/** Where Debian's pocketsphinx-en-us puts its files. */
const MODEL = '/usr/share/pocketsphinx/model/en-us'
const DICTIONARY = join(MODEL, 'cmudict-en-us.dict')
const LIBRARIES = ['libpocketsphinx.so.3', 'libsphinxbase.so.3'] as const
const FRAMES_PER_S = 100
/** The phones of the model; each is a word of the garbage loop. */
const PHONES = 'AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH'.split(' ')
const garbageWord = (phone: string) => `garbage_${phone.toLowerCase()}`
const HINT = 'apt-get install pocketsphinx pocketsphinx-en-us'

/** Its posteriors are flatter than Vosk's, and it has no equal to Vosk's open vocabulary to veto with. */
export const POCKETSPHINX_TUNING: WakeTuning = { minConfidence: 0, minWordS: 0.4, maxOnsetS: 0.6, maxGarbageBeforeS: 0.5, minAmongDecoys: 0, sureConfidence: 2, minStop: 0.8, minStopAlone: 0.5, minStopWhileSpeaking: 0.95, minStopS: 0.25 }
export const POCKETSPHINX_COMMANDS: CommandTuning = { minMean: 0, minWord: 0, minMeanOfPrefix: 0, minWordOfPrefix: 0, maxGarbage: 0.3, minCover: 0.45 }

type Handle = unknown

/** The functions of libpocketsphinx 5prealpha that are used. @see pocketsphinx.h */
interface Sphinx {
  args(): Handle
  parse(before: null, definitions: Handle, count: number, argv: string[], strict: number): Handle
  init(config: Handle): Handle
  free(decoder: Handle): number
  startStream(decoder: Handle): number
  start(decoder: Handle): number
  process(decoder: Handle, samples: Int16Array, count: number, noSearch: number, whole: number): number
  end(decoder: Handle): number
  hypothesis(decoder: Handle, score: number[]): string | null
  segments(decoder: Handle): Handle
  next(segment: Handle): Handle
  word(segment: Handle): string
  frames(segment: Handle, start: number[], end: number[]): void
  posterior(segment: Handle, acoustic: number[], language: number[], backOff: number[]): number
  logmath(decoder: Handle): Handle
  exp(logmath: Handle, value: number): number
}

async function library(): Promise<Sphinx> {
  const { default: koffi } = await import('koffi')
  const [sphinx, base] = LIBRARIES.map((name) => koffi.load(name)) as [ReturnType<typeof koffi.load>, ReturnType<typeof koffi.load>]
  return {
    args: sphinx.func('void *ps_args()'),
    parse: base.func('void *cmd_ln_parse_r(void *, void *, int, const char **, int)'),
    init: sphinx.func('void *ps_init(void *)'),
    free: sphinx.func('int ps_free(void *)'),
    startStream: sphinx.func('int ps_start_stream(void *)'),
    start: sphinx.func('int ps_start_utt(void *)'),
    process: sphinx.func('int ps_process_raw(void *, int16_t *, size_t, int, int)'),
    end: sphinx.func('int ps_end_utt(void *)'),
    hypothesis: sphinx.func('const char *ps_get_hyp(void *, _Out_ int32_t *)'),
    segments: sphinx.func('void *ps_seg_iter(void *)'),
    next: sphinx.func('void *ps_seg_next(void *)'),
    word: sphinx.func('const char *ps_seg_word(void *)'),
    frames: sphinx.func('void ps_seg_frames(void *, _Out_ int *, _Out_ int *)'),
    posterior: sphinx.func('int32_t ps_seg_prob(void *, _Out_ int32_t *, _Out_ int32_t *, _Out_ int32_t *)'),
    logmath: sphinx.func('void *ps_get_logmath(void *)'),
    exp: base.func('double logmath_exp(void *, int)'),
  }
}

/** PocketSphinx through Debian's shared library, in this process; runs on every architecture Debian has. */
export class PocketSphinxEngine implements SpeechEngine {
  readonly name = 'pocketsphinx'
  readonly streaming = true
  #sphinx: Sphinx
  /** Word → its lines of the dictionary, one a pronunciation. */
  #dictionary: ReadonlyMap<string, string>
  #open = new Set<SphinxRecogniser>()

  private constructor(sphinx: Sphinx, dictionary: ReadonlyMap<string, string>) {
    this.#sphinx = sphinx
    this.#dictionary = dictionary
  }

  /** @throws MtorError ENGINE_MISSING where Debian's packages are not installed. */
  static async load(_options: { cacheDir?: string } = {}): Promise<PocketSphinxEngine> {
    if (!existsSync(DICTIONARY)) throw new MtorError('ENGINE_MISSING', `PocketSphinx's English model is not in ${MODEL}`, { hint: HINT })
    try {
      const dictionary = new Map<string, string>()
      for (const line of (await readFile(DICTIONARY, 'utf8')).split('\n')) {
        const word = plain(line.slice(0, line.indexOf(' ')))
        dictionary.set(word, `${dictionary.get(word) ?? ''}${line}\n`)
      }
      return new PocketSphinxEngine(await library(), dictionary)
    } catch (error) { throw new MtorError('ENGINE_MISSING', `PocketSphinx does not load: ${toMtorError(error).message}`, { cause: error, hint: HINT }) }
  }

  knows(word: string): boolean { return word === GARBAGE || this.#dictionary.has(word) }

  async open(vocabulary: Vocabulary): Promise<Recogniser> {
    const decoder = vocabulary.kind === 'open'
      ? this.#decoder(DICTIONARY, join(MODEL, 'en-us.lm.bin'))
      : this.#phrases(vocabulary.phrases)
    const recogniser: SphinxRecogniser = new SphinxRecogniser(this.#sphinx, decoder, () => { this.#open.delete(recogniser) })
    this.#open.add(recogniser)
    return recogniser
  }

  close(): void { for (const recogniser of [...this.#open]) recogniser.close() }

  /** A decoder whose dictionary holds nothing but the phrases' words and one word a phone for all else. The library reads files only. */
  #phrases(phrases: readonly string[]): Handle {
    const words = new Set(phrases.flatMap((phrase) => phrase.split(' ')))
    const garbage = PHONES.map(garbageWord)
    const folder = mkdtempSync(join(tmpdir(), 'mtor-lm-'))
    try {
      const dictionary = join(folder, 'words.dict')
      const model = join(folder, 'phrases.lm')
      writeFileSync(dictionary, [...words].map((word) => this.#dictionary.get(word) ?? '').join('') + PHONES.map((phone) => `${garbageWord(phone)} ${phone}\n`).join(''))
      writeFileSync(model, bigramArpa(phrases, garbage))
      return this.#decoder(dictionary, model)
    } finally { rmSync(folder, { recursive: true, force: true }) }
  }

  #decoder(dictionary: string, model: string): Handle {
    // Silence is left in, so that times are those of the audio.
    const argv = ['-hmm', join(MODEL, 'en-us'), '-dict', dictionary, '-lm', model, '-remove_silence', 'no', '-logfn', '/dev/null']
    const config = this.#sphinx.parse(null, this.#sphinx.args(), argv.length, argv, 1)
    const decoder = config === null ? null : this.#sphinx.init(config)
    if (decoder === null) throw new MtorError('ENGINE_MISSING', 'PocketSphinx cannot make a decoder', { hint: HINT })
    return decoder
  }
}

class SphinxRecogniser implements Recogniser {
  #sphinx: Sphinx
  #decoder: Handle
  #onClose: () => void
  #running = false

  constructor(sphinx: Sphinx, decoder: Handle, onClose: () => void) {
    this.#sphinx = sphinx
    this.#decoder = decoder
    this.#onClose = onClose
  }

  accept(samples: Int16Array): void {
    if (samples.length === 0) return
    if (!this.#running) {
      // A new stream for each utterance: times of words count from its beginning.
      this.#sphinx.startStream(this.#live)
      this.#sphinx.start(this.#live)
      this.#running = true
    }
    this.#sphinx.process(this.#live, samples, samples.length, 0, 0)
  }

  partial(): string {
    if (!this.#running) return ''
    const text = this.#sphinx.hypothesis(this.#live, [0]) ?? ''
    return merge(text.split(' ').filter(Boolean).map((word) => ({ word: plain(word), startS: 0, endS: 0, confidence: 0 }))).map((w) => w.word).join(' ')
  }

  final(): Transcript {
    if (!this.#running) return { words: [] }
    const sphinx = this.#sphinx
    this.#running = false
    sphinx.end(this.#live)
    const words: Word[] = []
    for (let segment = sphinx.segments(this.#live); segment !== null; segment = sphinx.next(segment)) {
      const word = plain(sphinx.word(segment))
      if (/^[<[+]/.test(word) && word !== GARBAGE) continue
      const start = [0]
      const end = [0]
      sphinx.frames(segment, start, end)
      const confidence = sphinx.exp(sphinx.logmath(this.#live), sphinx.posterior(segment, [0], [0], [0]))
      words.push({ word, startS: start[0]! / FRAMES_PER_S, endS: (end[0]! + 1) / FRAMES_PER_S, confidence: Math.min(1, confidence) })
    }
    return { words: merge(words) }
  }

  reset(): void { this.final() }

  close(): void {
    if (this.#decoder === null) return
    if (this.#running) this.#sphinx.end(this.#decoder)
    this.#sphinx.free(this.#decoder)
    this.#decoder = null
    this.#onClose()
  }

  get #live(): Handle {
    if (this.#decoder === null) throw new MtorError('INTERNAL', 'this recogniser is closed')
    return this.#decoder
  }
}

/** Without the number of the pronunciation; phones of the garbage loop become garbage. */
const plain = (word: string): string => word.startsWith('garbage_') ? GARBAGE : word.replace(/\(\d+\)$/, '')

/** Garbage beside garbage is one piece of it. */
function merge(words: readonly Word[]): Word[] {
  const out: Word[] = []
  for (const word of words) {
    const last = out.at(-1)
    if (word.word === GARBAGE && last?.word === GARBAGE) last.endS = word.endS
    else out.push({ ...word })
  }
  return out
}
