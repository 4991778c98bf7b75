import { NEAR_WORDS } from './near-words.ts'
import { isNumberWord, parseNumber } from './numbers.ts'
import { editDistance, type Token } from './words.ts'

/** What a number in a slot measures. Values are SI: m, rad never (angles in degrees), m/s, s, fraction of one, plain count. */
export const QUANTITIES = ['length', 'angle', 'speed', 'duration', 'fraction', 'count'] as const
export type Quantity = (typeof QUANTITIES)[number]

/** A quantity found at a token. */
export interface QuantityFound {
  /** The token after it. */
  end: number
  /** In SI units. */
  value: number
  /** What confidence it takes. */
  cost: number
  /** It may be another: it is asked about. */
  doubtful?: true
  /** Its number was written as a word of the same sound ("for metres"). */
  isHomophone?: true
}

/** One unit as multiplier and divisor, so that 30 cm is exactly 0.3. */
type Factor = readonly [number, number]
const units = (entries: Record<string, Factor>) => new Map(Object.entries(entries).flatMap(([names, factor]) => names.split(' ').map((name) => [name, factor] as const)))
const LENGTH = units({
  'metre metres m': [1, 1], 'decimetre decimetres dm': [1, 10], 'centimetre centimetres cm cms centi': [1, 100],
  'millimetre millimetres mm mms': [1, 1000], 'micrometre micrometres micron microns µm μm': [1, 1e6], 'nanometre nanometres nm': [1, 1e9],
  'decametre decametres dekametre dekametres': [10, 1], 'hectometre hectometres': [100, 1], 'kilometre kilometres km kms': [1000, 1],
  'foot feet ft feat': [0.3048, 1], 'inch inches': [0.0254, 1], 'yard yards yd yds': [0.9144, 1], 'mile miles': [1609.344, 1],
  'fathom fathoms': [1.8288, 1], 'furlong furlongs': [201.168, 1],
})
const TIME = units({
  'second seconds sec secs s': [1, 1], 'millisecond milliseconds ms': [1, 1000], 'minute minutes min mins': [60, 1],
  'hour hours hr hrs h': [3600, 1], 'day days': [86_400, 1], 'week weeks': [604_800, 1], 'fortnight fortnights': [1_209_600, 1],
})
const TURN = units({ 'turn turns revolution revolutions rotation rotations circle circles': [360, 1] })
const ANGLE = units({
  'degree degrees deg degs': [1, 1], 'radian radians rad rads': [180, Math.PI], 'milliradian milliradians mrad': [180, Math.PI * 1000],
  'gradian gradians gon gons': [9, 10], 'arcminute arcminutes': [1, 60], 'arcsecond arcseconds': [1, 3600],
})
const SPEED = units({ 'kph kmh kmph': [1000, 3600], 'mph': [1609.344, 3600], 'mps': [1, 1], 'knot knots kn kt kts': [1852, 3600] })
const PERCENT = units({ 'percent pct': [1, 100] })
const NONE: ReadonlyMap<string, Factor> = new Map()
const SINGLE: Readonly<Record<Quantity, ReadonlyMap<string, Factor>>> = { length: LENGTH, angle: new Map([...ANGLE, ...TURN]), speed: SPEED, duration: TIME, fraction: PERCENT, count: NONE }
/** Units of two words. */
const DOUBLE: Readonly<Partial<Record<Quantity, Readonly<Record<string, Factor>>>>> = {
  length: { 'nautical mile': [1852, 1], 'nautical miles': [1852, 1], 'sea mile': [1852, 1], 'sea miles': [1852, 1] },
  angle: { 'arc minute': [1, 60], 'arc minutes': [1, 60], 'arc second': [1, 3600], 'arc seconds': [1, 3600] },
  fraction: { 'per cent': [1, 100] },
}

const UNITS: ReadonlySet<string> = new Set(Object.values(SINGLE).flatMap((table) => [...table.keys()]))
/** True for every word and sign that a unit of one word may be said or written with. */
export const isUnitWord = (word: string): boolean => UNITS.has(word)
/** Every such word. */
export const ALL_UNITS: readonly string[] = [...UNITS]

/** The units that are said and not only written, by what they measure. */
const WRITTEN_ONLY = /^(.|[^aeiou]+|cms|mms|µm|μm|kms|yds|secs?|mins?|hrs|deg|degs|rads?|mrad|gons?|kn|kts?|feat|centi)$/
export function saidUnits(quantity: Quantity): string[] {
  const single = [...SINGLE[quantity].keys()].filter((name) => !WRITTEN_ONLY.test(name))
  const perSecond = quantity === 'speed' ? [...LENGTH.keys()].filter((name) => !WRITTEN_ONLY.test(name)).map((name) => `${name} per second`) : []
  const perHour = quantity === 'speed' ? ['kilometres per hour', 'miles per hour', 'metres per minute'] : []
  return [...single, ...Object.keys(DOUBLE[quantity] ?? {}), ...perSecond, ...perHour]
}

/** Every word a unit may be said with. */
export const UNIT_WORDS: readonly string[] = [...new Set([...UNITS, 'per'])].filter((name) => name.length > 3)

const word = (tokens: readonly Token[], index: number): string => tokens[index]?.word ?? ''
const round = (value: number) => Number(value.toPrecision(12))
const COST = { homophone: 0.15, bare: 0.05, misspelt: 0.1 }

interface UnitFound { end: number; factor: Factor; cost: number }

