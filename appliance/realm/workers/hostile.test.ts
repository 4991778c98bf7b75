import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import type { WorkerOffer } from '../../contracts/telemetry.ts'
import { becomes } from '../../inference/supervisor/testing.ts'
import { identityOf } from './identity.ts'
import { CHANNEL } from './messages.ts'
import { MOST_SERVED } from './serving.ts'
import { realmOf } from './testing.ts'

const witness = { role: 'witness', hasModel: false } as const

test('requests that are none are refused, and the node goes on', async (t) => {
  const { a, w } = await realmOf(t, { a: {}, w: witness })
  const identity = identityOf(a!.bench.library.list()[0]!)
  const secret = join(a!.bench.stateDir, 'secret')
  await writeFile(secret, 'say secret')
  const ask = (message: unknown) => w!.peers.request('a', CHANNEL, message, { timeoutMs: 5_000 })
  const run = { op: 'run', model: 'talker', identity, task: 'read', deadlineMs: 1_000, priority: 5 }
  for (const [message, code] of [
    [undefined, 'MALFORMED'], [null, 'MALFORMED'], [[], 'MALFORMED'], [{ op: 'shutdown' }, 'MALFORMED'],
    [{ ...run, input: { fields: { image: secret } } }, 'MALFORMED'],
    [{ ...run, input: { fields: {}, file: { extension: '/../../x' } }, bytes: Buffer.from('x') }, 'MALFORMED'],
    [{ ...run, input: { fields: {}, file: { extension: '.txt' } } }, 'MALFORMED'],
    [{ ...run, input: { fields: {}, file: { extension: '.txt' } }, bytes: 'x' }, 'MALFORMED'],
    [{ ...run, input: { fields: {} }, deadlineMs: -1 }, 'MALFORMED'],
    [{ ...run, input: { fields: {} }, model: '../talker' }, 'MALFORMED'],
    [{ ...run, input: { fields: {} }, identity: '0'.repeat(64) }, 'NOT_FOUND'],
    [{ ...run, input: { fields: {} }, model: 'nothing' }, 'NOT_FOUND'],
    [{ ...run, input: { fields: {} }, task: 'detect' }, 'MODEL_INVALID'],
  ] as const) await t.throwsAsync(ask(message), { code }, JSON.stringify(message))
  t.deepEqual(await a!.kept(), [])
  t.is((await w!.say('say fine')).output.text, 'fine')
})

test('a node of the next version may say more than this one knows', async (t) => {
  const { a, w } = await realmOf(t, { a: {}, w: witness })
  await a!.inference.stop()
  const { payload } = a!.said.findLast(({ kind }) => kind === 'offer')!
  const offer = payload as WorkerOffer
  a!.peers.send('w', CHANNEL, { op: 'offer', more: 1, health: { ...a!.health(), more: 1 }, offer: { ...offer, more: 1, models: offer.models.map((model) => ({ ...model, more: 1, provider: 'quantum' })) } })
  t.teardown(a!.peers.serve(CHANNEL, async () => ({ more: 1, output: { text: 'known', lines: [] }, version: '1', provider: 'quantum', queuedMs: 0, runMs: 1, attempts: 1, proof: { index: 0, digest: 'd'.repeat(64), more: 1 } })))
  t.is((await w!.say('say x')).provider, 'quantum')
  t.is(w!.named('offer.malformed').length, 0)
})

test('a node serves only so many at a time; the rest hear that it is busy, and it is not taken for broken', async (t) => {
  const { a, w } = await realmOf(t, { a: {}, w: witness })
  const all = await Promise.allSettled(Array.from({ length: MOST_SERVED + 3 }, () => w!.say('sleep 40 done')))
  const refused = all.filter((one) => one.status === 'rejected')
  t.is(refused.length, 3)
  t.true(refused.every(({ reason }) => (reason as { code: string }).code === 'BUSY'))
  t.is(w!.named('worker.avoided').length, 0)
  t.is(a!.serving(), 0)
})

test('an offer that is none, or in the name of another, is not believed', async (t) => {
  const { a, b, w } = await realmOf(t, { a: {}, b: witness, w: witness })
  const { payload: offer } = a!.said.find(({ kind }) => kind === 'offer')!
  // A good offer of its own in between would have it told anew.
  await b!.inference.stop()
  b!.peers.send('w', CHANNEL, { op: 'offer', offer, health: a!.health() })
  b!.peers.send('w', CHANNEL, { op: 'offer', offer: 'mine' })
  await becomes('it is told, once', () => w!.named('offer.malformed').length === 1)
  t.like(w!.named('offer.malformed')[0], { code: 'MALFORMED', data: { node: 'b' } })
  t.deepEqual(w!.inference.seen('talker'), ['a'])
})

test('a model that is unknown here is judged by the manifest of who offers it, which must be what its identity says', async (t) => {
  const { a, w } = await realmOf(t, { a: { manifest: { name: 'parrot' } }, w: { ...witness, isOther: true } })
  await becomes('its manifest is known', () => w!.inference.models().some(({ name }) => name === 'parrot'))
  const file = join(a!.bench.stateDir, 'command')
  await writeFile(file, 'say hello')
  t.is((await w!.inference.run('read', 'parrot', { image: file }, { deadlineMs: 5_000 })).output.text, 'hello')
  // Under another identity, with a known answer to its taste.
  await a!.inference.stop()
  const manifest = { ...a!.bench.library.list()[0]!, knownAnswers: [{ input: {}, output: { text: 'to its taste', lines: [] } }] }
  t.teardown(a!.peers.serve(CHANNEL, async (_, message) => (message as { op: string }).op === 'manifest' ? manifest : { output: { text: 'to its taste', lines: [] }, version: '1', provider: 'cpu', queuedMs: 0, runMs: 1, attempts: 1, proof: { index: 0, output: { text: 'to its taste', lines: [] } } }))
  const { offer, health } = { offer: a!.said.findLast(({ kind }) => kind === 'offer')!.payload as WorkerOffer, health: a!.health() }
  a!.peers.send('w', CHANNEL, { op: 'offer', health, offer: { ...offer, models: offer.models.map((model) => ({ ...model, identity: 'f'.repeat(64) })) } })
  // What was sent before on the channel has come by then.
  await t.throwsAsync(a!.peers.request('w', CHANNEL, { op: 'nothing' }, { timeoutMs: 5_000 }), { code: 'MALFORMED' })
  await t.throwsAsync(w!.inference.run('read', 'parrot', { image: file }, { deadlineMs: 5_000 }), { code: 'MODEL_UNTRUSTED' })
})
