import test from 'ava'
import { setImmediate } from 'node:timers/promises'
import { MtorError } from '../contracts/errors.ts'
import { sampleInput } from './contract.ts'
import { SqliteHarness } from './harness.ts'

const unavailable = { instanceOf: MtorError, code: 'JOURNAL_UNAVAILABLE' } as const

const make = async (t: { teardown(fn: () => Promise<void>): void }, options: Parameters<typeof SqliteHarness.make>[0] = {}) => {
  const harness = await SqliteHarness.make(options)
  t.teardown(() => harness.dispose())
  return harness
}

test('while the disk hangs the core’s event loop goes on; what waits is durable once the disk is back', async (t) => {
  const { journal } = await make(t)
  const release = journal.stallForTest()
  let settled = 0
  const waiting = Array.from({ length: 100 }, () => journal.accept(sampleInput()).finally(() => { settled += 1 }))
  for (let turn = 0; turn < 1000; turn++) await setImmediate()
  t.is(settled, 0)
  t.is((await journal.stats()).queue, 100, 'the queue can be seen meanwhile')
  release()
  t.deepEqual(new Set(await Promise.all(waiting)), new Set(['accepted']))
})

test('what waits longer than the timeout is rejected with an unknown outcome, and submitting again is safe', async (t) => {
  const { journal, clock, event } = await stalled(t)
  const input = sampleInput()
  const release = journal.stallForTest()
  const waiting = t.throwsAsync(journal.accept(input), unavailable)
  await clock.advance(400)
  const later = journal.accept(sampleInput())
  await clock.advance(600)
  await waiting
  t.is((await event('journal.stalled')).code, 'JOURNAL_UNAVAILABLE')
  release()
  t.is(await later, 'accepted', 'the younger one is not rejected with it')
  t.is(await journal.accept(input), 'duplicate', 'the first one had reached the disk after all')
  await event('journal.resumed')
})

test('a stall that was given a time ends by itself', async (t) => {
  const { journal, clock } = await make(t)
  journal.stallForTest(5_000)
  const waiting = journal.accept(sampleInput())
  await clock.advance(5_000)
  t.is(await waiting, 'accepted')
})

test('a journal that hangs can still be stopped; what waited is rejected', async (t) => {
  const { journal, clock } = await make(t)
  journal.stallForTest()
  const waiting = t.throwsAsync(journal.accept(sampleInput()), unavailable)
  const stopped = journal.stop()
  await clock.advance(5_000)
  await stopped
  await waiting
})

test('more than 20,000 waiting requests are refused with BUSY', async (t) => {
  const { journal } = await make(t)
  const release = journal.stallForTest()
  const waiting = Array.from({ length: 20_000 }, () => journal.read('x'))
  await t.throwsAsync(journal.read('x'), { instanceOf: MtorError, code: 'BUSY' })
  release()
  await Promise.all(waiting)
})

test('when the thread dies what waits is rejected, a new thread goes on, and nothing acknowledged is lost', async (t) => {
  const harness = await make(t)
  const { journal } = harness
  const before = sampleInput(); const during = sampleInput()
  await journal.accept(before)
  const crash = t.throwsAsync(journal.faultForTest({ crash: true }), unavailable)
  const waiting = t.throwsAsync(journal.accept(during), unavailable)
  await crash
  await waiting
  t.is(await journal.accept(during), 'accepted', 'it was in the group that never committed')
  t.is(await journal.accept(before), 'duplicate')
  t.is((await harness.event('journal.down')).severity, 'critical')
  t.is((await journal.stats()).accepted, 2)
})

test('a thread that dies at once again is started again after a pause; until then requests are refused', async (t) => {
  const harness = await make(t)
  const { journal, clock } = harness
  const recovered = harness.nextEvent('journal.recovered')
  await t.throwsAsync(journal.faultForTest({ crash: true }), unavailable)
  await recovered
  await t.throwsAsync(journal.faultForTest({ crash: true }), unavailable)
  await t.throwsAsync(journal.accept(sampleInput()), unavailable)
  const again = harness.nextEvent('journal.recovered')
  await clock.advance(100)
  await again
  t.is(await journal.accept(sampleInput()), 'accepted')
})

test('a full disk: requests are refused, an event says so, and with space again it goes on with nothing lost', async (t) => {
  const harness = await make(t)
  const { journal } = harness
  const kept = sampleInput()
  await journal.accept(kept)
  await journal.faultForTest({ full: true })
  await t.throwsAsync(journal.put('note/large', 'x'.repeat(1 << 20)), unavailable)
  t.is((await harness.event('journal.unavailable')).severity, 'critical')
  await t.throwsAsync(journal.accept(sampleInput()), unavailable)
  await journal.faultForTest({ full: false })
  await harness.event('journal.recovered')
  await journal.put('note/large', 'x'.repeat(1 << 20))
  t.is(await journal.accept(kept), 'duplicate')
  t.is(harness.events.filter(({ name }) => name === 'journal.unavailable').length, 1, 'one event, not one for each try')
})

test('a request that does not fit the tables, or cannot be written as JSON, is refused alone', async (t) => {
  const { journal, events } = await make(t)
  const good = journal.accept(sampleInput())
  await t.throwsAsync(journal.put('note/bad', 1n), { instanceOf: MtorError, code: 'MALFORMED' })
  await t.throwsAsync(journal.accept({ ...sampleInput(), acceptedAt: { boot: NaN, mono: 1 } }), { instanceOf: MtorError, code: 'INTERNAL' })
  t.is(await good, 'accepted')
  t.deepEqual(events, [], 'the disk is not blamed for it')
})

async function stalled(t: Parameters<typeof make>[0]) {
  const harness = await make(t, { requestTimeoutMs: 1_000 })
  return { journal: harness.journal, clock: harness.clock, event: (name: string) => harness.event(name) }
}
