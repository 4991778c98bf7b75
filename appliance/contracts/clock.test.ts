import test from 'ava'
import { readFileSync } from 'node:fs'
import { bootId, ManualClock, systemClock } from './clock.ts'

test('advancing fires what falls due, in order of time, with the time it was due', async (t) => {
  const clock = new ManualClock(0)
  const fired: string[] = []
  clock.setTimeout(() => fired.push(`b at ${clock.monoMs()}`), 20)
  clock.setTimeout(() => fired.push(`a at ${clock.monoMs()}`), 10)
  clock.setTimeout(() => fired.push('late'), 31)
  await clock.advance(30)
  t.deepEqual(fired, ['a at 10', 'b at 20'])
  t.is(clock.monoMs(), 30)
})

test('a timer that sets the next one keeps its period over a long advance', async (t) => {
  const clock = new ManualClock(0)
  const at: number[] = []
  const beat = () => { at.push(clock.monoMs()); clock.setTimeout(beat, 100) }
  clock.setTimeout(beat, 100)
  await clock.advance(450)
  t.deepEqual(at, [100, 200, 300, 400])
})

test('a cleared timer stays silent, and clearing nothing is fine', async (t) => {
  const clock = new ManualClock()
  let fired = false
  const timer = clock.setTimeout(() => { fired = true }, 5)
  clock.clearTimeout(timer)
  clock.clearTimeout(undefined)
  await clock.advance(10)
  t.false(fired)
})

test('promises settle between two timers', async (t) => {
  const clock = new ManualClock()
  const steps: string[] = []
  clock.setTimeout(() => { void Promise.resolve().then(() => steps.push('settled')) }, 1)
  clock.setTimeout(() => steps.push('second'), 2)
  await clock.advance(2)
  t.deepEqual(steps, ['settled', 'second'])
})

test('wall time moves with the clock, and a board without a clock has none', async (t) => {
  const clock = new ManualClock(0, 5_000)
  await clock.advance(7)
  t.is(clock.wallMs(), 5_007)
  t.is(new ManualClock(0, undefined).wallMs(), undefined)
})

test('the system clock counts from boot, as other processes of the board do', (t) => {
  const beforeMs = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000
  // Uptime has hundredths of a second and counts suspend, which CLOCK_MONOTONIC does not.
  t.true(systemClock.monoMs() <= beforeMs + 5_000)
  t.regex(bootId(), /^[0-9a-f-]{36}$/)
})
