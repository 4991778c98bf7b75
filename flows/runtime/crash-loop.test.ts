import test from 'ava'
import { CrashLoop } from './crash-loop.ts'

test('three ends within a minute are a crash loop, two are not, nor three further apart', (t) => {
  const crashes = new CrashLoop()
  t.deepEqual([0, 30_000, 60_000, 60_001].map((atMs) => crashes.ended(atMs)), [false, false, false, true])
  t.false(crashes.ended(60_002), 'counting begins anew')
})

test('pauses grow with each crash loop, to a minute, and are gone after calm', (t) => {
  const crashes = new CrashLoop()
  const pauses = Array.from({ length: 9 }, () => { for (let i = 0; i < 3; i++) crashes.ended(0); return crashes.pauseMs })
  t.deepEqual(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000])
  crashes.calm()
  t.is(crashes.pauseMs, 0)
  t.deepEqual([1, 2].map((atMs) => crashes.ended(atMs)), [false, false])
})
