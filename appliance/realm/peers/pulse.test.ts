import test from 'ava'
import { ManualClock } from '../../contracts/clock.ts'
import { Pulse } from './pulse.ts'

const WALL = Date.UTC(2026, 5, 1)
const OPTIONS = { heartbeatMs: 100, offlineAfterMs: 500 }

/** Two ends; what one says the other hears after `delayMs`, unless that way is cut. */
function ends({ delayMs = 0, aheadMs = 0, wall = true } = {}) {
  const clock = new ManualClock(1_000, WALL)
  const other = { monoMs: () => clock.monoMs() + 5_000, wallMs: () => wall ? clock.wallMs()! + aheadMs : undefined, setTimeout: clock.setTimeout.bind(clock), clearTimeout: clock.clearTimeout.bind(clock) }
  const [a, b] = [new Pulse({ clock, ...OPTIONS }), new Pulse({ clock: other, ...OPTIONS })]
  const cut = { ab: false, ba: false }
  const beat = async () => {
    const [fromA, fromB] = [a.next(0), b.next(0)]
    await clock.advance(delayMs)
    if (!cut.ab) { b.heard(); b.take(fromA) }
    if (!cut.ba) { a.heard(); a.take(fromB) }
    await clock.advance(OPTIONS.heartbeatMs - delayMs)
    return [a.trouble(), b.trouble()]
  }
  return { a, b, clock, cut, beat }
}

test('time there and back is measured, without the time the other took to answer', async (t) => {
  const { a, b, beat } = ends({ delayMs: 10 })
  for (let i = 0; i < 20; i++) t.deepEqual(await beat(), [undefined, undefined])
  t.is(Math.round(a.rttMs!), 20)
  t.is(Math.round(b.rttMs!), 20)
})

test('both ends know how far their wall clocks are apart, and that one is not known good', async (t) => {
  const { a, b, beat } = ends({ delayMs: 10, aheadMs: 3_600_000 })
  for (let i = 0; i < 20; i++) await beat()
  t.is(Math.round(a.offsetMs!), 3_600_000)
  t.is(Math.round(b.offsetMs!), -3_600_000)
  t.is(Math.round(b.peerClock!.offsetSeenThereMs!), 3_600_000, 'b is told how it is seen')
  const without = ends({ wall: false })
  for (let i = 0; i < 3; i++) await without.beat()
  t.is(without.a.offsetMs, undefined)
  t.deepEqual(without.a.peerClock, { good: false })
})

test('when nothing comes the other is silent, after the time that was set and not before', async (t) => {
  const { a, b, cut, beat } = ends()
  await beat()
  cut.ab = cut.ba = true
  for (let i = 0; i < 4; i++) t.deepEqual(await beat(), [undefined, undefined])
  let said: unknown[] = []
  for (let i = 0; i < 3; i++) said = await beat()
  t.deepEqual(said, ['silent', 'silent'])
  t.true(a.silentMs > 500 && b.silentMs > 500)
})

test('when one way is cut, one end is silent to the other, and the other knows that it is not heard', async (t) => {
  const { cut, beat } = ends()
  for (let i = 0; i < 3; i++) await beat()
  cut.ab = true
  let said: unknown[] = []
  for (let i = 0; i < 7; i++) said = await beat()
  t.deepEqual(said, ['unheard', 'silent'])
})

test('a slow link is not a cut one', async (t) => {
  const clock = new ManualClock()
  const [a, b] = [new Pulse({ clock, ...OPTIONS }), new Pulse({ clock, ...OPTIONS })]
  // 400 ms each way: a beat is confirmed 800 ms after it was sent.
  for (const one of [a, b]) one.begin()
  for (let i = 0; i < 30; i++) {
    for (const [from, to] of [[a, b], [b, a]] as const) { const beat = from.next(0); clock.setTimeout(() => { to.heard(); to.take(beat) }, 400) }
    await clock.advance(100)
    if (i > 12) t.deepEqual([a.trouble(), b.trouble()], [undefined, undefined], `beat ${i}`)
  }
  t.true(a.rttMs! > 700)
})

test('a process that was stopped itself hears what has come meanwhile before it gives anybody up', async (t) => {
  const { a, clock, beat } = ends()
  await beat()
  await clock.advance(60_000)
  t.is(a.trouble(), undefined, 'its first turn')
  a.heard()
  await clock.advance(100)
  t.is(a.trouble(), undefined)
})

test('a beat that cannot be true is malformed', (t) => {
  const { a } = ends()
  for (const bad of [{}, { s: 0 }, { s: 1.5 }, { s: '1' }, { s: 1, w: 'now' }, { s: 1, o: null }, { s: 2, e: 1, d: 0 }, { s: 2, e: 0 }, { s: 3, e: 9 }]) t.throws(() => a.take({ t: 'beat', ...bad }), { code: 'MALFORMED' }, JSON.stringify(bad))
  a.take({ t: 'beat', s: 10 })
  t.throws(() => a.take({ t: 'beat', s: 10 }), { code: 'MALFORMED' }, 'repeated')
})
