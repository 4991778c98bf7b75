import { isNumberWord } from './numbers.ts'

/**
 * Sentences into words. A token keeps its place in the text, so that free-text slots give back what was
 * really said; its `word` is canonical: lower case, British spelling, contractions written out.
 */
export interface Token {
  word: string
  start: number
  end: number
  /**
   * What parts it from the token before: 'pause' a comma, a bracket or a hesitation, 'end' the end of a sentence or
   * line.
   */
  apart?: 'pause' | 'end'
}

/** Longer text is not looked at: no command is that long, and time must stay bounded. Characters. */
export const MAX_TEXT_LENGTH = 8_192

/** Spellings that mean the same word. Templates and sentences both go through this, so either may be written. */
const SPELLINGS: Readonly<Record<string, string>> = {
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
/** American spelling of every unit made of metres. */
const METER = /^((?:nano|micro|milli|centi|deci|deca|deka|hecto|kilo)?met)er(s?)$/
const SYMBOLS: Readonly<Record<string, string>> = { '%': 'percent', '°': 'degrees', '/': 'per', '+': 'plus', '&': 'and' }
const FRACTIONS: Readonly<Record<string, string>> = {
  '½': 'half', '¼': 'quarter', '¾': 'three quarters', '⅓': 'third', '⅔': 'two thirds',
  '⅕': 'one fifth', '⅖': 'two fifths', '⅗': 'three fifths', '⅘': 'four fifths',
  '⅛': 'one eighth', '⅜': 'three eighths', '⅝': 'five eighths', '⅞': 'seven eighths', '⅒': 'one tenth',
}

/** Punctuation that only separates. Anything else unknown becomes a token no template can match. */
const SEPARATOR = /[\s.,;:!?"'`’‘“”()…–—_-]/u
const PIECE = /\p{Nd}+(?:[.,]\p{Nd}+)*|[\p{L}\p{M}]+(?:['’][\p{L}]+)*|[^\p{L}\p{M}\p{Nd}]/gu
const WORD_CHAR = /[\p{L}\p{M}\p{N}]/u
/** Every dash and minus: hyphens, dashes, signs of mathematics, small, raised and lowered ones, bullets and rules. */
const DASH = /[\p{Pd}\u2212\u207B\u208B\u02D7\u2043\u2796\u2500\u2501\u23AF]/u
/** A sign of mathematics is a sign also with spaces after it. */
const MINUS = /[\u2212\u207B\u208B\u2796]/u
/** What may stand between a sign and its number. */
const OPENING = /^[([{"'“‘«]*\.?$/u
const OPENING_OR_SPACE = /^[\p{Zs}\t([{]*\.?$/u
/** Words that a hyphen joins to a number word: "one-and-a-half". */
const JOINED = new Set(['a', 'an', 'and', 'oh', 'minus', 'negative', 'plus'])
const CLOSING: Readonly<Record<string, string>> = { "'": "'", '’': '‘', '"': '"', '”': '“' }
/** No template knows it: what it stands in the place of was written, and is not understood. */
const unknown = (piece: string) => `\u0000${piece}`
export const isUnknown = (word: string): boolean => word.startsWith('\u0000')

/** How two tokens are parted by what is written between them. Spaces, or one hyphen, part nothing. */
function partingOf(gap: string): Token['apart'] {
  if (/^[\p{Zs}\t]*$/u.test(gap) || (gap.length === 1 && DASH.test(gap))) return undefined
  return /[.!?…;\n\r\u2028\u2029。]/u.test(gap) ? 'end' : 'pause'
}

/** Words of one lower-case piece, spelling made canonical. */
export function canonical(piece: string): string[] {
  // "stoooop": no English word has a letter three times in a row. "stopstop": said, or typed, in haste.
  const written = piece.replaceAll('’', "'")
  const short = written.replace(/(\p{L})\1{2,}/gu, '$1')
  // "mmm" is no metre.
  const plain = (short.length < 3 ? written : short).replace(METER, '$1re$2')
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
  const quotes = new Map<string, number>()
  const signs = new Signs(source)
  for (const match of source.matchAll(PIECE)) {
    const piece = match[0]
    const start = match.index
    const end = start + piece.length
    const before = source[start - 1] ?? ''
    const push = (words: string, parted?: Token['apart']) => {
      const last = tokens.at(-1)
      const apart = last && (parted ?? (last.start === start ? undefined : partingOf(source.slice(last.end, start))))
      for (const [index, word] of words.split(' ').entries()) {
        tokens.push({ word, start, end, ...(apart && index === 0 ? { apart } : {}) })
      }
    }
    if (/^\p{Nd}/u.test(piece)) {
      const digits = piece.normalize('NFKC')
      push(/^[\d.,]+$/.test(digits) ? digits : unknown(piece))
      continue
    }
    if (/^[\p{L}\p{M}]/u.test(piece)) {
      push(canonical(piece.normalize('NFKC').toLowerCase()).join(' '))
      continue
    }
    if (DASH.test(piece)) {
      const sign = signs.of(piece, start, end, tokens.at(-1)?.word)
      if (sign) push(sign)
      continue
    }
    const fraction = Object.hasOwn(FRACTIONS, piece) ? FRACTIONS[piece]! : undefined
    if (fraction) {
      const follows = /\p{Nd}/u.test(before) ? (fraction.includes(' ') ? 'and ' : 'and a ') : ''
      push(`${follows}${fraction}`)
      continue
    }
    const opening = CLOSING[piece]
    const opened = opening === undefined ? 0 : quotes.get(opening) ?? 0
    // 5' and 5" may be feet and inches, unless a quotation ends there.
    if (opening !== undefined && opened === 0 && /\p{N}/u.test(before)) { push(unknown(piece)); continue }
    if (opening !== undefined && opened > 0) quotes.set(opening, opened - 1)
    else if (/["'“‘]/.test(piece)) quotes.set(piece, 1)
    const plain = piece.normalize('NFKC')
    const symbol = SYMBOLS[plain]
    if (symbol) push(symbol)
    else if (plain === '.' && /\d/.test(source[end] ?? '') && !/[\p{L}\p{M}\p{N}.]/u.test(before)) {
      push('point', tokens.at(-1)?.end === start ? undefined : 'pause')
    // ",5" is a decimal of which the nought was left out.
    } else if (plain === ',' && /\d/.test(source[end] ?? '') && !/[\p{L}\p{M}\p{N}]/u.test(before)) {
      push(unknown(piece))
    } else if (!SEPARATOR.test(piece) && !/^[.,;:!?()"']$/.test(plain)) push(unknown(piece))
  }
  return tokens
}

/** Tells what dashes stand for. A dash before a number is its sign, or makes it doubtful; it is never left out. */
class Signs {
  readonly #source: string
  readonly #pattern = /[\p{L}\p{M}]+|\p{N}/gu
  /** The next word or digit: found once for all dashes before it. */
  #next: { at: number; said: string } | undefined

  constructor(source: string) { this.#source = source }

  /** 'minus', an unknown token where it may be one, or undefined where it only separates words. */
  of(dash: string, start: number, end: number, lastWord: string | undefined): string | undefined {
    const next = this.#nextFrom(end)
    if (!next || !(/\p{N}/u.test(next.said) || isNumberWord(next.said))) return undefined
    const between = this.#source.slice(end, next.at)
    const joined = WORD_CHAR.test(this.#source[start - 1] ?? '')
    if (joined) {
      // "twenty-five", "one-and-a-half"; but "forward-2" and "2-3" are something else.
      const isWords = /^\p{L}/u.test(next.said) && lastWord !== undefined && !/\d/.test(lastWord)
      return between === '' && isWords && (isNumberWord(lastWord) || JOINED.has(lastWord)) ? undefined : unknown(dash)
    }
    if (OPENING.test(between)) return 'minus'
    const subtracts = lastWord !== undefined && isNumberWord(lastWord)
    return MINUS.test(dash) && OPENING_OR_SPACE.test(between) && !subtracts ? 'minus' : unknown(dash)
  }

  #nextFrom(end: number) {
    if (!this.#next || this.#next.at < end) {
      this.#pattern.lastIndex = end
      const found = this.#pattern.exec(this.#source)
      this.#next = found ? { at: found.index, said: found[0].normalize('NFKC').toLowerCase() } : { at: Infinity, said: '' }
    }
    return this.#next.said === '' ? undefined : this.#next
  }
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
export const FILLERS: ReadonlySet<string> = new Set(['please', 'the', 'just', 'kindly'])

/** Politeness before a command; each is skipped whole. */
export const LEADS: readonly (readonly string[])[] = ['computer', 'hey', 'hey computer', 'okay', 'okay computer', 'so', 'well', 'now', 'then', 'and', 'and then', 'now then', 'alright', 'all right',
  'can you', 'could you', 'would you', 'will you', 'can we', 'could we', 'i want you to', 'i would like you to', 'i need you to', 'you can', 'go ahead and', 'let us', 'time to', 'rover', 'try to',
].map((phrase) => phrase.split(' '))
/** Politeness after a command. */
export const TAILS: readonly (readonly string[])[] = ['please', 'for me', 'for us', 'thanks', 'thank you', 'now', 'right now', 'right away', 'immediately', 'at once', 'would you', 'will you', 'if you can', 'if you would',
  'if you please', 'computer', 'then', 'okay', 'straight away', 'rover',
].map((phrase) => phrase.split(' '))

const POLITE: ReadonlySet<string> = new Set([...LEADS, ...TAILS].flat())
/** True for a word that may stand before or behind a command without meaning anything; elsewhere it may mean something. */
export const isPolite = (word: string): boolean => POLITE.has(word)

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
