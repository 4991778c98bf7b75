import { isNumberWord, parseNumber } from './numbers.ts'
import { editDistance, type Token } from './words.ts'

/** What a number in a slot measures. Values are SI: m, rad never (angles in degrees), m/s, s, fraction of one, plain count. */
export const QUANTITIES = ['length', 'angle', 'speed', 'duration', 'fraction', 'count'] as const
export type Quantity = (typeof QUANTITIES)[number]

/** A quantity found at a token: `end` is the token after it, `value` in SI, `cost` what confidence it takes. */
export interface QuantityFound { end: number; value: number; cost: number }

/** One unit as multiplier and divisor, so that 30 cm is exactly 0.3. */
type Factor = readonly [number, number]
const units = (entries: Record<string, Factor>) => new Map(Object.entries(entries).flatMap(([names, factor]) => names.split(' ').map((name) => [name, factor] as const)))
const LENGTH = units({ 'metre metres m': [1, 1], 'centimetre centimetres cm cms centi': [1, 100], 'millimetre millimetres mm': [1, 1000], 'kilometre kilometres km kilometer': [1000, 1],
  'foot feet ft feat': [0.3048, 1], 'inch inches': [0.0254, 1], 'yard yards yd': [0.9144, 1], 'mile miles': [1609.344, 1] })
const TIME = units({ 'second seconds sec secs s': [1, 1], 'minute minutes min mins': [60, 1], 'hour hours hr hrs h': [3600, 1], 'day days': [86_400, 1] })
const TURN = units({ 'turn turns revolution revolutions rotation rotations circle circles': [360, 1] })
const ANGLE = units({ 'degree degrees deg degs': [1, 1], 'radian radians rad': [180, Math.PI] })
const SPEED = units({ 'kph kmh': [1000, 3600], 'mph': [1609.344, 3600], 'mps': [1, 1] })
const PERCENT = units({ 'percent': [1, 100] })
const NONE: ReadonlyMap<string, Factor> = new Map()
const SINGLE: Readonly<Record<Quantity, ReadonlyMap<string, Factor>>> = { length: LENGTH, angle: new Map([...ANGLE, ...TURN]), speed: SPEED, duration: TIME, fraction: PERCENT, count: NONE }

/** Every word a unit may be said with. */
export const UNIT_WORDS: readonly string[] = [...new Set([...LENGTH.keys(), ...TIME.keys(), ...TURN.keys(), ...ANGLE.keys(), ...PERCENT.keys(), 'per'])].filter((name) => name.length > 3)

const word = (tokens: readonly Token[], index: number): string => tokens[index]?.word ?? ''
const round = (value: number) => Number(value.toPrecision(12))
const COST = { homophone: 0.15, bare: 0.05, misspelt: 0.1 }

interface UnitFound { end: number; factor: Factor; cost: number }

/** A unit in a table, also misspelt by one letter when it is long enough that no other unit is near. */
function lookUp(table: ReadonlyMap<string, Factor>, tokens: readonly Token[], at: number): UnitFound | undefined {
  const name = word(tokens, at)
  const factor = table.get(name)
  if (factor) return { end: at + 1, factor, cost: 0 }
  if (name.length < 5 || isNumberWord(name)) return undefined
  for (const [known, value] of table) if (known.length >= 6 && editDistance(name, known, 1) === 1) return { end: at + 1, factor: value, cost: COST.misspelt }
  return undefined
}

function unit(quantity: Quantity, tokens: readonly Token[], at: number): UnitFound | undefined {
  if (quantity === 'fraction' && word(tokens, at) === 'per' && word(tokens, at + 1) === 'cent') return { end: at + 2, factor: [1, 100], cost: 0 }
  if (quantity === 'angle' && /^(full|complete|whole)$/.test(word(tokens, at))) return lookUp(TURN, tokens, at + 1)
  const single = lookUp(SINGLE[quantity], tokens, at)
  if (single || quantity !== 'speed') return single
  const length = lookUp(LENGTH, tokens, at)
  if (!length || !/^(per|a|an|each)$/.test(word(tokens, length.end))) return undefined
  const time = lookUp(TIME, tokens, length.end + 1)
  return time && { end: time.end, factor: [length.factor[0] * time.factor[1], length.factor[1] * time.factor[0]], cost: length.cost + time.cost }
}

const scaled = (value: number, factor: Factor) => value * factor[0] / factor[1]

/** One number with one unit: "half a metre", "an hour and a half", "three quarters of a turn", "ten feet". */
function simple(quantity: Quantity, tokens: readonly Token[], at: number): (QuantityFound & { factor: Factor }) | undefined {
  if (quantity === 'count') return undefined
  const article = word(tokens, at)
  if (article === 'a' || article === 'an') {
    // "a turn" says nothing of how far; "a full turn" does.
    const found = TURN.has(word(tokens, at + 1)) ? undefined : unit(quantity, tokens, at + 1)
    if (found) return andAHalf(tokens, { ...found, value: scaled(1, found.factor) })
  }
  const number = parseNumber(tokens, at)
  if (!number) return undefined
  let from = number.end
  if (number.kind === 'fraction') {
    if (word(tokens, from) === 'of') from += 1
    if (/^(a|an)$/.test(word(tokens, from))) from += 1
  }
  const found = unit(quantity, tokens, from)
  if (!found) return undefined
  const whole = { ...found, value: scaled(number.value, found.factor), cost: found.cost + (number.homophone ? COST.homophone : 0) }
  return number.kind === 'integer' && number.value > 0 ? andAHalf(tokens, whole) : whole
}

