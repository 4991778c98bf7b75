/** Part of each bigram's count that is kept for unseen successors; the same in Vosk, so that both hear alike. */
const DISCOUNT = 0.5
/** Probability of the garbage words together, after any word: tuned so that single phones do not replace whole words. */
const GARBAGE_MASS = 1e-6

/**
 * A bigram language model of phrases in ARPA format (see the manual of SRILM, ngram-format), absolute discounting with
 * back-off; `garbage` words may stand anywhere.
 */
export function bigramArpa(phrases: readonly string[], garbage: readonly string[]): string {
  const unigrams = new Map<string, number>()
  const bigrams = new Map<string, Map<string, number>>()
  const histories = new Map<string, number>()
  for (const phrase of phrases) {
    const words = ['<s>', ...phrase.split(' ').filter(Boolean), '</s>']
    words.slice(1).forEach((word, index) => {
      const history = words[index]!
      unigrams.set(word, (unigrams.get(word) ?? 0) + 1)
      histories.set(history, (histories.get(history) ?? 0) + 1)
      const followers = bigrams.get(history) ?? new Map<string, number>()
      bigrams.set(history, followers.set(word, (followers.get(word) ?? 0) + 1))
    })
  }
  const total = [...unigrams.values()].reduce((sum, n) => sum + n, 0)
  const unigram = (word: string) => (unigrams.get(word) ?? 0) / total * (1 - GARBAGE_MASS)
  const log = (p: number) => Math.log10(Math.max(p, 1e-9)).toFixed(4)
  const backOff = (word: string) => {
    const followers = bigrams.get(word)
    if (!followers) return 1
    const left = DISCOUNT * followers.size / histories.get(word)!
    const seen = [...followers.keys()].reduce((sum, follower) => sum + unigram(follower), 0)
    return left / Math.max(1 - seen, 1e-6)
  }
  const words = [...unigrams.keys()]
  const lines = [`-99 <s> ${log(backOff('<s>'))}`, ...words.map((word) => `${log(unigram(word))} ${word} ${log(backOff(word))}`), ...garbage.map((word) => `${log(GARBAGE_MASS / garbage.length)} ${word} 0`)]
  const pairs = [...bigrams].flatMap(([history, followers]) => [...followers].map(([word, n]) => `${log((n - DISCOUNT) / histories.get(history)!)} ${history} ${word}`))
  return `\\data\\\nngram 1=${lines.length}\nngram 2=${pairs.length}\n\n\\1-grams:\n${lines.join('\n')}\n\n\\2-grams:\n${pairs.join('\n')}\n\n\\end\\\n`
}
