/** More text than this is not read aloud. */
export const MAX_SPOKEN_CHARS = 2_000
/** Longer pieces would keep the first word waiting for the synthesis of the last. */
const MAX_PIECE_CHARS = 250

/**
 * Text cut into what is synthesised and played one after another: at ends of sentences, else at a comma, else at a space.
 * Control characters and unpaired surrogates become spaces.
 */
export function splitSentences(text: string): string[] {
  const clean = text.slice(0, MAX_SPOKEN_CHARS).toWellFormed().replace(/[\p{Cc}\p{Cf}\uFFFD\s]+/gu, ' ').trim()
  const pieces: string[] = []
  for (const sentence of clean.split(/(?<=[.!?]) /)) {
    let rest = sentence
    while (rest.length > MAX_PIECE_CHARS) {
      const comma = rest.lastIndexOf(', ', MAX_PIECE_CHARS - 1)
      const space = rest.lastIndexOf(' ', MAX_PIECE_CHARS)
      const cut = comma > 0 ? comma + 1 : space > 0 ? space : MAX_PIECE_CHARS
      pieces.push(rest.slice(0, cut).trim())
      rest = rest.slice(cut).trim()
    }
    // A piece without a letter or digit has no sound, and flite fails on it.
    if (/[\p{L}\p{N}]/u.test(rest)) pieces.push(rest)
  }
  return pieces
}
