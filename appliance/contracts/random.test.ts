import test from 'ava'
import { mulberry32 } from './random.ts'

test('mulberry32 is even over 0 to 1', (t) => {
  const random = mulberry32(42)
  const bins = new Array<number>(10).fill(0)
  for (let i = 0; i < 10_000; i++) { const bin = Math.floor(random() * 10); bins[bin] = bins[bin]! + 1 }
  for (const count of bins) t.true(count > 850 && count < 1150, bins.join(' '))
})
