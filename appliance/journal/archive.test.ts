import test, { type ExecutionContext } from 'ava'
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Journal } from './port.ts'
import { sampleInput } from './contract.ts'
import { SqliteHarness } from './harness.ts'

async function make(t: ExecutionContext, archiveMaxBytes: number) {
  const harness = await SqliteHarness.make({ maxFinished: 100, archiveMaxBytes })
  t.teardown(() => harness.dispose())
  return harness
}
const archives = (harness: SqliteHarness) => readdirSync(harness.folder).filter((name) => /\.archive-\d+\.sqlite$/.test(name))

/** Accepts and finishes `count` intents, a group at a time. */
async function finished(journal: Journal, count: number, deadLetter = false) {
  const inputs = Array.from({ length: count }, () => sampleInput())
  await Promise.all(inputs.map((input) => journal.accept(input)))
  await Promise.all(inputs.map((input) => journal.finish(input.envelope.id, { state: 'failed', code: 'DEADLINE', deadLetter })))
  return inputs
}

/** Archiving goes on between groups; each read makes one more group, so this ends when it has ended. */
async function archived(journal: Journal, atLeast: number) {
  while ((await journal.stats()).archivedTotal < atLeast) await journal.read('x')
}

test('finished intents beyond the limit go to the archive, can still be read, and their ids are still known', async (t) => {
  const harness = await make(t, 1 << 26)
  const open = sampleInput()
  await harness.journal.accept(open)
  const dead = (await finished(harness.journal, 1, true))[0]!
  const inputs = await finished(harness.journal, 600)
  const before = await harness.journal.get(inputs[0]!.envelope.id)
  await archived(harness.journal, 500)
  for (const reopened of [false, true]) {
    const journal = reopened ? await harness.reopen() : harness.journal
    const stats = await journal.stats()
    t.true(stats.finished - stats.archivedTotal <= 125, 'at most one step over the limit stays')
    t.deepEqual([stats.accepted, stats.unfinished, stats.finished, stats.deadLetters], [602, 1, 601, 1])
    t.deepEqual(await journal.get(inputs[0]!.envelope.id), before)
    t.is(before?.final?.code, 'DEADLINE')
    t.is(await journal.accept(inputs[0]!), 'duplicate')
    t.is(await journal.accept({ ...inputs[0]!, envelope: { ...inputs[0]!.envelope, priority: 1 } }), 'conflict')
    t.false(await journal.finish(inputs[0]!.envelope.id, { state: 'succeeded' }))
    t.is(await journal.claim(inputs[0]!.envelope.id, { node: 'base' }), undefined)
    t.is((await journal.get(open.envelope.id))?.state, 'accepted', 'what is unfinished is never archived')
    t.deepEqual((await journal.list({ deadLetter: true })).map(({ envelope }) => envelope.id), [dead.envelope.id], 'nor is a dead letter')
  }
})

test('a journal of dead letters alone is bounded as well', async (t) => {
  const { journal } = await make(t, 1 << 26)
  await finished(journal, 300, true)
  await archived(journal, 200)
  t.true((await journal.stats()).deadLetters <= 125)
})

test('beyond its size the oldest archive file is dropped with an event, and the ids in it are still known', async (t) => {
  const harness = await make(t, 400_000)
  const first = (await finished(harness.journal, 200))[0]!
  for (let done = 200; !harness.events.some(({ name }) => name === 'journal.archive-dropped'); done += 200) await finished(harness.journal, 200)
  const bytes = archives(harness).reduce((sum, name) => sum + statSync(join(harness.folder, name)).size, 0)
  t.true(bytes <= 500_000, `${bytes} bytes`)
  t.false(archives(harness).includes('journal.archive-1.sqlite'))
  t.is(await harness.journal.get(first.envelope.id), undefined)
  t.is(await harness.journal.accept(first), 'duplicate')
})

test('a damaged archive file is left as it is, with an event; the next one goes on, and accepting never stops', async (t) => {
  const harness = await make(t, 1 << 26)
  const first = (await finished(harness.journal, 200))[0]!
  await archived(harness.journal, 75)
  await harness.journal.stop()
  const file = join(harness.folder, 'journal.archive-1.sqlite')
  writeFileSync(file, Buffer.alloc(20_000, 7))
  const journal = await harness.reopen()
  t.is(await journal.get(first.envelope.id), undefined)
  await harness.event('journal.archive-unreadable')
  t.is(await journal.accept(first), 'duplicate')
  await finished(journal, 200)
  await archived(journal, 200)
  t.is((await harness.event('journal.archive-failed')).code, 'JOURNAL_CORRUPT')
  t.deepEqual(archives(harness), ['journal.archive-1.sqlite', 'journal.archive-2.sqlite'])
  t.is(statSync(file).size, 20_000)
})
