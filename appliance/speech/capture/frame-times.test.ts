import test from 'ava'
import fc from 'fast-check'
import { FrameTimes } from './frame-times.ts'

test('late reads do not move the times: they stay within the least delay of the truth', (t) => {
  fc.assert(fc.property(fc.array(fc.nat({ max: 200 }), { minLength: 200, maxLength: 400 }), (delays) => {
    const times = new FrameTimes(32)
    delays.forEach((delay, i) => {
      const punctual = i % 10 === 0
      const end = times.next(1_000 + i * 32 + (punctual ? 0 : delay))
      if (i > 0) t.is(end, 1_000 + i * 32)
    })
  }), { numRuns: 30 })
})

test('times never run backwards and never lie after the read', (t) => {
  fc.assert(fc.property(fc.array(fc.nat({ max: 500 }), { minLength: 2, maxLength: 300 }), (gaps) => {
    const times = new FrameTimes(32)
    let readAt = 0
    let last = -Infinity
    for (const gap of gaps) {
      readAt += gap
      const end = times.next(readAt)
      t.true(end >= last && end <= readAt)
      last = end
    }
  }), { numRuns: 100 })
})

test('a late first read is made good by the first punctual one', (t) => {
  const times = new FrameTimes(32)
  times.next(1_500)
  for (let i = 1; i < 10; i++) times.next(1_000 + i * 32 < 1_500 ? 1_500 : 1_000 + i * 32)
  t.is(times.next(1_000 + 16 * 32), 1_512)
  t.is(times.next(1_000 + 17 * 32 + 20), 1_544)
})

test('after lost samples the times follow within two seconds', (t) => {
  const times = new FrameTimes(32)
  for (let i = 0; i < 100; i++) times.next(i * 32)
  for (let i = 100; i < 230; i++) times.next(i * 32 + 700)
  t.is(times.next(230 * 32 + 700), 230 * 32 + 700)
})

test('a device clock that is 200 ppm slow or fast is followed', (t) => {
  for (const ppm of [-200, 200]) {
    const times = new FrameTimes(32)
    const frameMs = 32 * (1 + ppm / 1e6)
    for (let i = 0; i < 20_000; i++) t.true(Math.abs(times.next(i * frameMs) - i * frameMs) < 1)
  }
})
