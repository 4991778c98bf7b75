/**
 * Numbers, units and times as words for the speech engine. Digits stay digits: flite and espeak-ng read "2.5" as
 * "two point five" and "14:05" as "fourteen oh five"; the signs and units they stumble over are spelled out.
 */

/** "2.5", "minus 3", at most `decimals` places, no trailing zeros; "unknown" for what is not a number. */
export function number(value: number, decimals = 2): string {
  if (!Number.isFinite(value)) return 'unknown'
  const digits = String(Number(Math.abs(value).toFixed(decimals)))
  return value < 0 && digits !== '0' ? `minus ${digits}` : digits
}

/** "1 metre", "2.5 metres", "0 metres". `unit` is the singular; its first word takes the plural s ("metre per second"). */
export function quantity(value: number, unit: string, decimals = 2): string {
  const spoken = number(value, decimals)
  const [noun, ...rest] = unit.split(' ')
  return [spoken, spoken === '1' || spoken === 'minus 1' ? noun : `${noun}s`, ...rest].join(' ')
}

/** "80 percent" of a fraction 0 to 1. */
export function percent(fraction: number): string {
  return fraction > 0 && fraction < 0.005 ? 'less than 1 percent' : `${number(fraction * 100, 0)} percent`
}

/** "a, b and c"; "nothing" of an empty list. */
export function list(parts: readonly string[], last = 'and'): string {
  if (parts.length < 2) return parts[0] ?? 'nothing'
  return `${parts.slice(0, -1).join(', ')} ${last} ${parts.at(-1)}`
}

const UNITS = [['day', 86_400], ['hour', 3_600], ['minute', 60], ['second', 1]] as const

/** "3 minutes and 20 seconds" of seconds, rounded to the smallest of the `maxUnits` largest units. Below half a second: "less than a second". */
export function duration(seconds: number, maxUnits = 4): string {
  if (!Number.isFinite(seconds)) return 'an unknown time'
  let total = Math.round(Math.abs(seconds))
  if (total === 0) return seconds === 0 ? '0 seconds' : 'less than a second'
  const largest = UNITS.findIndex(([, size]) => total >= size)
  const smallest = UNITS[Math.min(UNITS.length - 1, largest + maxUnits - 1)]![1]
  total = Math.round(total / smallest) * smallest
  const parts: string[] = []
  for (const [unit, size] of UNITS) {
    const count = Math.floor(total / size)
    total -= count * size
    if (count > 0) parts.push(quantity(count, unit))
  }
  return list(parts)
}

/** "14:05" of Unix milliseconds, in the box's time zone. */
export const timeOfDay = (wallMs: number): string => {
  const date = new Date(wallMs)
  return `${String(date.getHours()).padStart(2, '0')}:${String(date.getMinutes()).padStart(2, '0')}`
}

const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December']

/** "3 March 2026" of Unix milliseconds, in the box's time zone. */
export const dayOf = (wallMs: number): string => {
  const date = new Date(wallMs)
  return `${date.getDate()} ${MONTHS[date.getMonth()]} ${date.getFullYear()}`
}

/** The first letter large, for the start of a sentence. */
export const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
