import test from 'ava'
import { setTimeout } from 'node:timers/promises'
import { MtorError } from '../../contracts/errors.ts'
import { journalContract, sampleInput } from '../contract.ts'
import { TestEtcd } from './harness.ts'

let etcd: TestEtcd
test.before(async () => { etcd = await TestEtcd.make(3) })
test.after.always(async () => { await etcd.dispose() })

journalContract(test, 'etcd of three members', () => etcd.journal())

/** Journals of several nodes in one realm, each with its own member first. */
async function nodes(t: { teardown(fn: () => Promise<void>): void }, names: readonly string[], overrides: Parameters<TestEtcd['journal']>[0] = {}) {
  const realm = `nodes-${process.hrtime.bigint()}`
  const harnesses = []
  for (const [i, node] of names.entries()) {
    const { endpoints } = etcd
    const harness = await etcd.journal({ realm, node, etcd: { endpoints: [...endpoints.slice(i), ...endpoints.slice(0, i)] }, ...overrides })
    t.teardown(() => harness.dispose())
    harnesses.push(harness)
  }
  return harnesses
}

async function until(what: () => boolean | Promise<boolean>) { while (!await what()) await setTimeout(10) }

test('what one node accepted the others see at once, claim once and finish once', async (t) => {
  const all = await nodes(t, ['a', 'b', 'c'])
  const inputs = Array.from({ length: 12 }, () => sampleInput())
  await Promise.all(inputs.map((input, i) => all[i % 3]!.journal.accept(input)))
  for (const { journal } of all) {
    t.deepEqual((await journal.unfinished()).map(({ envelope }) => envelope.id).sort(), inputs.map(({ envelope }) => envelope.id).sort())
    t.is(await journal.accept(inputs[0]!), 'duplicate')
  }
  for (const { envelope: { id } } of inputs) {
    const claims = await Promise.all(all.map(({ journal, options }) => journal.claim(id, { node: options.node })))
    t.is(claims.filter((claim) => claim !== undefined).length, 1)
    const finished = await Promise.all(all.map(({ journal }, i) => journal.finish(id, { state: 'succeeded', data: { by: i } })))
    t.is(finished.filter(Boolean).length, 1)
    t.is(finished.indexOf(true), claims.findIndex((claim) => claim !== undefined), 'the end is written by the node that has the claim')
  }
})

test('tickets of one device are never repeated, whichever node claims, and an old epoch is refused everywhere', async (t) => {
  const [a, b] = await nodes(t, ['a', 'b'])
  const inputs = Array.from({ length: 20 }, () => sampleInput())
  await Promise.all(inputs.map((input) => a!.journal.accept(input)))
  const epochs = await Promise.all([a!.journal.nextEpoch('rover'), b!.journal.nextEpoch('rover'), b!.journal.nextEpoch('rover')])
  t.is(new Set(epochs).size, 3)
  const claims = await Promise.all(inputs.map(({ envelope: { id } }, i) => i % 2 ? a!.journal.claim(id, { node: 'a', device: 'rover' }) : b!.journal.claim(id, { node: 'b', device: 'rover' })))
  t.is(new Set(claims.map((claim) => `${claim!.ticket!.epoch}/${claim!.ticket!.sequence}`)).size, 20)
  const newer = await b!.journal.nextEpoch('rover')
  const late = sampleInput()
  await a!.journal.accept(late)
  await t.throwsAsync(a!.journal.claim(late.envelope.id, { node: 'a', device: 'rover', epoch: newer - 1 }), { instanceOf: MtorError, code: 'STALE_EPOCH' })
})

test('boots are numbered over the whole realm, so that times of two boards are never taken for one clock', async (t) => {
  const [a, b] = await nodes(t, ['a', 'b'])
  const boots = await Promise.all([a!.journal.boot('same'), b!.journal.boot('same'), a!.journal.boot('same')])
  t.is(boots[0], boots[2])
  t.not(boots[0], boots[1])
})

test('small values are a node’s own, or shared where so configured', async (t) => {
  const [a, b] = await nodes(t, ['a', 'b'], { sharedValues: ['realm/'] })
  await a!.journal.put('guard/mode', 'safe')
  await a!.journal.put('realm/name', 'camp')
  t.is(await b!.journal.read('guard/mode'), undefined)
  t.is(await b!.journal.read('realm/name'), 'camp')
  t.deepEqual(await b!.journal.keys(''), ['realm/name'])
  t.deepEqual(await a!.journal.keys(''), ['guard/mode', 'realm/name'])
})

test('each node is told what the others accepted and ended, and not what it did itself', async (t) => {
  const [a, b] = await nodes(t, ['a', 'b'])
  const accepted: string[] = []
  const ended: unknown[] = []
  b!.journal.watchAccepted(({ entry, node }) => { accepted.push(`${node} ${entry.envelope.id}`) })
  b!.journal.watchFinal((end) => { ended.push(end) })
  const [theirs, ours] = [sampleInput(), sampleInput()]
  await a!.journal.accept(theirs)
  await b!.journal.accept(ours)
  await b!.journal.finish(ours.envelope.id, { state: 'succeeded' })
  await a!.journal.finish(theirs.envelope.id, { state: 'failed', code: 'STALLED', say: 'Stuck.' })
  await until(() => ended.length > 0)
  t.deepEqual(accepted, [`a ${theirs.envelope.id}`])
  t.deepEqual(ended, [{ id: theirs.envelope.id, state: 'failed', node: 'a', code: 'STALLED', say: 'Stuck.' }])
})

