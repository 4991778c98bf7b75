import type { Token } from './words.ts'

/** A number found in a sentence. `end` is the token after it. */
export interface NumberFound {
  end: number
  value: number
  /** 'fraction': half, a quarter, three quarters … which may be followed by "of a". */
  kind: 'integer' | 'decimal' | 'fraction'
  /** Written as a word of the same sound ("to" for "two"): only believed directly before a unit. */
  homophone: boolean
  /** "1,500": one and a half to some, fifteen hundred to others. It is asked about. */
  doubtful?: true
}

const word = (tokens: readonly Token[], index: number): string => tokens[index]?.word ?? ''
const table = (words: string, first: number, step = 1) => new Map(words.split(' ').map((name, index) => [name, first + index * step] as const))
const UNITS = table('zero one two three four five six seven eight nine', 0)
UNITS.set('niner', 9).set('nought', 0).set('naught', 0)
const TEENS = table('ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen', 10)
const TENS = table('twenty thirty forty fifty sixty seventy eighty ninety', 20, 10).set('fourty', 40)
const SOUNDS_LIKE = new Map([['to', 2], ['too', 2], ['for', 4], ['fore', 4], ['won', 1], ['ate', 8]])
const PARTS = new Map([['half', 2], ['halves', 2], ['quarter', 4], ['quarters', 4], ['third', 3], ['thirds', 3],
  ['fifth', 5], ['fifths', 5], ['eighth', 8], ['eighths', 8], ['tenth', 10], ['tenths', 10]])
/** May stand alone ("half a metre"); "fifth" alone is a rank. */
const ALONE = new Set(['half', 'quarter', 'third'])
const NUMERAL = /^\d+(\.\d+)?$/
const GROUPED = /^\d{1,3}(,\d{3})+(\.\d+)?$/
/** "1.000" is a thousand where the comma is the decimal point. */
const MAYBE_GROUPED = /^[1-9]\d{0,2}\.000$/

/** Every word a number may be said with, in a sensible order: for grammars and for protecting them from correction. */
export const NUMBER_WORDS: readonly string[] = [...UNITS.keys(), ...TEENS.keys(), ...TENS.keys(), 'hundred', 'thousand', 'dozen', 'point', 'minus', 'negative', 'plus', ...PARTS.keys()]
const NUMBER_WORD_SET = new Set(NUMBER_WORDS)
export const isNumberWord = (text: string): boolean => NUMBER_WORD_SET.has(text) || /^\d/.test(text)

/** A whole number from 0 to 99 in words. */
export function numberWords(value: number): string {
  const of = (table: ReadonlyMap<string, number>, wanted: number) => [...table].find(([, each]) => each === wanted)?.[0]
  const tens = of(TENS, value - value % 10)
  return of(UNITS, value) ?? of(TEENS, value) ?? (value % 10 === 0 ? tens! : `${tens} ${of(UNITS, value % 10)}`)
}

interface Part { end: number; value: number }
const numeral = (text: string): number | undefined => NUMERAL.test(text) ? Number(text) : GROUPED.test(text) ? Number(text.replaceAll(',', '')) : undefined

/** Tokens of one number at the most. */
const LONGEST = 20

/** The tokens up to where something parts them: a number goes over no comma, no hesitation and no end of a sentence. */
function unparted(tokens: readonly Token[], at: number): readonly Token[] {
  for (let end = at + 1; end < Math.min(tokens.length, at + LONGEST); end++) {
    if (tokens[end]!.apart) return tokens.slice(0, end)
  }
  return tokens
}

/** 0 to 99 in words, or digits. */
function small(tokens: readonly Token[], at: number): Part | undefined {
  const digits = numeral(word(tokens, at))
  if (digits !== undefined) return { end: at + 1, value: digits }
  const first = word(tokens, at)
  const tens = TENS.get(first)
  if (tens !== undefined) {
    const unit = UNITS.get(word(tokens, at + 1))
    return unit ? { end: at + 2, value: tens + unit } : { end: at + 1, value: tens }
  }
  const value = UNITS.get(first) ?? TEENS.get(first)
  return value === undefined ? undefined : { end: at + 1, value }
}

/** What may follow "hundred" or "thousand": "five", "and five". Digits do not, so that "2 hundred 50" is no number. */
function rest(tokens: readonly Token[], at: number, parse: (tokens: readonly Token[], at: number) => Part | undefined): Part | undefined {
  const from = word(tokens, at) === 'and' ? at + 1 : at
  return /^\d/.test(word(tokens, from)) || word(tokens, from) === 'a' ? undefined : parse(tokens, from)
}

function hundreds(tokens: readonly Token[], at: number): Part | undefined {
  const head = word(tokens, at) === 'a' && word(tokens, at + 1) === 'hundred' ? { end: at + 1, value: 1 } : small(tokens, at)
  if (!head || word(tokens, head.end) !== 'hundred' || !Number.isInteger(head.value) || head.value < 1 || head.value > 99) return head
  const tail = rest(tokens, head.end + 1, small)
  return tail && tail.value > 0 ? { end: tail.end, value: head.value * 100 + tail.value } : { end: head.end + 1, value: head.value * 100 }
}

