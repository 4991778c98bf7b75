import test from 'ava'
import { becomes } from '../../inference/supervisor/testing.ts'
import { realmOf } from './testing.ts'

const witness = { role: 'witness', hasModel: false } as const

test('voice: a node that is slow is not waited for; the first right answer counts and the other is cancelled', async (t) => {
  // Only a cancellation ends it there before a minute has passed.
  const patient = { manifest: { timeoutMs: 60_000 } }
  const { a, b, w } = await realmOf(t, { a: patient, b: patient, w: witness })
  const answer = await w!.say('once quick sleep 60000 slow', { priority: 2, deadlineMs: 60_000 })
  t.is(answer.output.text, 'quick')
  t.is(w!.named('hedged').length, 1)
  await becomes('the slow one is dropped', () => a!.serving() + b!.serving() === 0)
  t.not(w!.named('hedged')[0]!.data!['node'], answer.node)
})

test('what nobody waits to hear is not asked twice', async (t) => {
  const { a, b, w } = await realmOf(t, { a: {}, b: {}, w: witness })
  t.is((await w!.say('sleep 400 patient', { priority: 7 })).output.text, 'patient')
  t.is(w!.named('hedged').length, 0)
  t.is(a!.bench.supervisor.status().models[0]!.runs + b!.bench.supervisor.status().models[0]!.runs, 3)
})

test('a local worker that hangs: another node says it', async (t) => {
  const { a } = await realmOf(t, { a: {}, b: {} })
  const answer = await a!.say('once quick sleep 60000 slow', { hedge: true, deadlineMs: 60_000 })
  t.like(answer, { node: 'b', output: { text: 'quick' } })
})

test('a vote goes over different nodes, and who says otherwise is avoided', async (t) => {
  const { a, b, c, w } = await realmOf(t, { a: {}, b: {}, c: {}, w: witness })
  const agreed = await w!.say('say red', { vote: 3 })
  t.deepEqual(agreed.vote, { asked: 3, agreed: 3, dissenters: [] })
  t.is(agreed.output.text, 'red')
  const split = await w!.say('once red say green', { vote: 3 })
  t.is(split.output.text, 'red')
  t.is(split.vote!.agreed, 2)
  t.is(split.vote!.dissenters.length, 1)
  t.is(w!.named('vote.dissent').length, 1)
  t.false(w!.inference.seen('talker').includes(split.vote!.dissenters[0]!))
  t.deepEqual([a!, b!, c!].map((node) => node.bench.supervisor.status().models[0]!.runs), [3, 3, 3])
  await becomes('it proves itself', () => w!.inference.seen('talker').length === 3)
})

test('nodes that all say something else give no answer', async (t) => {
  const { w } = await realmOf(t, { a: {}, b: {}, c: {}, w: witness })
  const error = await t.throwsAsync(w!.say('pid', { vote: 3 }), { code: 'NO_MAJORITY' }) as Error & { data: unknown }
  t.deepEqual(error.data, { model: 'talker', asked: 3, agreed: 1, lost: 0 })
  t.is(w!.named('vote.undecided').length, 1)
})

test('a node that is missing has no vote: two of three still decide', async (t) => {
  const { a } = await realmOf(t, { a: {}, b: {} })
  t.deepEqual((await a!.say('say blue', { vote: 3 })).vote, { asked: 3, agreed: 2, dissenters: [] })
  await t.throwsAsync(a!.say('pid', { vote: 3 }), { code: 'NO_MAJORITY' })
})

test('where nodes cannot make up a majority the workers of one vote', async (t) => {
  const { w } = await realmOf(t, { a: {}, w: witness })
  const { vote, node } = await w!.say('say blue', { vote: 3 })
  t.is(node, 'a')
  t.deepEqual(vote, { asked: 3, agreed: 3, dissenters: [] })
})
