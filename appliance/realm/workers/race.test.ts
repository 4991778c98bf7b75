import test from 'ava'
import { ManualClock } from '../../contracts/clock.ts'
import type { Code } from '../../contracts/codes.ts'
import { MtorError } from '../../contracts/errors.ts'
import type { Answer } from '../../inference/port.ts'
import { firstRight, type Place } from './race.ts'
import { poll } from './voting.ts'

/** Answers, or fails with a code, after so long on the clock; keeps whether it was cancelled. */
function placeOf<R>(clock: ManualClock, name: string, afterMs: number, outcome: { answer: R } | { code: Code }, p95Ms?: number): Place<R> & { log: string[]; signals: AbortSignal[] } {
  const log: string[] = [], signals: AbortSignal[] = []
  return {
    name, p95Ms, log, signals,
    run: (signal, remainingMs) => new Promise((resolve, reject) => {
      log.push(`asked at ${clock.monoMs() - 1_000} with ${remainingMs} left`)
      signals.push(signal)
      clock.setTimeout(() => { if ('answer' in outcome) resolve(outcome.answer); else reject(new MtorError(outcome.code, name)) }, afterMs)
    }),
  }
}
function race<R>(clock: ManualClock, places: readonly Place<R>[], more: { hedge?: boolean; deadlineMs?: number; most?: number; signal?: AbortSignal } = {}) {
  const hedged: string[] = []
  const answer = firstRight({ places, clock, what: 'm', deadlineMs: 1_000, hedge: false, most: 3, signal: undefined, onHedge: (slow) => { hedged.push(slow) }, ...more })
  answer.catch(() => { /* Looked at later. */ })
  return { answer, hedged }
}

test('the next is asked when one fails, with what is left of the deadline', async (t) => {
  const clock = new ManualClock()
  const a = placeOf<string>(clock, 'a', 100, { code: 'MODEL_UNAVAILABLE' }), b = placeOf(clock, 'b', 50, { answer: 'b' })
  const { answer } = race(clock, [a, b])
  await clock.advance(150)
  t.is(await answer, 'b')
  t.deepEqual([a.log, b.log], [['asked at 0 with 1000 left'], ['asked at 100 with 900 left']])
})

test('what breaks one after the other does not go round the whole realm', async (t) => {
  const clock = new ManualClock()
  const all = ['a', 'b', 'c', 'd'].map((name) => placeOf<string>(clock, name, 10, { code: 'MODEL_UNAVAILABLE' }))
  const { answer } = race(clock, all)
  await clock.advance(100)
  await t.throwsAsync(answer, { code: 'MODEL_UNAVAILABLE', message: 'c' })
  t.is(all[3]!.log.length, 0)
})

for (const code of ['IMAGE_INVALID', 'AUDIO_INVALID', 'POISON', 'USAGE'] as const) test(`${code} is an answer: nobody else is asked`, async (t) => {
  const clock = new ManualClock()
  const b = placeOf(clock, 'b', 10, { answer: 'b' })
  const { answer } = race(clock, [placeOf<string>(clock, 'a', 10, { code }), b])
  await clock.advance(100)
  await t.throwsAsync(answer, { code })
  t.is(b.log.length, 0)
})

test('a second is asked when the first has not answered by its p95; the first right answer counts, and the other is cancelled', async (t) => {
  const clock = new ManualClock()
  const a = placeOf(clock, 'a', 400, { answer: 'a' }, 120), b = placeOf(clock, 'b', 60, { answer: 'b' }, 60)
  const { answer, hedged } = race(clock, [a, b], { hedge: true })
  await clock.advance(119)
  t.is(b.log.length, 0)
  await clock.advance(81)
  t.is(await answer, 'b')
  t.deepEqual(hedged, ['a'])
  t.deepEqual([a.signals[0]!.aborted, b.signals[0]!.aborted], [true, false])
})

test('the first may still win; where its pace is unknown or long, the second has its chance by half the deadline', async (t) => {
  const clock = new ManualClock()
  const a = placeOf(clock, 'a', 600, { answer: 'a' }, 10_000), b = placeOf(clock, 'b', 300, { answer: 'b' })
  const { answer, hedged } = race(clock, [a, b], { hedge: true })
  await clock.advance(700)
  t.is(await answer, 'a')
  t.deepEqual([hedged, b.log], [['a'], ['asked at 500 with 500 left']])
  t.true(b.signals[0]!.aborted)
})

