import { GARBAGE, textOf, type Recogniser, type SpeechEngine } from './engine.ts'
import { phrasesFor } from './grammar.ts'

/** What takes back a command that has just been given. */
const OBJECTIONS = [
  'no', 'no no', 'no no no', 'nope', 'never mind', 'no never mind', 'wait', 'wait wait', 'no wait', 'cancel', 'cancel that', 'no cancel', 'cancel it',
  "don't", "no don't", 'do not', 'hold on', 'forget it', 'not that', 'stop', 'no stop', 'wait stop', 'scratch that', 'belay that', 'undo that',
] as const
/** Words that sound like these. */
const OTHERS = ['know', 'now', 'not', 'go', 'so', 'oh', 'on', 'weight', 'way', 'mind', 'council', 'can', 'cancer', 'the', 'a', 'and', 'yes', 'yeah', 'okay', 'good', 'thanks', 'thank you', 'hello'] as const
/** An objection is believed from here on: one too many costs a command said again, one too few a motion that nobody wants. */
const MIN_CONFIDENCE = 0.45
/** A longer utterance is talk. */
export const LONGEST_OBJECTION_S = 2.5

/** Hears "no", "never mind", "wait" and "cancel" for a moment after a command, without the wake word. */
export class ObjectionEars {
  readonly #recogniser: Recogniser
  readonly #objections: ReadonlySet<string>

  private constructor(recogniser: Recogniser, objections: readonly string[]) {
    this.#recogniser = recogniser
    this.#objections = new Set(objections)
  }

  static async open(engine: SpeechEngine): Promise<ObjectionEars> {
    const objections = phrasesFor(engine, OBJECTIONS)
    return new ObjectionEars(await engine.open({ kind: 'phrases', phrases: [...objections, ...phrasesFor(engine, OTHERS)] }), objections)
  }

  accept(samples: Int16Array): void | Promise<void> { return this.#recogniser.accept(samples) }

  /** Ends the utterance. What was said where it was an objection, with how sure that is. */
  async final(): Promise<{ text: string; confidence: number } | undefined> {
    const { words } = await this.#recogniser.final()
    const real = words.filter(({ word }) => word !== GARBAGE)
    const text = textOf(real)
    const confidence = real.length === 0 ? 0 : real.reduce((sum, word) => sum + word.confidence, 0) / real.length
    return this.#objections.has(text) && confidence >= MIN_CONFIDENCE ? { text, confidence } : undefined
  }

  reset(): void { this.#recogniser.reset() }
  close(): void { this.#recogniser.close() }
}
