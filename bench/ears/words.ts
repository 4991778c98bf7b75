const SMALL = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten', 'eleven', 'twelve', 'thirteen', 'fourteen', 'fifteen', 'sixteen', 'seventeen', 'eighteen', 'nineteen']
const TENS = ['', '', 'twenty', 'thirty', 'forty', 'fifty', 'sixty', 'seventy', 'eighty', 'ninety']
/** Two ways of writing one word. */
const SAME: Record<string, string> = { mr: 'mister', mrs: 'missus', metre: 'meter', metres: 'meters', ok: 'okay', e: 'e', kilometres: 'kilometers', grey: 'gray', colour: 'color', alright: 'all right', voicemail: 'voice mail' }

function number(value: number): string[] {
  if (value < 20) return [SMALL[value]!]
  if (value < 100) return [TENS[Math.floor(value / 10)]!, ...value % 10 ? number(value % 10) : []]
  if (value < 1000) return [...number(Math.floor(value / 100)), 'hundred', ...value % 100 ? number(value % 100) : []]
  return [...number(Math.floor(value / 1000)), 'thousand', ...value % 1000 ? number(value % 1000) : []]
}

/** Words to compare: small letters, no punctuation, numbers in words, one spelling. */
export function wordsOf(text: string): string[] {
  return text.toLowerCase().replaceAll('%', ' percent ').replaceAll(/(\d)[,](\d{3})/g, '$1$2').replaceAll(/['’]/g, '').split(/[^\p{L}\p{N}.]+|\.(?!\d)/u).filter(Boolean).flatMap((word) => {
    const [, whole, fraction] = /^(\d{1,6})(?:\.(\d+))?$/.exec(word) ?? []
    if (whole !== undefined) return [...number(Number(whole)), ...fraction === undefined ? [] : ['point', ...Array.from(fraction, (digit) => SMALL[Number(digit)]!)]]
    return (SAME[word] ?? word.replaceAll('.', '')).split(' ')
  })
}

/** Words wrong, missing or too many, by the shortest way from one text to the other. */
export function wordErrors(expected: readonly string[], got: readonly string[]): number {
  let row = Array.from({ length: got.length + 1 }, (_, j) => j)
  for (const [i, word] of expected.entries()) {
    const next = [i + 1]
    for (let j = 0; j < got.length; j++) next.push(Math.min(next[j]! + 1, row[j + 1]! + 1, row[j]! + (got[j] === word ? 0 : 1)))
    row = next
  }
  return row.at(-1)!
}