test('while a second is at it, that the first fails is no end', async (t) => {
  const clock = new ManualClock()
  const { answer } = race(clock, [placeOf<string>(clock, 'a', 200, { code: 'NODE_UNREACHABLE' }, 100), placeOf(clock, 'b', 300, { answer: 'b' })], { hedge: true })
  await clock.advance(500)
  t.is(await answer, 'b')
})

test('by the deadline there is an answer or an error, and nobody is left at it', async (t) => {
  const clock = new ManualClock()
  const a = placeOf(clock, 'a', 5_000, { answer: 'a' })
  const { answer } = race(clock, [a])
  await clock.advance(1_000)
  await t.throwsAsync(answer, { code: 'DEADLINE' })
  t.true(a.signals[0]!.aborted)
})

test('who aborts has everybody dropped', async (t) => {
  const clock = new ManualClock()
  const controller = new AbortController()
  const a = placeOf(clock, 'a', 500, { answer: 'a' }, 50), b = placeOf(clock, 'b', 500, { answer: 'b' })
  const { answer } = race(clock, [a, b], { hedge: true, signal: controller.signal })
  await clock.advance(100)
  controller.abort()
  await t.throwsAsync(answer, { code: 'CANCELLED' })
  t.deepEqual([...a.signals, ...b.signals].map(({ aborted }) => aborted), [true, true])
})

const said = (text: string) => ({ answer: { output: { text, lines: [] } } as unknown as Answer<'read'> })
const vote = (clock: ManualClock, places: readonly Place<Answer<'read'>>[], asked = places.length) => {
  const polled = poll({ task: 'read', model: 'm', input: {}, places, asked, clock, deadlineMs: 1_000, signal: undefined })
  polled.catch(() => { /* Looked at later. */ })
  return polled
}

test('a majority does not wait for a node that hangs, but as long again as it took, for who says otherwise', async (t) => {
  const clock = new ManualClock()
  const c = placeOf(clock, 'c', 900, said('other'))
  const polled = vote(clock, [placeOf(clock, 'a', 100, said('red')), placeOf(clock, 'b', 200, said('red')), c])
  await clock.advance(399)
  t.false(c.signals[0]!.aborted)
  await clock.advance(2)
  t.like(await polled, { agreed: 2, dissenters: [], lost: 1 })
  t.true(c.signals[0]!.aborted)
})

test('a vote that comes within that time is counted', async (t) => {
  const clock = new ManualClock()
  const polled = vote(clock, [placeOf(clock, 'a', 100, said('red')), placeOf(clock, 'b', 200, said('red')), placeOf(clock, 'c', 300, said('other'))])
  await clock.advance(400)
  t.like(await polled, { agreed: 2, dissenters: ['c'], lost: 0 })
})

test('lost votes count against a majority; where all are lost the last error is told', async (t) => {
  const clock = new ManualClock()
  const lost = (name: string) => placeOf<Answer<'read'>>(clock, name, 10, { code: 'NODE_UNREACHABLE' })
  const one = vote(clock, [placeOf(clock, 'a', 10, said('red')), lost('b'), lost('c')])
  const none = vote(clock, [lost('a'), lost('b')])
  await clock.advance(20)
  await t.throwsAsync(one, { code: 'NO_MAJORITY' })
  await t.throwsAsync(none, { code: 'NODE_UNREACHABLE' })
})

test('one node that refuses the input does not end a vote; all that do, do', async (t) => {
  const clock = new ManualClock()
  const refuses = (name: string) => placeOf<Answer<'read'>>(clock, name, 10, { code: 'IMAGE_INVALID' })
  const two = vote(clock, [refuses('a'), placeOf(clock, 'b', 20, said('red')), placeOf(clock, 'c', 20, said('red'))])
  const all = vote(clock, [refuses('a'), refuses('b')])
  await clock.advance(30)
  t.like(await two, { agreed: 2, lost: 1 })
  await t.throwsAsync(all, { code: 'IMAGE_INVALID' })
})
