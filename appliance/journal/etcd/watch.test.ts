import test from 'ava'
import { setTimeout } from 'node:timers/promises'
import { sampleInput } from '../contract.ts'
import { systemClock } from '../../contracts/clock.ts'
import { CutProxy } from './cut-proxy.ts'
import { TestEtcd } from './harness.ts'
import { all } from './wire.ts'

let etcd: TestEtcd
test.before(async () => { etcd = await TestEtcd.make() })
test.after.always(async () => { await etcd.dispose() })

const until = async (what: () => boolean | Promise<boolean>) => { while (!await what()) await setTimeout(10) }

/** A journal that reaches etcd through a proxy, one that does not, and what the first was told. */
async function two(t: { teardown(fn: () => Promise<void>): void }) {
  const proxy = await CutProxy.to(etcd.endpoints[0]!)
  t.teardown(() => proxy.stop())
  const near = await etcd.journal({ node: 'near' })
  t.teardown(() => near.dispose())
  const far = await etcd.journal({ node: 'far', realm: near.options.realm, etcd: { endpoints: [proxy.url] } })
  t.teardown(() => far.dispose())
  const told: string[] = []
  far.journal.watchAccepted(({ entry }) => { told.push(`accepted ${entry.envelope.id}`) })
  far.journal.watchFinal(({ id, state, code }) => { told.push(`${state}${code ? ` ${code}` : ''} ${id}`) })
  return { proxy, near: near.journal, far: far.journal, told }
}

test('a watch that was cut off goes on where it was: nothing is missed, nothing is told twice', async (t) => {
  const { proxy, near, told } = await two(t)
  const inputs = Array.from({ length: 30 }, () => sampleInput())
  for (const [i, input] of inputs.entries()) {
    await near.accept(input)
    if (i === 10 || i === 20) proxy.cut()
    if (i === 15 || i === 25) proxy.mend()
  }
  await until(() => told.length >= inputs.length)
  t.deepEqual(told, inputs.map(({ envelope }) => `accepted ${envelope.id}`))
})

test('where the history of the meantime was compacted, what happened is found by comparing', async (t) => {
  const { proxy, near, far, told } = await two(t)
  const [open, ended, fresh, passed] = [sampleInput(), sampleInput(), sampleInput(), sampleInput()]
  await near.accept(open)
  await near.accept(ended)
  await until(() => told.length === 2)
  proxy.cut()
  await near.finish(ended.envelope.id, { state: 'failed', code: 'STALLED' })
  await near.accept(fresh)
  await near.accept(passed)
  await near.finish(passed.envelope.id, { state: 'succeeded' })
  const { revision } = await near.client.range(all('/mtor/none'))
  await near.client.compact(revision)
  proxy.mend()
  await until(() => told.length >= 4)
  t.deepEqual(told.slice(2).sort(), [`accepted ${fresh.envelope.id}`, `failed STALLED ${ended.envelope.id}`].sort())
  const after = sampleInput()
  await near.accept(after)
  await until(() => told.length >= 5)
  t.is(told[4], `accepted ${after.envelope.id}`, 'the watch goes on from there')
  const { accepted, unfinished, finished } = await far.stats()
  t.deepEqual([accepted, unfinished, finished], [5, 3, 2])
})

test('the node that is first by name lets etcd forget what is older than the history to keep', async (t) => {
  const { journal } = await etcd.journal({ historyMs: 1, clock: { ...systemClock, setTimeout: (callback, ms) => systemClock.setTimeout(callback, ms === 5_000 ? 50 : ms) } })
  t.teardown(() => journal.stop())
  await journal.accept(sampleInput())
  const { revision } = await journal.client.range(all('/mtor/none'))
  await until(async () => {
    await journal.accept(sampleInput())
    return await journal.client.range(all('/mtor/none', { revision })).then(() => false, (error: { compacted?: boolean }) => error.compacted === true)
  })
  t.is((await journal.list()).length >= 2, true)
})
