import { isNumberWord, NUMBER_WORDS } from './numbers.ts'
import { NEAR_WORDS } from './near-words.ts'
import { UNIT_WORDS } from './quantities.ts'
import { editDistance, FILLERS, NEGATIONS } from './words.ts'

/** Shorter words are never corrected: too many of them are one letter from another. */
const LEAST_LENGTH = 6
const ENDINGS = ['s', 'd', 'ed', 'r', 'er', 'rs', 'ers', 'ing', 'ly', 'y', 'n', 'es', 'ings', 'est']

/**
 * Corrects a misspelt word to the one word of the templates it must have been, or leaves it. Bounded so that a
 * correction cannot change a meaning: only words no template knows, of six letters or more, with the first letter
 * right, one letter off, one candidate alone; never numbers, negations, fillers,
 * other forms of a known word or other English words near one.
 */
export class Correction {
  readonly #vocabulary: ReadonlySet<string>
  readonly #byLetter = new Map<string, string[]>()
  readonly #known = new Map<string, string | undefined>()

  constructor(templateWords: ReadonlySet<string>) {
    this.#vocabulary = new Set([...templateWords, ...NUMBER_WORDS, ...UNIT_WORDS, ...FILLERS, ...NEGATIONS])
    for (const word of this.#vocabulary) {
      if (word.length < LEAST_LENGTH) continue
      const list = this.#byLetter.get(word[0]!)
      if (list) list.push(word); else this.#byLetter.set(word[0]!, [word])
    }
  }

  of(word: string): string | undefined {
    if (word.length < LEAST_LENGTH || word.length > 24 || this.#vocabulary.has(word) || isNumberWord(word) || NEAR_WORDS.has(word)) return undefined
    if (this.#known.has(word)) return this.#known.get(word)
    const found = this.#nearest(word)
    // Remembered, because a recogniser makes the same mistakes again; forgotten before it can grow.
    if (this.#known.size > 2_000) this.#known.clear()
    this.#known.set(word, found)
    return found
  }

  #nearest(word: string): string | undefined {
    if (this.#isOtherForm(word)) return undefined
    const nearest = (this.#byLetter.get(word[0]!) ?? []).filter((candidate) => editDistance(word, candidate, 1) <= 1)
    return nearest.length === 1 && !isNumberWord(nearest[0]!) ? nearest[0] : undefined
  }

  /** "turned", "stopping", "drives": another form of a known word says something else. */
  #isOtherForm(word: string): boolean {
    // "revers" is "reverse" cut short, not the stem of "reversing".
    if (this.#vocabulary.has(`${word}e`)) return false
    return ENDINGS.some((ending) => {
      if (this.#vocabulary.has(word + ending)) return true
      if (!word.endsWith(ending)) return false
      const stem = word.slice(0, -ending.length)
      return stem.length >= 3 && (this.#vocabulary.has(stem) || this.#vocabulary.has(`${stem}e`) || (stem.at(-1) === stem.at(-2) && this.#vocabulary.has(stem.slice(0, -1))))
    })
  }
}
