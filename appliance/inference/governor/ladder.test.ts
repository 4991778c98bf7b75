import test from 'ava'
import fc from 'fast-check'
import { Ladder } from './ladder.ts'

const aboveC = [75, 82, 88]
const make = () => new Ladder({ aboveC, hysteresisC: 4, holdMs: 10_000 })

test('up at once, over several steps if need be; down one step at a time, each after its hold', (t) => {
  const ladder = make()
  const levels = ([[0, 60], [1, 75], [2, 90], [3, 60], [10_002, 60], [10_003, 60], [20_003, 60], [20_004, 60], [30_004, 60], [40_004, 60], [50_004, 60]] as const).map(([nowMs, temperatureC]) => ladder.next(nowMs, { temperatureC }))
  t.deepEqual(levels, [0, 1, 3, 3, 3, 2, 2, 2, 1, 1, 0])
})

test('within the hysteresis a step is held for ever, and a swing through it begins the hold anew', (t) => {
  const ladder = make()
  ladder.next(0, { temperatureC: 76 })
  for (let ms = 1_000; ms < 100_000; ms += 1_000) t.is(ladder.next(ms, { temperatureC: 71.1 }), 1)
  t.is(ladder.next(100_000, { temperatureC: 71 }), 1)
  t.is(ladder.next(109_000, { temperatureC: 71.2 }), 1)
  t.is(ladder.next(110_000, { temperatureC: 70 }), 1)
  t.is(ladder.next(119_999, { temperatureC: 70 }), 1)
  t.is(ladder.next(120_000, { temperatureC: 70 }), 0)
})

test('another reason is one step more, never beyond the last, also without a temperature', (t) => {
  const ladder = make()
  t.is(ladder.next(0, { alsoBecause: 'the kernel throttles' }), 1)
  t.is(ladder.next(1, { temperatureC: 83, alsoBecause: 'the kernel throttles' }), 3)
  t.is(ladder.next(2, { temperatureC: 99, alsoBecause: 'the kernel throttles' }), 3)
  const other = make()
  other.next(0, { alsoBecause: 'low' })
  t.is(other.next(1_000, {}), 1)
  t.is(other.next(11_000, {}), 0)
})

test('where no temperature was ever read nothing is lowered; gone blind while hot the step stays', (t) => {
  const ladder = make()
  t.is(ladder.next(0, {}), 0)
  t.is(ladder.next(1, { temperatureC: 85 }), 2)
  t.is(ladder.next(3_600_000, {}), 2)
  t.is(ladder.next(3_600_001, { temperatureC: 50 }), 2)
  t.is(ladder.next(3_610_001, { temperatureC: 50 }), 1)
})

test('property: a temperature that swings by less than the hysteresis changes the step at most once, whatever came before', (t) => {
  const temperatures = fc.double({ min: 20, max: 110, noNaN: true })
  t.notThrows(() => fc.assert(fc.property(fc.array(temperatures, { maxLength: 20 }), temperatures, fc.array(fc.tuple(fc.double({ min: 0, max: 3.999, noNaN: true }), fc.integer({ min: 1, max: 30_000 })), { minLength: 1, maxLength: 60 }), (before, base, swings) => {
    const ladder = make()
    let nowMs = 0
    for (const temperatureC of before) ladder.next(nowMs += 2_000, { temperatureC })
    const levels = swings.map(([aboveBaseC, afterMs]) => ladder.next(nowMs += afterMs, { temperatureC: base + aboveBaseC }))
    // It may still climb to where it belongs, or come down from what was before, but never turn round.
    const directions = levels.slice(1).map((level, i) => Math.sign(level - levels[i]!)).filter((direction) => direction !== 0)
    return new Set(directions).size <= 1
  }), { numRuns: 2_000 }))
})

test('property: the step is never below what the temperature asks for now, and never above what it asked for since the last time it was cool enough', (t) => {
  const asked = (temperatureC: number) => aboveC.filter((limit) => temperatureC >= limit).length
  t.notThrows(() => fc.assert(fc.property(fc.array(fc.tuple(fc.double({ min: 20, max: 110, noNaN: true }), fc.integer({ min: 1, max: 30_000 })), { maxLength: 80 }), (readings) => {
    const ladder = make()
    let nowMs = 0
    let highest = 0
    return readings.every(([temperatureC, afterMs]) => {
      const level = ladder.next(nowMs += afterMs, { temperatureC })
      highest = Math.max(highest, asked(temperatureC))
      return level >= asked(temperatureC) && level <= highest
    })
  }), { numRuns: 2_000 }))
})
