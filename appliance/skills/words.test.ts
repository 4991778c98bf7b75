import test from 'ava'
import fc from 'fast-check'
import { dayOf, duration, list, number, percent, quantity, timeOfDay } from './words.ts'

test('numbers are spoken without trailing zeros, exponents or signs', (t) => {
  t.is(number(2.5), '2.5')
  t.is(number(2), '2')
  t.is(number(-3.14159), 'minus 3.14')
  t.is(number(-0.001), '0')
  t.is(number(1.005e-9), '0')
  t.is(number(Number.NaN), 'unknown')
})

test('a number spoken and read back is the number within its rounding', (t) => {
  t.notThrows(() => fc.assert(fc.property(fc.double({ min: -1e6, max: 1e6, noNaN: true }), (value) => {
    const spoken = number(value)
    if (!/^(minus )?\d+(\.\d{1,2})?$/.test(spoken)) return false
    const back = Number(spoken.replace('minus ', '-'))
    return Math.abs(back - value) <= 0.00501
  })))
  t.is(number(123456.789), '123456.79')
})

test('only exactly one is singular, as it is spoken', (t) => {
  t.is(quantity(1, 'metre'), '1 metre')
  t.is(quantity(1.001, 'metre'), '1 metre')
  t.is(quantity(-1, 'degree Celsius'), 'minus 1 degree Celsius')
  t.is(quantity(0, 'metre'), '0 metres')
  t.is(quantity(0.5, 'metre per second'), '0.5 metres per second')
})

test('percentages, lists, time and day', (t) => {
  t.is(percent(0.804), '80 percent')
  t.is(percent(0.001), 'less than 1 percent')
  t.is(percent(0), '0 percent')
  t.is(list(['a', 'b', 'c']), 'a, b and c')
  t.is(list(['a', 'b'], 'or'), 'a or b')
  t.is(list([]), 'nothing')
  const then = new Date(2026, 2, 4, 7, 5).getTime()
  t.is(timeOfDay(then), '07:05')
  t.is(dayOf(then), '4 March 2026')
})

test('durations are spoken in full, or rounded to the largest units', (t) => {
  t.is(duration(200), '3 minutes and 20 seconds')
  t.is(duration(3_661), '1 hour, 1 minute and 1 second')
  t.is(duration(86_399, 2), '1 day')
  t.is(duration(90_061, 2), '1 day and 1 hour')
  t.is(duration(0.2), 'less than a second')
  t.is(duration(0), '0 seconds')
})

test('a duration read back is the duration, to the second', (t) => {
  const size: Record<string, number> = { day: 86_400, hour: 3_600, minute: 60, second: 1 }
  const readBack = (text: string) => text.split(/, | and /).reduce((sum, part) => {
    const [, count, unit] = /^(\d+) (day|hour|minute|second)s?$/.exec(part)!
    return sum + Number(count) * size[unit!]!
  }, 0)
  t.notThrows(() => fc.assert(fc.property(fc.double({ min: 1, max: 8 * 86_400, noNaN: true }), fc.integer({ min: 1, max: 4 }), (seconds, units) => {
    const spoken = duration(seconds, units)
    const back = readBack(spoken)
    return units === 4 ? back === Math.round(seconds) : Math.abs(back - seconds) <= seconds / 2 + 1 && spoken.split(/, | and /).length <= units
  })))
})
