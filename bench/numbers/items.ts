import { digits, whole } from './words.ts'

export const NUMBER_KINDS = [
  'small',
  'teens',
  'tens',
  'tens and ones',
  'hundreds',
  'decimals',
  'fractions',
  'units',
] as const
export type NumberKind = (typeof NUMBER_KINDS)[number]

/** A command with a number in it, and what it must come to. The values are worked out here, by no code of the box. */
export interface NumberItem {
  text: string
  kind: NumberKind
  type: string
  slots: Record<string, unknown>
}

/** A number as it is said, and what it is. */
interface Spoken {
  kind: NumberKind
  words: string
  value: number
}

/** A quantity as it is said, in SI units (a fraction of 1 for percent). */
type Quantity = Spoken

interface Frame {
  type: string
  before: string
  after?: string
  slots(value: number): Record<string, unknown>
}

const LENGTH_FRAMES: Frame[] = [
  ...['drive forward', 'go forward', 'move ahead'].map((before) => ({
    type: 'drive.move',
    before,
    slots: (distanceM: number) => ({ distanceM }),
  })),
  ...['drive back', 'reverse'].map((before) => ({
    type: 'drive.move',
    before,
    slots: (value: number) => ({ distanceM: -value }),
  })),
]
const ANGLE_FRAMES: Frame[] = [
  ...['turn left', 'rotate left'].map((before) => ({
    type: 'drive.turn',
    before,
    slots: (angleDeg: number) => ({ angleDeg }),
  })),
  ...['turn right', 'spin right'].map((before) => ({
    type: 'drive.turn',
    before,
    slots: (value: number) => ({ angleDeg: -value }),
  })),
]
const SPEED_FRAMES: Frame[] = ['set the speed to', 'drive at'].map((before) => ({
  type: 'drive.speed',
  before,
  slots: (speedMps) => ({ speedMps }),
}))
const LIGHT_FRAMES: Frame[] = ['dim the lights to', 'set the brightness to'].map((before) => ({
  type: 'light.set',
  before,
  slots: (brightness) => ({ on: true, brightness }),
}))
const TIMER_FRAMES: Frame[] = ['set a timer for', 'start a timer for'].map((before) => ({
  type: 'timer.set',
  before,
  slots: (durationS) => ({ durationS }),
}))

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

function kindOf(n: number): NumberKind {
  if (n >= 100) return 'hundreds'
  if (n >= 13 && n <= 19) return 'teens'
  if (n < 13) return 'small'
  return n % 10 === 0 ? 'tens' : 'tens and ones'
}

/** 1 to 99, and hundreds in the ways people say them. */
const WHOLE: Spoken[] = range(1, 99).map((value) => ({ kind: kindOf(value), words: whole(value), value }))
const HUNDREDS: Spoken[] = [
  100, 105, 110, 112, 113, 115, 120, 130, 140, 150, 165, 180, 190, 200, 215, 250, 270, 300, 315, 350, 360, 400, 450,
  500, 540, 600, 720,
].flatMap((value) =>
  [{}, { and: false }, { a: true }].map((manner) => ({
    kind: 'hundreds' as const,
    words: whole(value, manner),
    value,
  })),
)
const HUNDREDS_TO_100 = HUNDREDS.filter(({ value }) => value === 100)

/** "two point oh five", "point five": the digits behind the point one by one. */
function decimal(text: string, nought: 'oh' | 'zero', leading: '' | 'zero '): Spoken {
  const [before, behind = ''] = text.split('.')
  const front = before === '0' ? leading : `${whole(Number(before))} `
  return { kind: 'decimals', words: `${front}point ${digits(behind, nought)}`, value: Number(text) }
}
const DECIMAL_TEXTS = [
  '0.5',
  '0.2',
  '0.8',
  '0.25',
  '0.75',
  '0.05',
  '0.01',
  '0.15',
  '1.5',
  '1.2',
  '1.7',
  '1.25',
  '1.05',
  '1.08',
  '2.5',
  '2.05',
  '2.4',
  '2.75',
  '3.5',
  '3.14',
  '3.05',
  '4.5',
  '4.2',
  '5.5',
  '5.01',
  '6.25',
  '7.5',
  '8.3',
  '9.9',
  '10.5',
  '12.5',
  '13.5',
  '15.2',
  '20.5',
  '22.5',
  '30.5',
  '40.5',
  '50.25',
]
const DECIMALS: Spoken[] = DECIMAL_TEXTS.flatMap((text) => [
  decimal(text, 'oh', ''),
  decimal(text, 'zero', ''),
  decimal(text, 'oh', 'zero '),
  decimal(text, 'zero', 'zero '),
])

/** Halves and quarters of a unit: "half a metre", "a metre and a half", "two and a half metres". */
function fractions(one: string, many: string, article: 'a' | 'an', size: number): Quantity[] {
  const all: [string, number][] = [
    [`half ${article} ${one}`, 0.5],
    [`a quarter of ${article} ${one}`, 0.25],
    [`three quarters of ${article} ${one}`, 0.75],
    [`${article} ${one} and a half`, 1.5],
    [`one and a half ${many}`, 1.5],
    [`one and a quarter ${many}`, 1.25],
    [`two and three quarter ${many}`, 2.75],
    ...range(2, 12).map((n): [string, number] => [`${whole(n)} and a half ${many}`, n + 0.5]),
    ...range(13, 16).map((n): [string, number] => [`${whole(n)} and a half ${many}`, n + 0.5]),
  ]
  return all.map(([words, value]) => ({ kind: 'fractions', words, value: value * size }))
}

