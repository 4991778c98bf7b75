const ONES = [
  'zero',
  'one',
  'two',
  'three',
  'four',
  'five',
  'six',
  'seven',
  'eight',
  'nine',
  'ten',
  'eleven',
  'twelve',
  'thirteen',
  'fourteen',
  'fifteen',
  'sixteen',
  'seventeen',
  'eighteen',
  'nineteen',
]
const TENS = ['', '', 'twenty', 'thirty', 'forty', 'fifty', 'sixty', 'seventy', 'eighty', 'ninety']

/** How "105" is said: with or without "and", with "one" or "a" hundred. */
export interface Manner {
  and?: boolean
  a?: boolean
}

/** A whole number from 0 to 999 as it is said. */
export function whole(n: number, { and = true, a = false }: Manner = {}): string {
  if (n < 20) return ONES[n]!
  if (n < 100) return n % 10 === 0 ? TENS[n / 10]! : `${TENS[Math.floor(n / 10)]} ${ONES[n % 10]}`
  const hundreds = Math.floor(n / 100)
  const rest = n % 100
  const begin = `${hundreds === 1 && a ? 'a' : ONES[hundreds]} hundred`
  return rest === 0 ? begin : `${begin} ${and ? 'and ' : ''}${whole(rest)}`
}

/** Digits behind "point", one by one; a nought as "oh" or "zero". */
export const digits = (text: string, nought: 'oh' | 'zero'): string =>
  [...text].map((digit) => (digit === '0' ? nought : ONES[Number(digit)])).join(' ')