/** "a metre and a half", "two hours and a quarter". */
function andAHalf(tokens: readonly Token[], found: QuantityFound & { factor: Factor }) {
  if (word(tokens, found.end) !== 'and' || word(tokens, found.end + 1) !== 'a') return found
  const part = word(tokens, found.end + 2)
  const more = part === 'half' ? 0.5 : part === 'quarter' ? 0.25 : undefined
  // "a metre and a half metre" would be something else: a unit after it means it was no tail of this one.
  if (more === undefined || unit('length', tokens, found.end + 3) || unit('duration', tokens, found.end + 3)) return found
  return { ...found, end: found.end + 3, value: found.value + scaled(more, found.factor) }
}

/**
 * All quantities that start at token `at`, shortest first. Without a unit only angles (degrees) and counts are
 * believed; nothing is ever filled in.
 */
export function parseQuantity(quantity: Quantity, tokens: readonly Token[], at: number): QuantityFound[] {
  const number = parseNumber(tokens, at)
  if (quantity === 'count') return number && number.kind === 'integer' && !number.homophone && Number.isInteger(number.value) ? [{ end: number.end, value: number.value, cost: 0 }] : []
  if (quantity === 'fraction' && number?.kind === 'fraction') return [{ end: number.end, value: round(number.value), cost: 0 }]
  const found: QuantityFound[] = []
  const first = simple(quantity, tokens, at)
  if (quantity === 'angle' && number && number.kind !== 'fraction' && !number.homophone && !first) found.push({ end: number.end, value: round(number.value), cost: COST.bare })
  if (!first) return found
  found.push({ end: first.end, value: round(first.value), cost: first.cost })
  if (quantity !== 'length' && quantity !== 'duration') return found
  // "two metres and fifty centimetres": each further part must have a smaller unit.
  let total = first
  for (let part = 0; part < 3; part++) {
    const from = word(tokens, total.end) === 'and' ? total.end + 1 : total.end
    const next = /^(minus|negative|plus)$/.test(word(tokens, from)) ? undefined : simple(quantity, tokens, from)
    if (!next || next.cost >= COST.homophone || next.factor[0] / next.factor[1] >= total.factor[0] / total.factor[1]) break
    total = { end: next.end, value: total.value + Math.sign(total.value || 1) * next.value, cost: total.cost + next.cost, factor: next.factor }
    found.push({ end: total.end, value: round(total.value), cost: total.cost })
  }
  return found
}

const GO_ON: Readonly<Record<Quantity, readonly string[]>> = { length: ['metres'], angle: ['degrees', 'turn'], speed: ['metres per second'], duration: ['minutes', 'hour'], fraction: ['percent'], count: [''] }
const JOINTS = /^(a|an|and|of|per|each|full|complete|whole)$/
const STEPS = ['', 'two', 'five', 'a half', 'half', 'a', 'half a', 'of a']

/** True when the tokens from `at` to the end are the beginning of a quantity that is not finished yet, such as "two point". */
export function isQuantityPrefix(quantity: Quantity, tokens: readonly Token[], at: number): boolean {
  if (at >= tokens.length || tokens.length - at > 12) return false
  const begin = tokens.slice(at)
  if (!begin.every(({ word: each }) => isNumberWord(each) || JOINTS.test(each) || SINGLE[quantity].has(each) || (quantity === 'speed' && (LENGTH.has(each) || TIME.has(each))))) return false
  const goOns = [...STEPS.flatMap((step) => GO_ON[quantity].map((unitWords) => `${step} ${unitWords}`)), ...(quantity === 'speed' ? ['second', 'per second'] : [])]
  return goOns.some((goOn) => {
    const words = goOn.split(' ').filter(Boolean).map((each) => ({ word: each, start: 0, end: 0 }))
    const whole = [...begin, ...words]
    return words.length > 0 && parseQuantity(quantity, whole, 0).some((found) => found.end === whole.length)
  })
}

/** The whole text as a quantity; a bare number takes the SI unit (percent for a fraction). For answers to a question. */
export function quantityAnswer(quantity: Quantity, tokens: readonly Token[]): number | undefined {
  const whole = parseQuantity(quantity, tokens, 0).find((found) => found.end === tokens.length)
  if (whole) return whole.value
  const number = parseNumber(tokens, 0)
  if (!number || number.end !== tokens.length || number.homophone || quantity === 'count') return undefined
  return quantity === 'fraction' && number.value > 1 ? round(number.value / 100) : round(number.value)
}