/** Numbers of one unit. @param kind of another unit than the usual one: 'units' */
function inUnit(numbers: readonly Spoken[], one: string, many: string, size: number, kind?: NumberKind): Quantity[] {
  return numbers.map((number) => ({
    kind: kind ?? number.kind,
    words: `${number.words} ${number.value === 1 ? one : many}`,
    value: number.value * size,
  }))
}

const some = (values: readonly number[]): Spoken[] =>
  values.map((value) => ({ kind: kindOf(value), words: whole(value), value }))
const above =
  (least: number, most: number) =>
  ({ value }: Spoken) =>
    value >= least && value <= most

const LENGTHS: Quantity[] = [
  ...inUnit([...WHOLE, ...HUNDREDS_TO_100, ...DECIMALS], 'metre', 'metres', 1),
  ...fractions('metre', 'metres', 'a', 1),
  ...inUnit(
    some([1, 2, 5, 10, 12, 13, 15, 20, 30, 35, 40, 50, 60, 75, 80, 90, 100, 150]),
    'centimetre',
    'centimetres',
    0.01,
    'units',
  ),
  ...inUnit(some([5, 10, 20, 50, 80, 100, 250, 500]), 'millimetre', 'millimetres', 0.001, 'units'),
  ...inUnit([...some([1, 2]), decimal('0.5', 'oh', 'zero ')], 'kilometre', 'kilometres', 1000, 'units'),
  ...inUnit(some([1, 2, 3, 5, 6, 8, 10, 12, 15, 20, 30, 50]), 'foot', 'feet', 0.3048, 'units'),
  ...inUnit(some([1, 2, 4, 6, 8, 10, 12, 18, 20]), 'inch', 'inches', 0.0254, 'units'),
  ...inUnit(some([1, 2, 3, 5, 10, 20, 50]), 'yard', 'yards', 0.9144, 'units'),
  { kind: 'units', words: 'five feet six inches', value: 5 * 0.3048 + 6 * 0.0254 },
  { kind: 'units', words: 'two metres and fifty centimetres', value: 2.5 },
  { kind: 'units', words: 'one metre twenty centimetres', value: 1.2 },
  { kind: 'units', words: 'half a kilometre', value: 500 },
  { kind: 'units', words: 'half a foot', value: 0.1524 },
]
const ANGLES: Quantity[] = [
  ...inUnit([...WHOLE, ...HUNDREDS, ...DECIMALS.filter(above(1, 90))], 'degree', 'degrees', 1),
  ...range(2, 22).map((n): Quantity => ({
    kind: 'fractions',
    words: `${whole(n)} and a half degrees`,
    value: n + 0.5,
  })),
  ...(
    [
      ['a quarter turn', 90],
      ['half a turn', 180],
      ['three quarters of a turn', 270],
      ['one turn', 360],
      ['two turns', 720],
      ['one and a half turns', 540],
      ['a full turn', 360],
    ] as const
  ).map(([words, value]): Quantity => ({ kind: 'units', words, value })),
]
const SPEEDS: Quantity[] = [
  ...inUnit([...some([1, 2]), ...DECIMALS.filter(above(0.05, 2))], 'metre per second', 'metres per second', 1),
  { kind: 'fractions', words: 'half a metre per second', value: 0.5 },
  { kind: 'fractions', words: 'a quarter of a metre per second', value: 0.25 },
  { kind: 'fractions', words: 'one and a half metres per second', value: 1.5 },
  ...inUnit(
    some([5, 10, 12, 13, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 100, 150]),
    'centimetre per second',
    'centimetres per second',
    0.01,
    'units',
  ),
  ...inUnit(some([1, 2, 3, 5, 6]), 'kilometre per hour', 'kilometres per hour', 1 / 3.6, 'units'),
]
const PERCENTS: Quantity[] = inUnit([...WHOLE, ...HUNDREDS_TO_100], 'percent', 'percent', 0.01)
const DURATIONS: Quantity[] = [
  ...inUnit([...WHOLE, ...HUNDREDS], 'second', 'seconds', 1),
  ...inUnit(WHOLE, 'minute', 'minutes', 60),
  ...inUnit(some([1, 2, 3, 8, 12, 13, 15, 20, 24]), 'hour', 'hours', 3600, 'units'),
  ...fractions('minute', 'minutes', 'a', 60),
  ...fractions('hour', 'hours', 'an', 3600),
  { kind: 'units', words: 'one hour and thirty minutes', value: 5400 },
  { kind: 'units', words: 'three minutes and twenty seconds', value: 200 },
  { kind: 'units', words: 'two hours fifteen minutes', value: 8100 },
]

const framed = (frames: readonly Frame[], quantities: readonly Quantity[]): NumberItem[] =>
  frames.flatMap(({ type, before, after = '', slots }) =>
    quantities.map(({ kind, words, value }) => ({
      text: `${before} ${words}${after}`,
      kind,
      type,
      slots: slots(value),
    })),
  )

/** Every sentence there is, each once. */
export function numberItems(): NumberItem[] {
  const all = [
    ...framed(LENGTH_FRAMES, LENGTHS),
    ...framed(ANGLE_FRAMES, ANGLES),
    ...framed(SPEED_FRAMES, SPEEDS),
    ...framed(LIGHT_FRAMES, PERCENTS),
    ...framed(TIMER_FRAMES, DURATIONS),
  ]
  return [...new Map(all.map((item) => [item.text, item])).values()]
}
