import test from 'ava'
import type { WorkerHealth } from '../../contracts/telemetry.ts'
import { becomes } from '../../inference/supervisor/testing.ts'
import { CHANNEL } from './messages.ts'
import { realmOf } from './testing.ts'

const witness = { role: 'witness', hasModel: false } as const

test('a node that goes while it is asked: the answer comes from another, and its health is told as 0', async (t) => {
  const { a, b, w } = await realmOf(t, { a: {}, b: {}, w: witness })
  const asked = w!.say('once slow sleep 60000 never')
  await becomes('one is at it', () => a!.serving() + b!.serving() === 1)
  const [lost, left] = a!.serving() === 1 ? [a!, b!] : [b!, a!]
  await lost.peers.stop()
  t.like(await asked, { node: left.node, output: { text: 'slow' } })
  t.deepEqual(w!.inference.seen('talker'), [left.node])
  await becomes('it is told', () => w!.said.some(({ payload }) => payload.node === lost.node))
  t.like(w!.health(lost.node), { by: 'w', score: 0 })
})

test('a worker that fails is left out at once, which is told and published', async (t) => {
  const { a, b, w } = await realmOf(t, { a: {}, b: {}, w: witness })
  const bad = w!.inference.seen('talker')[0] === 'a' ? a! : b!
  await bad.bench.supervisor.stop()
  const answer = await w!.say('say anyway')
  t.is(answer.node, bad === a! ? 'b' : 'a')
  t.deepEqual(w!.inference.seen('talker'), [answer.node])
  const avoided = w!.named('worker.avoided')
  t.is(avoided.length, 1)
  t.like(avoided[0], { code: 'MODEL_UNAVAILABLE', data: { node: bad.node, model: 'talker' } })
  await becomes('it is published', () => w!.health().avoids.length === 1)
  t.like(w!.health().avoids[0], { node: bad.node, model: 'talker', code: 'MODEL_UNAVAILABLE' })
})

test('whom it avoids is probed, and used again when that comes out right', async (t) => {
  const { a, w } = await realmOf(t, { a: {}, w: witness })
  // Something between the nodes answers in its place, twice: once the request, and once the probe.
  const wrong = ['run', 'known']
  const seen: string[] = []
  await a!.inference.stop()
  const off = a!.peers.serve(CHANNEL, async (_, message) => {
    const { op } = message as { op: string }
    seen.push(op)
    if (op === wrong[0]) { wrong.shift(); return { output: { text: 'a guess', lines: [] }, version: '1', provider: 'cpu', queuedMs: 0, runMs: 1, attempts: 1, proof: { index: 0, output: { text: 'unknown', lines: [] } } } }
    return { output: { text: 'known', lines: [] }, version: '1', provider: 'cpu', queuedMs: 0, runMs: 1, attempts: 1, proof: { index: 0, digest: 'd'.repeat(64) } }
  })
  t.teardown(off)
  const error = await t.throwsAsync(w!.say('say x'), { code: 'MODEL_UNAVAILABLE' })
  t.regex(error!.message, /"known" was expected, got "unknown"/)
  t.deepEqual(w!.inference.seen('talker'), [])
  await becomes('it is back', () => w!.named('worker.back').length === 1)
  t.deepEqual(seen, ['run', 'known', 'known'])
  t.deepEqual(w!.inference.seen('talker'), ['a'])
})

test('an answer whose raw outputs are not those of the first right one is thrown away', async (t) => {
  const { a, w } = await realmOf(t, { a: {}, w: witness })
  await a!.inference.stop()
  let digest = '1'.repeat(64)
  const off = a!.peers.serve(CHANNEL, async () => ({ output: { text: 'known', lines: [] }, version: '1', provider: 'cpu', queuedMs: 0, runMs: 1, attempts: 1, proof: { index: 0, digest } }))
  t.teardown(off)
  t.is((await w!.say('say x')).output.text, 'known')
  digest = '2'.repeat(64)
  const error = await t.throwsAsync(w!.say('say x'), { code: 'MODEL_UNAVAILABLE' })
  t.regex(error!.message, /raw outputs/)
})

test('an answer without a proof, or of no known shape, is thrown away', async (t) => {
  const { a, w } = await realmOf(t, { a: {}, w: witness })
  await a!.inference.stop()
  let answer: unknown = { output: { text: 'x', lines: [] }, version: '1', provider: 'cpu', queuedMs: 0, runMs: 1, attempts: 1 }
  const off = a!.peers.serve(CHANNEL, async (_, message) => (message as { op: string }).op === 'known' ? { output: { text: 'known', lines: [] }, version: '1', provider: 'cpu', queuedMs: 0, runMs: 1, attempts: 1, proof: { index: 0, digest: 'd'.repeat(64) } } : answer)
  t.teardown(off)
  await t.throwsAsync(w!.say('say x'), { code: 'MODEL_UNAVAILABLE', message: /no proof came/ })
  await becomes('it is back', () => w!.named('worker.back').length === 1)
  answer = { output: 'x' }
  await t.throwsAsync(w!.say('say x'), { code: 'MALFORMED' })
})

test('a model that fails here again and again is asked elsewhere, until it has proven itself here', async (t) => {
  const { a } = await realmOf(t, { a: {}, b: {} })
  t.is((await a!.say('say x')).node, 'a')
  for (let i = 0; i < 3; i++) await t.throwsAsync(a!.bench.say('fail'), { code: 'MODEL_UNAVAILABLE' })
  t.not(a!.bench.supervisor.status().models[0]!.circuit, 'closed')
  a!.inference.touch()
  t.is((await a!.say('say x')).node, 'b')
  await becomes('its health falls', () => a!.said.some(({ kind, payload }) => kind === 'health' && (payload as WorkerHealth).why === 'it has failed too often' && (payload as WorkerHealth).score === 0))
  await becomes('it is proven again', () => a!.bench.supervisor.status().models[0]!.circuit === 'closed')
  await becomes('its health is back', () => a!.health().score > 0)
  t.is((await a!.say('say x')).node, 'a')
})

test('an input that has cost two workers is not given to those of another node', async (t) => {
  const { a, b, w } = await realmOf(t, { a: {}, b: {}, w: witness })
  await t.throwsAsync(w!.say('abort'), { code: 'POISON' })
  t.deepEqual([a!, b!].map((node) => node.bench.supervisor.quarantined().length).sort(), [0, 1])
  t.is(w!.named('worker.avoided').length, 0)
})

test('health falls when a worker fails, and says why', async (t) => {
  const { a, w } = await realmOf(t, { a: {}, w: witness })
  const before = a!.health().score
  await t.throwsAsync(w!.say('fail'), { code: 'MODEL_UNAVAILABLE' })
  a!.inference.touch()
  await becomes('it has fallen', () => a!.said.some(({ kind, payload }) => kind === 'health' && (payload as WorkerHealth).score < before))
  await becomes('it says why', () => a!.health().models[0]!.fault !== undefined)
})
