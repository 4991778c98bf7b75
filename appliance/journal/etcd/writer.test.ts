import test from 'ava'
import { setTimeout } from 'node:timers/promises'
import { MtorError } from '../../contracts/errors.ts'
import { sampleInput } from '../contract.ts'
import { CutProxy } from './cut-proxy.ts'
import { TestEtcd } from './harness.ts'

let etcd: TestEtcd
test.before(async () => { etcd = await TestEtcd.make() })
test.after.always(async () => { await etcd.dispose() })

async function throughProxy(t: { teardown(fn: () => Promise<void>): void }) {
  const proxy = await CutProxy.to(etcd.endpoints[0]!)
  t.teardown(() => proxy.stop())
  const harness = await etcd.journal({ etcd: { endpoints: [proxy.url] } })
  t.teardown(() => harness.dispose())
  return { proxy, journal: harness.journal, harness }
}

test('a write whose reply is lost is found to be done: the answer is as if nothing had happened', async (t) => {
  const { proxy, journal } = await throughProxy(t)
  const input = sampleInput()
  const { id } = input.envelope
  proxy.loseReply()
  t.is(await journal.accept(input), 'accepted')
  proxy.loseReply()
  t.deepEqual(await journal.claim(id, { node: 'base', device: 'rover' }), { attempt: 1, ticket: { device: 'rover', epoch: 1, sequence: 1 } })
  proxy.loseReply()
  t.is(await journal.nextEpoch('rover'), 2, 'one epoch, not two')
  proxy.loseReply()
  await journal.progress(id, { distanceM: 1 })
  proxy.loseReply()
  t.true(await journal.finish(id, { state: 'failed', code: 'STALLED', deadLetter: true }))
  t.false(await journal.finish(id, { state: 'succeeded' }))
  proxy.loseReply()
  const boot = await journal.boot('boot-a')
  t.is(await journal.boot('boot-a'), boot)
  proxy.loseReply()
  await journal.put('note/a', 1)
  t.is(await journal.read('note/a'), 1)
  proxy.loseReply()
  await t.throwsAsync(journal.clearDeadLetter(id), { instanceOf: MtorError, code: 'JOURNAL_UNAVAILABLE' }, 'who cleared it cannot be told afterwards')
  t.deepEqual(await journal.list({ deadLetter: true }), [])
})

test('of a whole group whose reply is lost each gets its own answer', async (t) => {
  const { proxy, journal } = await throughProxy(t)
  const [first, other] = [sampleInput(), sampleInput()]
  await journal.accept(first)
  proxy.loseReply()
  const outcomes = await Promise.all([journal.accept(other), journal.finish(first.envelope.id, { state: 'succeeded' }), journal.nextEpoch('arm'), journal.accept({ ...other, client: 'again' })])
  t.deepEqual(outcomes, ['accepted', true, 1, 'duplicate'])
})

test('a write that was held back on its way cannot arrive after a later one', async (t) => {
  const { proxy, journal } = await throughProxy(t)
  await journal.put('note/a', 0)
  proxy.holdBack(800)
  // The first attempt is given up after a quarter of a second and repeated.
  await journal.put('note/a', 1)
  await journal.put('note/a', 2)
  await setTimeout(1_000)
  t.is(await journal.read('note/a'), 2)
})

test('a write whose outcome is not known in time is refused, and submitting it again finds out', async (t) => {
  const { proxy, journal, harness } = await throughProxy(t)
  const input = sampleInput()
  proxy.loseReply()
  const waiting = journal.accept(input)
  await setTimeout(5)
  proxy.cut()
  const outcome = await waiting.catch((error: MtorError) => error.code)
  t.is(outcome, 'JOURNAL_UNAVAILABLE')
  proxy.mend()
  while (!harness.events.some(({ name }) => name === 'journal.recovered')) await setTimeout(10)
  const again = await journal.accept(input)
  t.true(again === 'duplicate' || again === 'accepted')
  t.is(await journal.accept(input), 'duplicate')
  t.is((await journal.unfinished()).length, 1)
})

test('what JSON cannot hold, what is no UUID and what is too large is refused alone', async (t) => {
  const { journal, harness } = await throughProxy(t)
  const good = journal.accept(sampleInput())
  await t.throwsAsync(journal.put('note/bad', 1n), { instanceOf: MtorError, code: 'MALFORMED' })
  await t.throwsAsync(journal.put('note/large', 'x'.repeat(1 << 21)), { instanceOf: MtorError, code: 'TOO_LARGE' })
  await t.throwsAsync(journal.accept(sampleInput({ id: 'x/../y' })), { instanceOf: MtorError, code: 'MALFORMED' })
  await t.throwsAsync(journal.accept(sampleInput({ slots: { note: 'x'.repeat(2 << 20) } })), { instanceOf: MtorError, code: 'TOO_LARGE' })
  t.is(await good, 'accepted')
  t.is(await journal.accept(sampleInput()), 'accepted')
  t.deepEqual(harness.events, [], 'etcd is not blamed for it')
})

test('large envelopes are kept, listed and watched like small ones', async (t) => {
  const { journal } = await throughProxy(t)
  const inputs = Array.from({ length: 60 }, () => sampleInput({ slots: { note: 'x'.repeat(200_000) } }))
  await Promise.all(inputs.map((input) => journal.accept(input)))
  t.is((await journal.unfinished()).length, 60)
  t.is((await journal.list({ limit: 1_000 })).length, 60)
})
