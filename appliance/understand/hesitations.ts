import { isNumberWord } from './numbers.ts'
import { isUnitWord } from './quantities.ts'
import type { Token } from './words.ts'

/** Sounds that people make while they think. */
const HESITATION = /^(?:u+h+m*|u+m+|e+r+m*|h+m+|m{2,}|a+h+)$/
export const isHesitation = (word: string): boolean => HESITATION.test(word)

/**
 * The tokens without hesitations; what follows one is marked as parted. A unit that looks like one ("mm") is kept, and
 * so is one directly after a number that no unit follows, as an unknown word: the number may have gone on.
 */
export function withoutHesitations(tokens: readonly Token[]): Token[] {
  if (!tokens.some(({ word }) => isHesitation(word))) return [...tokens]
  const kept: Token[] = []
  let parted: Token['apart']
  for (const [at, token] of tokens.entries()) {
    const before = kept.at(-1)
    if (!isHesitation(token.word) || (before && isUnitWord(token.word))) {
      kept.push(parted ? { ...token, apart: parted === 'end' ? 'end' : token.apart ?? parted } : token)
      parted = undefined
      continue
    }
    const mayGoOn = before !== undefined && isNumberWord(before.word) && !isUnitWord(nextWord(tokens, at))
    if (mayGoOn) kept.push({ ...token, word: `\u0000${token.word}` })
    parted = token.apart === 'end' || parted === 'end' ? 'end' : 'pause'
  }
  return kept
}

/** The next word that is no hesitation. */
function nextWord(tokens: readonly Token[], at: number): string {
  return tokens.slice(at + 1).find(({ word }) => isUnitWord(word) || !isHesitation(word))?.word ?? ''
}

/** The tokens without some words; what follows one of them is marked as parted, so that no number goes over it. */
export function without(tokens: readonly Token[], words: ReadonlySet<string>): Token[] {
  const kept: Token[] = []
  let parted: Token['apart']
  for (const token of tokens) {
    if (words.has(token.word)) {
      parted = token.apart === 'end' ? 'end' : parted ?? 'pause'
      continue
    }
    kept.push(parted ? { ...token, apart: parted === 'end' ? 'end' : token.apart ?? parted } : token)
    parted = undefined
  }
  return kept
}
