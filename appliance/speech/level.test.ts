import test from 'ava'
import { levelDb } from './level.ts'

test('a full square wave is 0 dB, half of it 6 dB less, silence and nothing the softest there is', (t) => {
  const square = (height: number) => Int16Array.from({ length: 512 }, (_, i) => i % 2 ? height : -height)
  t.is(Math.round(levelDb(square(32_767)) * 100) / 100, -0)
  t.is(Math.round(levelDb(square(16_384)) * 100) / 100, -6.02)
  t.is(levelDb(new Int16Array(512)), -96)
  t.is(levelDb(new Int16Array(0)), -96)
})
