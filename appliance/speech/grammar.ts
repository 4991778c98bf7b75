import type { SpeechEngine } from './engine.ts'

/** What the sentence templates can say; see understand's `speechGrammar()`. */
export interface CommandGrammar {
  phrases: readonly string[]
  words: readonly string[]
  /** Beginnings after which anything may be said. */
  freeTextLeads: readonly string[]
  /** The same, where other sentences go on from there too: only once what was said is none of these. */
  lateLeads?: readonly string[]
  /** Sentences as people say them: they weigh more than what the templates merely allow. */
  usual?: readonly string[]
}

export const WAKE_WORD = 'computer'
export const STOP_PHRASES = ['stop', 'emergency stop'] as const

/** Heard at all times: few words, so that it costs little and misses nothing. What it hears is checked again. */
export const SPOT_PHRASES = [WAKE_WORD, ...STOP_PHRASES] as const

/** Words that sound like the wake word, and words that stand before it where people talk about a computer. */
export const WAKE_DECOYS = [
  WAKE_WORD,
  'commuter', 'commuters', 'computers', 'compute', 'commute', 'pewter', 'competitor', 'confused', 'conference', 'company', 'community', 'come', 'put', 'peter', 'cute', 'future',
  'the computer', 'my computer', 'a computer', 'new computer', 'your computer',
] as const

/** The same words in the open vocabulary: where it is sure of one of them, it was not the wake word. */
export const WAKE_VETO: ReadonlySet<string> = new Set(['computers', "computer's", 'compute', 'computes', 'computed', 'computing', 'computation', 'computations', 'computational', 'commute', 'commuter', 'commuters', 'commuting'])

/** Words that sound like "stop". */
export const STOP_DECOYS = [...STOP_PHRASES, 'start', 'star', 'smart', 'top', 'shop', 'step', 'stock', 'stopped', 'stops', 'spot', 'story', 'stand', 'drop', 'pop'] as const

/** Of 160 sentences of five synthetic voices 125 were right with 0, 132 with 2 and with 6. */
const USUAL_WEIGHT = 2

/** The phrases of which the engine knows every word; the others could only be misheard. */
export function phrasesFor(engine: SpeechEngine, phrases: readonly string[]): string[] {
  const known = new Map<string, boolean>()
  const knows = (word: string) => {
    let answer = known.get(word)
    if (answer === undefined) known.set(word, answer = engine.knows(word))
    return answer
  }
  return phrases.filter((phrase) => phrase !== '' && phrase.split(' ').every(knows))
}

/**
 * The commands, and each way to begin one behind the wake word: the utterance that holds the wake word is decoded
 * whole, so that nothing is cut off, and the word is taken off the text afterwards.
 */
export function commandPhrases(engine: SpeechEngine, grammar: CommandGrammar): string[] {
  const phrases = phrasesFor(engine, [...grammar.phrases, ...grammar.freeTextLeads, ...grammar.lateLeads ?? [], ...STOP_PHRASES])
  const byFirstWord = new Map<string, string>()
  for (const phrase of phrases) {
    const first = phrase.slice(0, (phrase + ' ').indexOf(' '))
    if (!byFirstWord.has(first)) byFirstWord.set(first, phrase)
  }
  // The engines count how often words follow each other in the phrases: what stands there again is likelier.
  const usual = phrasesFor(engine, grammar.usual ?? []).flatMap((phrase) => [phrase, `${WAKE_WORD} ${phrase}`])
  return [...phrases, WAKE_WORD, ...[...byFirstWord.values()].map((phrase) => `${WAKE_WORD} ${phrase}`), ...Array.from({ length: USUAL_WEIGHT }, () => usual).flat()]
}

/** The lead that `text` begins with, or undefined. Longest first. */
export function leadOf(text: string, leads: readonly string[]): string | undefined {
  return leads.filter((lead) => text === lead || text.startsWith(`${lead} `)).sort((a, b) => b.length - a.length)[0]
}