/** "a dozen", "two dozen", "half a dozen". */
function dozens(tokens: readonly Token[], at: number): Part | undefined {
  if (word(tokens, at) === 'half' && word(tokens, at + 1) === 'a' && word(tokens, at + 2) === 'dozen') return { end: at + 3, value: 6 }
  const count = word(tokens, at) === 'a' ? 1 : UNITS.get(word(tokens, at))
  return count && word(tokens, at + 1) === 'dozen' ? { end: at + 2, value: 12 * count } : undefined
}

function cardinal(tokens: readonly Token[], at: number): Part | undefined {
  const head = word(tokens, at) === 'a' && word(tokens, at + 1) === 'thousand' ? { end: at + 1, value: 1 } : hundreds(tokens, at)
  if (!head || word(tokens, head.end) !== 'thousand' || !Number.isInteger(head.value) || head.value < 1 || head.value > 999) return head
  const tail = rest(tokens, head.end + 1, hundreds)
  return tail && tail.value > 0 && tail.value < 1000 ? { end: tail.end, value: head.value * 1000 + tail.value } : { end: head.end + 1, value: head.value * 1000 }
}

/** "half", "a quarter", "one third", "three quarters". */
function fraction(tokens: readonly Token[], at: number): Part | undefined {
  const first = word(tokens, at)
  const alone = PARTS.get(first)
  if (alone !== undefined) return !ALONE.has(first) ? undefined : { end: at + 1, value: 1 / alone }
  const count = first === 'a' || first === 'an' ? 1 : UNITS.get(first)
  const part = PARTS.get(word(tokens, at + 1))
  return part !== undefined && count !== undefined && count > 0 && count < part ? { end: at + 2, value: count / part } : undefined
}

/** The digits after "point": "five", "two five", "05". */
function decimals(tokens: readonly Token[], at: number): { end: number; digits: string } | undefined {
  if (/^\d+$/.test(word(tokens, at))) return { end: at + 1, digits: word(tokens, at) }
  let digits = ''
  let end = at
  for (; end < at + 6; end++) {
    const value = /^oh?$/.test(word(tokens, end)) ? 0 : UNITS.get(word(tokens, end))
    if (value === undefined) break
    digits += value
  }
  return digits ? { end, digits } : undefined
}

/**
 * The longest number that starts at token `at`, or undefined. Words, digits, decimals, fractions and signs;
 * never half a number: "one eighty" or "two zero" give only their first word, and no template goes on from there.
 */
export function parseNumber(tokens: readonly Token[], at: number): NumberFound | undefined {
  const found = parseJoined(unparted(tokens, at), at)
  const isGrouped = found && tokens.slice(at, found.end).some((token) => GROUPED.test(token.word) || MAYBE_GROUPED.test(token.word))
  return isGrouped ? { ...found, doubtful: true } : found
}

function parseJoined(tokens: readonly Token[], at: number): NumberFound | undefined {
  const sign = word(tokens, at)
  if (sign === 'minus' || sign === 'negative' || sign === 'plus') {
    const found = parseUnsigned(tokens, at + 1)
    return found && !found.homophone ? { ...found, value: sign === 'plus' ? found.value : -found.value } : undefined
  }
  return parseUnsigned(tokens, at)
}

function parseUnsigned(tokens: readonly Token[], at: number): NumberFound | undefined {
  if (word(tokens, at) === 'point') {
    const after = decimals(tokens, at + 1)
    return after && { end: after.end, value: Number(`0.${after.digits}`), kind: 'decimal', homophone: false }
  }
  const dozen = dozens(tokens, at)
  if (dozen) return { ...dozen, kind: 'integer', homophone: false }
  const part = fraction(tokens, at)
  if (part) return { ...part, kind: 'fraction', homophone: false }
  const whole = cardinal(tokens, at)
  if (!whole) {
    const value = SOUNDS_LIKE.get(word(tokens, at))
    return value === undefined ? undefined : { end: at + 1, value, kind: 'integer', homophone: true }
  }
  if (!Number.isInteger(whole.value)) return { ...whole, kind: 'decimal', homophone: false }
  if (word(tokens, whole.end) === 'point') {
    const after = decimals(tokens, whole.end + 1)
    return after && { end: after.end, value: Number(`${whole.value}.${after.digits}`), kind: 'decimal', homophone: false }
  }
  if (word(tokens, whole.end) === 'and') {
    const more = fraction(tokens, whole.end + 1)
    // "two and half a metre" is not a number; "two and a half" is.
    if (more && PARTS.get(word(tokens, whole.end + 1)) === undefined) return { end: more.end, value: whole.value + more.value, kind: 'decimal', homophone: false }
  }
  return { ...whole, kind: 'integer', homophone: false }
}
