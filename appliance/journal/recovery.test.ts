import test, { type ExecutionContext } from 'ava'
import { spawnSync } from 'node:child_process'
import { existsSync, openSync, closeSync, readdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { MtorError } from '../contracts/errors.ts'
import { canonicalJson, contentHash } from './content.ts'
import { sampleInput } from './contract.ts'
import { countersFile, readCounters } from './counters.ts'
import { SqliteHarness } from './harness.ts'
import { migrate, SCHEMA_VERSION, versionOf } from './schema.ts'

const unavailable = { instanceOf: MtorError, code: 'JOURNAL_UNAVAILABLE' } as const

async function make(t: ExecutionContext, options: Parameters<typeof SqliteHarness.make>[0] = {}) {
  const harness = await SqliteHarness.make(options)
  t.teardown(() => harness.dispose())
  return harness
}

/** A stopped journal with 400 finished and 100 unfinished intents, a value and a device at its third epoch. */
async function filled(t: ExecutionContext) {
  const harness = await make(t)
  const { journal } = harness
  const inputs = Array.from({ length: 500 }, () => sampleInput())
  await Promise.all(inputs.map((input) => journal.accept(input)))
  await Promise.all(inputs.slice(0, 400).map((input) => journal.finish(input.envelope.id, { state: 'succeeded' })))
  for (let i = 0; i < 3; i++) await journal.nextEpoch('rover')
  await journal.put('mode/now', 'safe')
  await journal.boot('boot-a')
  await journal.stop()
  return { harness, inputs }
}

const overwrite = (file: string, at: number, bytes: Buffer) => {
  const fd = openSync(file, 'r+')
  try { writeSync(fd, bytes, 0, bytes.length, at) } finally { closeSync(fd) }
}
const noise = (length: number) => Buffer.from(Array.from({ length }, (_, i) => (i * 7919 + 13) % 251))
const corruptFiles = (harness: SqliteHarness) => readdirSync(harness.folder).filter((name) => name.startsWith('journal.sqlite.corrupt-'))

const DAMAGES: Record<string, (file: string) => void> = {
  'random bytes': (file) => { writeFileSync(file, noise(50_000)) },
  'cut off in the middle': (file) => { truncateSync(file, Math.floor(statSync(file).size / 2)) },
  'cut off to an odd size': (file) => { truncateSync(file, 10_001) },
  'a zeroed header': (file) => { overwrite(file, 0, Buffer.alloc(100)) },
  'a header that claims a later version': (file) => { overwrite(file, 60, Buffer.from([0x40])) },
  'a header that claims an earlier version': (file) => { overwrite(file, 60, Buffer.from([0, 0, 0, 1])) },
  'every fifth page overwritten': (file) => { for (let at = 4096 * 4; at < statSync(file).size - 4096; at += 4096 * 5) overwrite(file, at, noise(4096)) },
}

for (const [what, damage] of Object.entries(DAMAGES)) {
  test(`a file with ${what} is set aside with an event; the journal starts, epochs grow, boots count on`, async (t) => {
    const { harness } = await filled(t)
    damage(harness.file)
    const damaged = readFileSync(harness.file)
    const journal = await harness.reopen()
    t.is((await harness.event('journal.corrupt')).code, 'JOURNAL_CORRUPT')
    t.deepEqual(corruptFiles(harness), ['journal.sqlite.corrupt-20260101T000000Z'])
    t.deepEqual(readFileSync(`${harness.folder}/${corruptFiles(harness)[0]}`), damaged, 'what was set aside is as it was found')
    t.is(await journal.accept(sampleInput()), 'accepted')
    const stale = await t.throwsAsync(journal.claim((await journal.unfinished())[0]!.envelope.id, { node: 'base', device: 'rover', epoch: 3 }))
    t.is((stale as MtorError).code, 'STALE_EPOCH', 'the sequence of the last epoch is lost, so it may not be used any more')
    t.true(await journal.nextEpoch('rover') > 3)
    t.is(await journal.boot('boot-b'), 2)
    harness.events.length = 0
    await harness.reopen()
    t.deepEqual(harness.events, [])
  })
}

test('of a file with one damaged page everything else is rescued, finished intents too, so that a replay is known', async (t) => {
  const { harness, inputs } = await filled(t)
  const db = new DatabaseSync(harness.file)
  const page = db.prepare(`SELECT pageno FROM dbstat WHERE name = 'intent' AND pagetype = 'leaf' LIMIT 1 OFFSET 3`).get()?.pageno as number
  db.close()
  overwrite(harness.file, (page - 1) * 4096, noise(4096))
  const journal = await harness.reopen()
  const { data } = await harness.event('journal.corrupt')
  t.is(data?.unfinished, 100)
  t.true(data!.lost as number > 0 && data!.lost as number < 30, `lost ${String(data?.lost)}`)
  t.is(data?.rescued, 500 - (data!.lost as number))
  t.deepEqual((await journal.unfinished()).map(({ envelope }) => envelope.id), inputs.slice(400).map(({ envelope }) => envelope.id))
  t.is(await journal.accept(inputs[399]!), 'duplicate')
  t.is(await journal.read('mode/now'), 'safe')
})

test('an unfinished intent whose stored content changed is never handed out', async (t) => {
  const { harness, inputs } = await filled(t)
  const { id } = inputs[450]!.envelope
  const db = new DatabaseSync(harness.file)
  db.prepare(`UPDATE intent SET envelope = replace(envelope, '"distanceM":2', '"distanceM":9') WHERE id = ?`).run(id)
  t.is(db.prepare('PRAGMA quick_check').get()?.quick_check, 'ok', 'SQLite does not see it')
  db.close()
  const journal = await harness.reopen()
  await harness.event('journal.corrupt')
  t.is(await journal.get(id), undefined)
  t.is((await journal.unfinished()).length, 99)
})

for (const when of ['before', 'between']) test(`a crash ${when} the renames of a rescue is made good by the next start`, async (t) => {
  const { harness, inputs } = await filled(t)
  overwrite(harness.file, 60, Buffer.from([0x40]))
  await harness.reopen()
  await harness.journal.stop()
  const aside = corruptFiles(harness)[0]!
  renameSync(harness.file, `${harness.file}.rescued`)
  // The power went between the two renames, or before them.
  if (when === 'before') renameSync(`${harness.folder}/${aside}`, harness.file)
  harness.events.length = 0
  const journal = await harness.reopen()
  await harness.event('journal.corrupt')
  t.is((await journal.unfinished()).length, 100)
  t.is(await journal.accept(inputs[0]!), 'duplicate')
  t.true(await journal.nextEpoch('rover') > 3)
  t.deepEqual(corruptFiles(harness), [aside])
})

test('a journal that is gone while its counters are there is announced, and epochs grow', async (t) => {
  const { harness } = await filled(t)
  rmSync(harness.file)
  const journal = await harness.reopen()
  t.is((await harness.event('journal.missing')).code, 'JOURNAL_CORRUPT')
  t.true(await journal.nextEpoch('rover') > 3)
  t.is(await journal.boot('boot-a'), 1, 'it still is the same boot')
})

test('damaged counters are made good from the journal', async (t) => {
  const { harness } = await filled(t)
  writeFileSync(countersFile(harness.file), noise(40))
  t.is(readCounters(harness.file), undefined)
  const journal = await harness.reopen()
  t.is(await journal.nextEpoch('rover'), 4)
  t.is(readCounters(harness.file)?.epochs.rover, 4)
  t.is(await journal.boot('boot-a'), 1)
})

test('with journal and counters both damaged, epochs start above every number counted so far', async (t) => {
  const { harness } = await filled(t)
  writeFileSync(harness.file, noise(10_000))
  writeFileSync(countersFile(harness.file), '{}')
  let journal = await harness.reopen()
  const first = await journal.nextEpoch('rover')
  t.true(first >= harness.clock.wallMs()! / 1000)
  journal = await harness.reopen()
  t.true(await journal.nextEpoch('rover') > first)
})

test('a file of a later release is refused and left as it is', async (t) => {
  const { harness } = await filled(t)
  const db = new DatabaseSync(harness.file)
  db.exec(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`)
  db.close()
  rmSync(countersFile(harness.file))
  const before = readFileSync(harness.file)
  const error = await t.throwsAsync(harness.reopen(), unavailable)
  t.regex(error!.message, /version 3.*up to 2/)
  t.regex((error as MtorError).hint, /newer release/)
  t.deepEqual(readFileSync(harness.file), before)
  t.deepEqual(corruptFiles(harness), [])
  await t.throwsAsync(harness.journal.accept(sampleInput()), unavailable)
})

test('a file of version 1, without dead letters and archive, is migrated with all it holds', async (t) => {
  const harness = await make(t, { started: false })
  const [open, done] = [sampleInput(), sampleInput()]
  const db = new DatabaseSync(harness.file)
  migrate(db, 1)
  const insert = db.prepare('INSERT INTO intent(id, hash, envelope, client, boot, mono, state, final) VALUES (?, ?, ?, ?, 1, 2.5, ?, ?)')
  for (const [input, state, final] of [[open, 'accepted', null], [done, 'failed', '{"code":"STALLED"}']] as const) {
    const text = canonicalJson(input.envelope)
    insert.run(input.envelope.id, contentHash(text), text, 'old', state, final)
  }
  db.prepare('INSERT INTO device VALUES (?, 7, 12)').run('rover')
  db.close()
  const { journal } = harness
  await journal.start()
  t.deepEqual((await journal.unfinished()).map((entry) => entry.envelope), [JSON.parse(JSON.stringify(open.envelope))])
  const failed = await journal.get(done.envelope.id)
  t.deepEqual([failed?.state, failed?.final?.code, failed?.deadLetter], ['failed', 'STALLED', false])
  t.is(await journal.accept(done), 'duplicate')
  t.is(await journal.nextEpoch('rover'), 8)
  await journal.stop()
  const after = new DatabaseSync(harness.file)
  t.is(versionOf(after), SCHEMA_VERSION)
  after.close()
  t.deepEqual(harness.events, [])
})

test('a second process cannot open the same journal', async (t) => {
  const harness = await make(t)
  const script = `const { DatabaseSync } = require('node:sqlite'); try { new DatabaseSync(process.argv[1]).exec('CREATE TABLE x (y)') } catch (error) { console.log(error.errcode) }`
  const { stdout } = spawnSync(process.execPath, ['-e', script, harness.file], { encoding: 'utf8' })
  t.is(stdout.trim(), '5', 'SQLITE_BUSY')
  t.is(await harness.journal.accept(sampleInput()), 'accepted')
  t.false(existsSync(`${harness.file}-shm`))
})

test('a path that cannot be a database is refused with JOURNAL_UNAVAILABLE, and start can be tried again', async (t) => {
  const harness = await make(t, { started: false })
  writeFileSync(`${harness.folder}/file`, '')
  const journal = harness.create({ file: `${harness.folder}/file/journal.sqlite` })
  await t.throwsAsync(journal.start(), unavailable)
  rmSync(`${harness.folder}/file`)
  await journal.start()
  t.is(await journal.accept(sampleInput()), 'accepted')
  await journal.stop()
})