test('statistics of all nodes agree once all is told', async (t) => {
  const [a, b] = await nodes(t, ['a', 'b'])
  const inputs = Array.from({ length: 5 }, () => sampleInput())
  for (const input of inputs) await a!.journal.accept(input)
  await b!.journal.finish(inputs[0]!.envelope.id, { state: 'failed', code: 'INTERNAL', deadLetter: true })
  const counts = async (of: typeof a) => { const { accepted, unfinished, finished, deadLetters } = await of!.journal.stats(); return `${accepted} ${unfinished} ${finished} ${deadLetters}` }
  await until(async () => await counts(a) === '5 4 1 1' && await counts(b) === '5 4 1 1')
  t.true((await b!.journal.stats()).fileBytes > 0)
})

test('when the lease of a node is gone its intents are orphans, and another node takes its claim over', async (t) => {
  const [a, b] = await nodes(t, ['a', 'b'])
  const [claimed, waiting] = [sampleInput(), sampleInput()]
  await a!.journal.accept(claimed)
  await a!.journal.accept(waiting)
  const first = await a!.journal.claim(claimed.envelope.id, { node: 'a', device: 'rover' })
  t.deepEqual(await b!.journal.orphans(), [])
  t.is(await b!.journal.claim(claimed.envelope.id, { node: 'b' }), undefined)
  const gone = new Promise<string>((resolve) => { b!.journal.watchNodes((node, alive) => { if (!alive) resolve(node) }) })
  await a!.journal.stop()
  t.is(await gone, 'a')
  const orphans = await b!.journal.orphans()
  t.deepEqual(orphans.map(({ envelope, state }) => [envelope.id, state]), [[claimed.envelope.id, 'claimed'], [waiting.envelope.id, 'accepted']])
  t.deepEqual(orphans[0]!.claim, { node: 'a', ...first! }, 'the old ticket is there, to ask the device about')
  const second = await b!.journal.claim(claimed.envelope.id, { node: 'b', device: 'rover', epoch: await b!.journal.nextEpoch('rover') })
  t.is(second!.attempt, 2)
  t.true(second!.ticket!.epoch > first!.ticket!.epoch)
})

test('a node that was expelled comes back, and what was taken over from it is no longer its to report on or to end', async (t) => {
  const [a, b] = await nodes(t, ['a', 'b'])
  const input = sampleInput()
  const { id } = input.envelope
  await a!.journal.accept(input)
  await a!.journal.claim(id, { node: 'a' })
  const lost = new Promise<void>((resolve) => { a!.journal.lease.onChange((held) => { if (!held) resolve() }) })
  await until(() => b!.journal.nodes.has('a'))
  await b!.journal.expel('a')
  t.is((await b!.journal.claim(id, { node: 'b' }))?.attempt, 2)
  await lost
  await a!.journal.progress(id, { late: true })
  t.false(await a!.journal.finish(id, { state: 'failed', code: 'INTERRUPTED' }))
  t.is(await a!.journal.claim(id, { node: 'a' }), undefined)
  t.true(await b!.journal.finish(id, { state: 'succeeded' }))
  t.deepEqual([(await a!.journal.get(id))?.state, (await a!.journal.get(id))?.progress], ['succeeded', undefined])
  t.is(await a!.journal.accept(sampleInput()), 'accepted', 'it has a lease again')
  t.true(a!.journal.lease.held)
})

test('a node that was expelled while it had nothing to write says by itself that it lives', async (t) => {
  const [a, b] = await nodes(t, ['a', 'b'])
  const seen: boolean[] = []
  await until(() => b!.journal.nodes.has('a'))
  b!.journal.watchNodes((node, alive) => { if (node === 'a') seen.push(alive) })
  await b!.journal.expel('a')
  await until(() => seen.length === 2)
  t.deepEqual(seen, [false, true])
  t.deepEqual(a!.events.map(({ name }) => name), ['journal.lease-lost', 'journal.lease-held'])
})

test('a node that starts again within its time to live keeps its claims', async (t) => {
  const [a, b] = await nodes(t, ['a', 'b'])
  const input = sampleInput()
  await a!.journal.accept(input)
  await a!.journal.claim(input.envelope.id, { node: 'a' })
  // As after kill −9: the former life gave nothing back.
  const again = a!.create()
  t.teardown(() => again.stop())
  await again.start()
  t.is(await b!.journal.claim(input.envelope.id, { node: 'b' }), undefined)
  t.is((await again.claim(input.envelope.id, { node: 'a' }))?.attempt, 2)
  const refused = await t.throwsAsync(a!.journal.accept(sampleInput()), { instanceOf: MtorError })
  t.is(refused?.code, 'JOURNAL_UNAVAILABLE', 'the former life can write nothing any more')
  t.regex(refused!.message, /two daemons/)
})
