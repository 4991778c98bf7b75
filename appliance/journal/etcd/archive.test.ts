import test, { type ExecutionContext } from 'ava'
import { rmSync, writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { archivesWhatIsFinished } from '../archive-contract.ts'
import { sampleInput } from '../contract.ts'
import type { AcceptInput } from '../port.ts'
import { TestEtcd, type EtcdHarness } from './harness.ts'
import type { EtcdJournal } from './journal.ts'
import { all } from './wire.ts'

let etcd: TestEtcd
test.before(async () => { etcd = await TestEtcd.make() })
test.after.always(async () => { await etcd.dispose() })

async function make(t: ExecutionContext, overrides: Parameters<TestEtcd['journal']>[0] = {}): Promise<EtcdHarness> {
  const harness = await etcd.journal({ maxFinished: 100, ...overrides })
  t.teardown(() => harness.dispose())
  return harness
}

/** Accepts and finishes `count` intents. */
async function finished(journal: EtcdJournal, count: number, deadLetter = false) {
  const inputs = Array.from({ length: count }, () => sampleInput())
  await Promise.all(inputs.map((input) => journal.accept(input)))
  await Promise.all(inputs.map((input) => journal.finish(input.envelope.id, { state: 'failed', code: 'DEADLINE', deadLetter })))
  return inputs
}

/** How it ended, once this node has it: what others archived is known by its id at once, its contents come behind. */
async function codeOf(journal: EtcdJournal, { envelope: { id } }: AcceptInput) {
  for (;;) {
    const entry = await journal.get(id)
    if (entry) return entry.final?.code
    await setTimeout(10)
  }
}

async function archived(journal: EtcdJournal, atLeast: number) { while ((await journal.stats()).archivedTotal < atLeast) await setTimeout(10) }

test('finished intents beyond the limit leave etcd for the archive, can still be read, and their ids are still known', async (t) => {
  const harness = await make(t)
  await archivesWhatIsFinished(t, { journal: harness.journal, reopen: () => harness.reopen(), finished, archived, count: 400, atLeast: 300 })
})

test('a journal of dead letters alone is bounded as well', async (t) => {
  const { journal } = await make(t)
  await finished(journal, 250, true)
  await archived(journal, 150)
  t.true((await journal.stats()).deadLetters <= 125)
})

test('every node has its own copy of what any node archived, and an id archived elsewhere is a duplicate here', async (t) => {
  const a = await make(t, { node: 'a' })
  const b = await make(t, { node: 'b', realm: a.options.realm })
  const inputs = await finished(a.journal, 300)
  await archived(b.journal, 175)
  await a.journal.stop()
  for (const input of [inputs[0]!, inputs[100]!]) {
    t.is(await b.journal.accept(input), 'duplicate')
    t.is(await codeOf(b.journal, input), 'DEADLINE')
  }
})

test('an id that is archived at the very moment it is submitted again is still a duplicate', async (t) => {
  const a = await make(t, { node: 'a' })
  const b = await make(t, { node: 'b', realm: a.options.realm })
  const inputs = await finished(a.journal, 200)
  const again = await Promise.all([finished(a.journal, 200), ...inputs.flatMap((input) => [b.journal.accept(input), setTimeout(20).then(() => b.journal.accept(input))])])
  t.deepEqual(new Set(again.slice(1)), new Set(['duplicate']))
  await archived(b.journal, 200)
  t.deepEqual(new Set(await Promise.all(inputs.map((input) => b.journal.accept(input)))), new Set(['duplicate']))
})

test('a node whose archive was lost learns the ids from etcd again, and the contents while the history has them', async (t) => {
  const harness = await make(t)
  const inputs = await finished(harness.journal, 200)
  await archived(harness.journal, 75)
  await harness.journal.stop()
  const file = harness.options.archiveFile
  for (const name of [file, `${file}-wal`, `${file}-shm`, file.replace('.sqlite', '.archive-1.sqlite')]) rmSync(name, { force: true })
  const again = await harness.reopen()
  t.is(await again.accept(inputs[0]!), 'duplicate')
  t.is(await codeOf(again, inputs[0]!), 'DEADLINE')
  await again.stop()
  writeFileSync(file, Buffer.alloc(20_000, 7))
  const third = await harness.reopen()
  t.true(harness.events.some(({ name }) => name === 'journal.archive-index-renewed'))
  t.is(await third.accept(inputs[0]!), 'duplicate')
})

test('while the thread of the archive is away no archived id is taken for a new one, and a new thread has them', async (t) => {
  const harness = await make(t)
  const inputs = await finished(harness.journal, 200)
  await archived(harness.journal, 75)
  await harness.journal.endArchiveForTest()
  t.deepEqual(new Set(await Promise.all(inputs.map((input) => harness.journal.accept(input)))), new Set(['duplicate']))
  t.is(await codeOf(harness.journal, inputs[0]!), 'DEADLINE')
})

// Alone, before the others: it throws away the history of the etcd that they share.
test.serial('where the history is gone a node has the ids of what was archived without it, and says so', async (t) => {
  const a = await make(t, { node: 'a' })
  const inputs = await finished(a.journal, 200)
  await archived(a.journal, 75)
  const { revision } = await a.journal.client.range(all('/mtor/none'))
  await a.journal.client.compact(revision)
  const b = await make(t, { node: 'b', realm: a.options.realm })
  while (!b.events.some(({ name }) => name === 'journal.archive-missed')) await setTimeout(10)
  t.is(await b.journal.get(inputs[0]!.envelope.id), undefined)
  t.is(await b.journal.accept(inputs[0]!), 'duplicate')
})