/** A unit in a table, also misspelt by one letter when it is long enough that no other unit is near. */
function lookUp(table: ReadonlyMap<string, Factor>, tokens: readonly Token[], at: number): UnitFound | undefined {
  const name = word(tokens, at)
  // "Twenty. Metres …": the number of one sentence has not the unit of the next.
  if (tokens[at]?.apart === 'end') return undefined
  const factor = table.get(name)
  if (factor) return { end: at + 1, factor, cost: 0 }
  if (name.length < 5 || isNumberWord(name) || UNITS.has(name) || NEAR_WORDS.has(name)) return undefined
  const near = [...table].filter(([known]) => known.length >= 6 && known[0] === name[0] && editDistance(name, known, 1) === 1)
  const nearest = near[0]
  if (!nearest || near.some(([, other]) => other !== nearest[1])) return undefined
  return { end: at + 1, factor: nearest[1], cost: COST.misspelt }
}

function unit(quantity: Quantity, tokens: readonly Token[], at: number): UnitFound | undefined {
  const double = DOUBLE[quantity]
  const pair = `${word(tokens, at)} ${word(tokens, at + 1)}`
  if (double && Object.hasOwn(double, pair) && !tokens[at]!.apart && !tokens[at + 1]!.apart) return { end: at + 2, factor: double[pair]!, cost: 0 }
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
    if (found) {
      // "A second timer" may be one more of them.
      const isRank = word(tokens, at + 1) === 'second' && found.end < tokens.length && word(tokens, found.end) !== 'and'
      return andAHalf(tokens, { ...found, value: scaled(1, found.factor), ...(isRank && quantity === 'duration' ? { doubtful: true as const } : {}) })
    }
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
  const cost = found.cost + (number.homophone ? COST.homophone : 0)
  const whole = { ...found, value: scaled(number.value, found.factor), cost, ...(number.doubtful ? { doubtful: number.doubtful } : {}), ...(number.homophone ? { isHomophone: true as const } : {}) }
  return number.kind === 'integer' && number.value > 0 ? andAHalf(tokens, whole) : whole
}

/** "a metre and a half", "two hours and a quarter". */
function andAHalf(tokens: readonly Token[], found: QuantityFound & { factor: Factor }) {
  if (word(tokens, found.end) !== 'and' || word(tokens, found.end + 1) !== 'a' || tokens[found.end]!.apart) return found
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
  const doubt = number?.doubtful ? { doubtful: number.doubtful } : {}
  if (quantity === 'count') {
    const isCount = number?.kind === 'integer' && !number.homophone && Number.isInteger(number.value)
    return isCount ? [{ end: number.end, value: number.value, cost: 0, ...doubt }] : []
  }
  if (quantity === 'fraction' && number?.kind === 'fraction') return [{ end: number.end, value: round(number.value), cost: 0 }]
  const found: QuantityFound[] = []
  const first = simple(quantity, tokens, at)
  if (quantity === 'angle' && number && number.kind !== 'fraction' && !number.homophone && !first) found.push({ end: number.end, value: round(number.value), cost: COST.bare, ...doubt })
  if (!first) return found
  const add = (each: QuantityFound) => found.push({ end: each.end, value: round(each.value), cost: each.cost, ...(each.doubtful ? { doubtful: each.doubtful } : {}), ...(each.isHomophone ? { isHomophone: each.isHomophone } : {}) })
  add(first)
  if (quantity !== 'length' && quantity !== 'duration') return found
  // "two metres and fifty centimetres": each further part must have a smaller unit, and nothing may part them.
  let total = first
  for (let part = 0; part < 3; part++) {
    const from = word(tokens, total.end) === 'and' ? total.end + 1 : total.end
    if (tokens[total.end]?.apart || tokens[from]?.apart) break
    const next = /^(minus|negative|plus)$/.test(word(tokens, from)) ? undefined : simple(quantity, tokens, from)
    if (!next || next.cost >= COST.homophone || next.factor[0] / next.factor[1] >= total.factor[0] / total.factor[1]) break
    total = { ...total, end: next.end, value: total.value + Math.sign(total.value || 1) * next.value, cost: total.cost + next.cost, factor: next.factor }
    add(total)
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
  if (!begin.every(({ word: each }) => isNumberWord(each) || each === 'oh' || JOINTS.test(each) || SINGLE[quantity].has(each) || (quantity === 'speed' && (LENGTH.has(each) || TIME.has(each))))) return false
  const goOns = [...STEPS.flatMap((step) => GO_ON[quantity].map((unitWords) => `${step} ${unitWords}`)), ...(quantity === 'speed' ? ['second', 'per second'] : [])]
  return goOns.some((goOn) => {
    const words = goOn.split(' ').filter(Boolean).map((each) => ({ word: each, start: 0, end: 0 }))
    const whole = [...begin, ...words]
    return words.length > 0 && parseQuantity(quantity, whole, 0).some((found) => found.end === whole.length)
  })
}

/** The whole text as a quantity; a bare number takes the SI unit (percent for a fraction), except a duration and a bare fraction. For answers to a question. */
export function quantityAnswer(quantity: Quantity, tokens: readonly Token[]): number | undefined {
  const whole = parseQuantity(quantity, tokens, 0).find((found) => found.end === tokens.length)
  if (whole) return whole.doubtful ? undefined : whole.value
  const number = parseNumber(tokens, 0)
  if (!number || number.doubtful || number.end !== tokens.length || number.homophone || quantity === 'count') return undefined
  return quantity === 'fraction' && number.value > 1 ? round(number.value / 100) : round(number.value)
}
