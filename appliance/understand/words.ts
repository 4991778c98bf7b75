/**
 * Sentences into words. A token keeps its place in the text, so that free-text slots give back what was
 * really said; its `word` is canonical: lower case, British spelling, contractions written out.
 */
export interface Token { word: string; start: number; end: number }

/** Longer text is not looked at: no command is that long, and time must stay bounded. Characters. */
export const MAX_TEXT_LENGTH = 8_192

/** Spellings that mean the same word. Templates and sentences both go through this, so either may be written. */
const SPELLINGS: Readonly<Record<string, string>> = {
  meter: 'metre', meters: 'metres', centimeter: 'centimetre', centimeters: 'centimetres',
  millimeter: 'millimetre', millimeters: 'millimetres', kilometer: 'kilometre', kilometers: 'kilometres',
  ok: 'okay', forwards: 'forward', backwards: 'backward', colour: 'color', programme: 'program',
  whats: 'what is', hows: 'how is', wheres: 'where is', dont: 'do not', cannot: 'can not', thankyou: 'thank you',
  doesnt: 'does not', didnt: 'did not', wont: 'will not', isnt: 'is not', nevermind: 'never mind',
  gonna: 'going to', estop: 'e stop', backup: 'back up', email: 'mail', emails: 'mails', wifi: 'wi fi',
}
const CONTRACTIONS: readonly (readonly [RegExp, string])[] = [
  [/^won't$/, 'will not'], [/^shan't$/, 'shall not'], [/^can't$/, 'can not'], [/^(\p{L}+)n't$/u, '$1 not'], [/^let's$/, 'let us'], [/^o'clock$/, 'oclock'],
  [/^(\p{L}+)'s$/u, '$1 is'], [/^(\p{L}+)'re$/u, '$1 are'], [/^(\p{L}+)'m$/u, '$1 am'],
  [/^(\p{L}+)'ll$/u, '$1 will'], [/^(\p{L}+)'ve$/u, '$1 have'], [/^(\p{L}+)'d$/u, '$1 would'],
]
const SYMBOLS: Readonly<Record<string, string>> = { '%': 'percent', '°': 'degrees', '/': 'per', '+': 'plus', '½': 'half', '¼': 'quarter', '&': 'and' }

/** Punctuation that only separates. Anything else unknown becomes a token no template can match. */
const SEPARATOR = /[\s.,;:!?"'`’‘“”()…–—_-]/u
const PIECE = /\d+(?:[.,]\d+)*|[\p{L}\p{M}]+(?:['’][\p{L}]+)*|[^\p{L}\p{M}\d]/gu

/** Words of one lower-case piece, spelling made canonical. */
export function canonical(piece: string): string[] {
  // "stoooop": no English word has a letter three times in a row. "stopstop": said, or typed, in haste.
  const plain = piece.replaceAll('’', "'").replace(/(\p{L})\1{2,}/gu, '$1')
  if (/^(stop){2,}$/.test(plain)) return ['stop', 'stop']
  if (Object.hasOwn(SPELLINGS, plain)) return SPELLINGS[plain]!.split(' ')
  if (!plain.includes("'")) return [plain]
  for (const [pattern, replacement] of CONTRACTIONS) if (pattern.test(plain)) return plain.replace(pattern, replacement).split(' ')
  return [plain.replaceAll("'", '')]
}

/** Splits text into canonical words with their places. Never throws; text beyond MAX_TEXT_LENGTH is cut off. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = []
  const source = text.length > MAX_TEXT_LENGTH ? text.slice(0, MAX_TEXT_LENGTH) : text
  for (const match of source.matchAll(PIECE)) {
    const piece = match[0]
    const start = match.index
    const end = start + piece.length
    const push = (word: string) => tokens.push({ word, start, end })
    if (/^[\d\p{L}\p{M}]/u.test(piece)) { for (const word of canonical(piece.toLowerCase())) push(word); continue }
    // A sign belongs to a number only when it stands directly before it and after a space: "-2", not "twenty-two".
    if ((piece === '-' || piece === '−') && /\d/.test(source[end] ?? '') && (start === 0 || /\s/.test(source[start - 1]!))) { push('minus'); continue }
    if ((piece === '½' || piece === '¼') && /\d/.test(source[start - 1] ?? '')) { push('and'); push('a') }
    const symbol = SYMBOLS[piece]
    if (symbol) push(symbol)
    else if (piece === '.' && /\d/.test(source[end] ?? '') && !/[\d.]/.test(source[start - 1] ?? '')) push('point')
    else if (!SEPARATOR.test(piece)) push(`\u0000${piece}`)
  }
  return tokens
}

/**
 * What a recogniser writes for a word of the same sound. Only one way, and never between words that carry opposite
 * values. Number words are not here: see numbers.ts.
 */
const HOMOPHONES: Readonly<Record<string, readonly string[]>> = {
  write: ['right'], rite: ['right'], wright: ['right'], whether: ['weather'], male: ['mail'], reed: ['read'], red: ['read'],
  holt: ['halt'], hault: ['halt'], lite: ['light'], lites: ['lights'], sea: ['see'], u: ['you'], r: ['are'], too: ['to'], two: ['to'],
  four: ['for'], fore: ['for'], buy: ['by'], bye: ['by'], their: ['there'], metre: ['metres'], metres: ['metre'], degree: ['degrees'],
  wear: ['where'], ware: ['where'], note: ['notes'], notes: ['note'], log: ['logs'], logs: ['log'], pitcher: ['picture'],
  tern: ['turn'], tum: ['turn'], term: ['turn'], torn: ['turn'], foreward: ['forward'], foward: ['forward'], foreword: ['forward'],
  dry: ['drive'], of: ['off'], save: ['safe'], stpo: ['stop'], sotp: ['stop'], tsop: ['stop'], sttop: ['stop'], stopp: ['stop'], stope: ['stop'], sequins: ['sequence'], sequences: ['sequence'],
}
export const homophonesOf = (word: string): readonly string[] => Object.hasOwn(HOMOPHONES, word) ? HOMOPHONES[word]! : []

/** Two words a recogniser writes for one. */
const SPLIT: Readonly<Record<string, string>> = {
  'four word': 'forward', 'for word': 'forward', 'fore word': 'forward', 'a gain': 'again', 'dis arm': 'disarm', 'you are': 'your', 'head light': 'headlight', 'head lights': 'headlights', 'clock wise': 'clockwise',
}
export const joinedOf = (word: string, next: string | undefined): string | undefined => {
  const pair = `${word} ${next}`
  return Object.hasOwn(SPLIT, pair) ? SPLIT[pair] : undefined
}

/** May be skipped anywhere: they change no meaning. Never a negation, a question word, a pronoun or a number. */
export const FILLERS: ReadonlySet<string> = new Set(['please', 'uh', 'um', 'uhm', 'er', 'erm', 'hmm', 'mm', 'ah', 'the', 'just', 'kindly'])

/** Politeness before a command; each is skipped whole. */
export const LEADS: readonly (readonly string[])[] = ['computer', 'hey', 'hey computer', 'okay', 'okay computer', 'so', 'well', 'now', 'then', 'and', 'and then', 'now then', 'alright', 'all right',
  'can you', 'could you', 'would you', 'will you', 'can we', 'could we', 'i want you to', 'i would like you to', 'i need you to', 'you can', 'go ahead and', 'let us', 'time to', 'rover', 'try to',
].map((phrase) => phrase.split(' '))
/** Politeness after a command. */
export const TAILS: readonly (readonly string[])[] = ['please', 'for me', 'for us', 'thanks', 'thank you', 'now', 'right now', 'right away', 'immediately', 'at once', 'would you', 'will you', 'if you can', 'if you would',
  'if you please', 'computer', 'then', 'okay', 'uh', 'um', 'straight away', 'rover',
].map((phrase) => phrase.split(' '))

/** A sentence with one of these is never guessed at. */
export const NEGATIONS: ReadonlySet<string> = new Set(['not', 'no', 'never', 'nobody', 'none', 'neither', 'nor', 'without', 'nothing', 'unless', 'instead', 'avoid', 'refuse', 'refrain', 'cant', 'wont'])

/** Optimal string alignment distance (insert, delete, replace, swap neighbours), or `limit` + 1 when it is more. */
export function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    let least = i
    for (let j = 1; j <= b.length; j++) {
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, before[j - 2]! + 1)
      row.push(cost)
      least = Math.min(least, cost)
    }
    if (least > limit) return limit + 1
    before = last
    last = row
  }
  return last[b.length]!
}
