import test from 'ava'
import { LimitWatch, type LimitOptions } from './limit-watch.ts'

const watch = (more: Partial<LimitOptions> = {}) => new LimitWatch({ above: 10, count: 3, hysteresis: 1, rearm: 'recovery', rearmMs: 1000, ...more })
/** What each reading, one every 100 ms, changes. */
const through = (limit: LimitWatch, ...values: number[]) => values.map((value, at) => limit.take(value, at * 100) ?? '-').join(' ')

test('only so many readings in a row are a violation, told once', (t) => {
  t.is(through(watch(), 11, 11, 9, 11, 11, 11, 12, 13), '- - - - - violated - -')
})
test('the limit itself is not beyond it', (t) => { t.is(through(watch({ count: 1 }), 10, 10.001), '- violated') })
test('it is back only after as many readings inside by the hysteresis', (t) => {
  t.is(through(watch({ count: 2 }), 11, 11, 9.5, 9.5, 9.5, 8, 8), '- violated - - - - recovered')
})
test('between limit and hysteresis the count for the recovery starts again', (t) => {
  t.is(through(watch({ count: 2 }), 11, 11, 8, 9.5, 8, 8), '- violated - - - recovered')
})
test('after a recovery the next violation is told again', (t) => {
  t.is(through(watch({ count: 1 }), 11, 8, 11), 'violated recovered violated')
})
test('below works as above does, upside down', (t) => {
  t.is(through(watch({ above: undefined, below: 0.2, hysteresis: 0.05, count: 2 }), 0.19, 0.18, 0.22, 0.26, 0.26), '- violated - - recovered')
})
test('a range has both sides', (t) => { t.is(through(watch({ below: 2, count: 1 }), 1, 5, 11), 'violated recovered violated') })
test('rearmed by time it is told again while it lasts', (t) => {
  const limit = watch({ count: 1, rearm: 'time', rearmMs: 300 })
  t.is(through(limit, 11, 11, 11, 11, 11, 11, 11), 'violated - - violated - - violated')
})
test('rearmed by hand it stays silent over recoveries', (t) => {
  const limit = watch({ count: 1, rearm: 'manual' })
  t.is(through(limit, 11, 8, 11), 'violated recovered -')
  limit.rearm()
  t.is(through(limit, 11), 'violated')
})
