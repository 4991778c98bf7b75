import test, { type ExecutionContext } from 'ava'
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { archivesWhatIsFinished } from './archive-contract.ts'
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
  await archivesWhatIsFinished(t, { journal: harness.journal, reopen: () => harness.reopen(), finished, archived, count: 600, atLeast: 500 })
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
