import type { InferenceSession } from 'onnxruntime-node'
import { isAbsolute, join } from 'node:path'
import { systemClock } from '../contracts/clock.ts'
import { MtorError, toMtorError } from '../contracts/errors.ts'
import { BANDS, WINDOW_FRAMES } from '../inference/learn/features.ts'
import { featuresOfFile, openHead } from '../inference/learn/keyword-task.ts'
import { modelOfWord } from '../inference/learn/names.ts'
import { FeatureStream, FiringRule } from '../inference/learn/spotter.ts'
import type { KnownAnswer } from '../inference/manifest.ts'

type Ort = typeof import('onnxruntime-node')
const PROJECT_MODELS = join(import.meta.dirname, '../../models')
/** Frames of 32 ms without voice after which nothing is looked for: the end of a word may be called silence already. */
const HOLD_FRAMES = 16
/** A known answer may be off by this: another processor rounds otherwise. */
const TOLERANCE = 0.01

export type LearnedUse = 'wake' | 'event'
export interface LearnedWordConfig { word: string; does: LearnedUse }
export interface Spotted { word: string; does: LearnedUse; confidence: number }

interface Word extends LearnedWordConfig { file: string; session: InferenceSession; rule: FiringRule; threshold: number; known: { features: Float32Array; score: number }[] }

/** Words that were taught with `mtor learn word`, looked for in a stream of sound while there is voice. */
export class LearnedWords {
  readonly #ort: Ort
  readonly #words: Word[]
  readonly #stream = new FeatureStream()
  readonly #report: (error: MtorError) => void
  #hold = 0

  private constructor(ort: Ort, words: Word[], report: (error: MtorError) => void) {
    this.#ort = ort
    this.#words = words
    this.#report = report
  }

  /**
   * Loads what is configured through the model store, so that only trusted files are used. A word that cannot be loaded is
   * reported, and the box hears without it. Undefined where none is left.
   */
  static async load(wanted: readonly LearnedWordConfig[], models: { modelsDir?: string; copyDir?: string }, report: (error: MtorError) => void): Promise<LearnedWords | undefined> {
    if (wanted.length === 0) return undefined
    const [ort, { ModelStore }] = await Promise.all([import('onnxruntime-node'), import('../inference/store/index.ts')])
    const store = new ModelStore({ modelsDir: models.modelsDir ?? PROJECT_MODELS, copyDir: models.copyDir, clock: systemClock, scrubPeriodMs: Infinity, onEvent: () => { /* The core's store tells of it at its next scrub. */ } })
    const words: Word[] = []
    for (const { word, does } of wanted) {
      try {
        const { manifest, folder } = await store.trusted(modelOfWord(word))
        const { threshold, graph } = manifest.options
        if (manifest.task !== 'keyword' || typeof threshold !== 'number' || typeof graph !== 'string') throw new MtorError('MODEL_INVALID', `${manifest.name} is no learned word: its options must be { threshold, graph }`)
        const file = join(folder, graph)
        const loaded: Word = { word, does, file, session: await openHead(ort, file, 1), rule: new FiringRule(threshold), threshold, known: await Promise.all(manifest.knownAnswers.map((answer) => knownOf(answer, folder))) }
        const wrong = await unproven(ort, loaded)
        if (wrong !== undefined) throw new MtorError('MODEL_UNTRUSTED', `${manifest.name}: ${wrong}`)
        words.push(loaded)
      } catch (error) {
        const { code, message, hint } = toMtorError(error)
        report(new MtorError(code, `the learned word “${word}” is not listened for: ${message}`, { cause: error, hint: code === 'NOT_FOUND' ? `Teach it with: mtor learn word ${word}` : hint }))
      }
    }
    return words.length === 0 ? undefined : new LearnedWords(ort, words, report)
  }

  get words(): string[] { return this.#words.map(({ word }) => word) }

  /** Takes the next samples, 16 kHz; `speech`: there is voice in them. Which words have just been said. One call at a time. */
  async push(samples: Int16Array, speech: boolean): Promise<Spotted[]> {
    this.#hold = speech ? HOLD_FRAMES : Math.max(0, this.#hold - 1)
    const windows: Float32Array[] = []
    this.#stream.push(samples, (features) => { if (this.#hold > 0) windows.push(features) })
    const spotted: Spotted[] = []
    for (const features of windows) {
      for (const word of this.#words) {
        const confidence = word.rule.push(await score(this.#ort, word.session, features))
        // An answer counts only when a known one came out right behind it.
        if (confidence !== undefined && await this.#proven(word)) spotted.push({ word: word.word, does: word.does, confidence })
      }
    }
    return spotted
  }

  async #proven(word: Word): Promise<boolean> {
    const wrong = await unproven(this.#ort, word)
    if (wrong === undefined) return true
    this.#report(new MtorError('MODEL_UNTRUSTED', `the learned word “${word.word}”: ${wrong}; it is loaded again`))
    await word.session.release()
    word.session = await openHead(this.#ort, word.file, 1)
    return false
  }

  reset(): void {
    this.#stream.reset()
    this.#hold = 0
    for (const { rule } of this.#words) rule.reset()
  }

  async close(): Promise<void> { for (const { session } of this.#words) await session.release() }
}

async function score(ort: Ort, session: InferenceSession, features: Float32Array): Promise<number> {
  const result = await session.run({ features: new ort.Tensor('float32', features, [1, WINDOW_FRAMES, BANDS]) })
  return (result['score']!.data as Float32Array)[0]!
}

async function knownOf({ input, output }: KnownAnswer, folder: string): Promise<Word['known'][number]> {
  const file = String(input['file'])
  return { features: await featuresOfFile(isAbsolute(file) ? file : join(folder, file)), score: Number(output['score']) }
}

async function unproven(ort: Ort, { session, known }: Word): Promise<string | undefined> {
  for (const { features, score: expected } of known) {
    const got = await score(ort, session, features)
    // Written so that NaN is off too.
    if (!(Math.abs(got - expected) <= TOLERANCE)) return `a known answer came out as ${got}, expected ${expected}`
  }
  return undefined
}
