import type { Recogniser, SpeechEngine } from './engine.ts'
import { commandPhrases, type CommandGrammar } from './grammar.ts'
import { decode } from './wake.ts'

const TEENS = ['thirteen', 'fourteen', 'fifteen', 'sixteen', 'seventeen', 'eighteen', 'nineteen']
const TENS = ['thirty', 'forty', 'fifty', 'sixty', 'seventy', 'eighty', 'ninety']

/**
 * By so much, in nats, the grammar with the number that was understood must explain the sound better than the one without.
 * A teen needs more: before a nasal ("fifty metres") a ten sounds like one. Of 73 teens in ten synthetic voices the lowest
 * was −1.2, and a ten taken for a teen came to 5.3 where the recogniser had no second reading. A teen taken for a ten came to 3.6.
 */
const TEEN_MARGIN = 6
const TEN_MARGIN = 4

/** The teen or ten of a text that may be the other, or undefined: "fifty", but not "fifty two". */
export function confusable(text: string): 'teen' | 'ten' | undefined {
  const words = text.split(' ')
  if (words.some((word) => TEENS.includes(word))) return 'teen'
  const isUnit = (word: string | undefined) => /^(one|two|three|four|five|six|seven|eight|nine)$/.test(word ?? '')
  return words.some((word, index) => TENS.includes(word) && !isUnit(words[index + 1])) ? 'ten' : undefined
}

/**
 * Fifteen or fifty? The sound is decoded twice more, once as if there were no tens and once as if there were no teens: how
 * much likelier one is than the other is known whichever the recogniser pruned before.
 */
export class NumberCheck {
  readonly #engine: SpeechEngine
  #grammar: CommandGrammar | undefined
  #withoutTens: Recogniser | undefined
  #withoutTeens: Recogniser | undefined

  constructor(engine: SpeechEngine) { this.#engine = engine }

  /** Makes it ready for a grammar. */
  async open(grammar: CommandGrammar): Promise<void> {
    if (grammar === this.#grammar) return
    this.close()
    const phrases = commandPhrases(this.#engine, grammar)
    const without = (words: readonly string[]) => {
      const others = phrases.filter((phrase) => !phrase.split(' ').some((word) => words.includes(word)))
      return this.#engine.open({ kind: 'phrases', phrases: others, readings: 1 })
    }
    this.#withoutTens = await without(TENS)
    this.#withoutTeens = await without(TEENS)
    this.#grammar = grammar
  }

  /** True where the number of the text is that one beyond doubt. `audio`: the utterance from its first sound. */
  async isClear(text: string, audio: Int16Array, grammar: CommandGrammar): Promise<boolean> {
    const kind = confusable(text)
    if (kind === undefined) return true
    await this.open(grammar)
    const teen = await decode(this.#withoutTens!, audio)
    const ten = await decode(this.#withoutTeens!, audio)
    // An engine without likelihoods cannot tell: it is asked about.
    if (teen.logLikelihood === undefined || ten.logLikelihood === undefined) return false
    const margin = teen.logLikelihood - ten.logLikelihood
    return kind === 'teen' ? margin >= TEEN_MARGIN : -margin >= TEN_MARGIN
  }

  close(): void {
    this.#withoutTens?.close()
    this.#withoutTeens?.close()
    this.#grammar = this.#withoutTens = this.#withoutTeens = undefined
  }
}
