import { appendFile, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { ManualClock } from '../contracts/clock.ts'
import type { MtorError } from '../contracts/errors.ts'
import { NotesFile, type Note } from './notes-file.ts'
import { makeNotesSkill } from './notes.ts'
import { contextOf, instantOf } from './testing.ts'

async function folder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'mtor-notes-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  return path
}
const noteOf = (id: string, text = id): Note => ({ id, at: { boot: 1, mono: 1 }, text })

test('notes are written as they were spoken, and read with how long ago', async (t) => {
  const clock = new ManualClock(1_000, undefined)
  let boot = 1
  const skill = makeNotesSkill({ file: new NotesFile(join(await folder(t), 'a', 'notes.jsonl')), now: instantOf(clock, () => boot) })
  t.is((await skill.run(contextOf('log.play'))).say, 'There are no notes.')
  t.is((await skill.run(contextOf('log.record', { text: 'the left wheel squeaks' }))).say, 'Noted.')
  await clock.advance(125_000)
  await skill.run(contextOf('log.record', { text: 'oiled it.' }))
  t.is((await skill.run(contextOf('log.play'))).say, '2 minutes ago: the left wheel squeaks. Just now: oiled it.')
  t.is((await skill.run(contextOf('log.play', { count: 1 }))).say, 'Just now: oiled it.')
  boot = 2
  t.is((await skill.run(contextOf('log.play', { count: 1 }))).say, 'At an unknown time: oiled it.')
})

test('a note of another day is told with its day', async (t) => {
  const at = new Date(2026, 2, 4, 7, 5).getTime()
  const clock = new ManualClock(1_000, at)
  const skill = makeNotesSkill({ file: new NotesFile(join(await folder(t), 'notes.jsonl')), now: instantOf(clock, () => 1) })
  await skill.run(contextOf('log.record', { text: 'frost' }))
  await clock.advance(3 * 24 * 3600_000)
  t.is((await skill.run(contextOf('log.play'))).say, 'On 4 March 2026 at 07:05: frost.')
})

test('a note that is carried out again after a restart stands there once', async (t) => {
  const path = join(await folder(t), 'notes.jsonl')
  const context = contextOf('log.record', { text: 'once' })
  const now = instantOf(new ManualClock(), () => 1)
  await makeNotesSkill({ file: new NotesFile(path), now }).run(context)
  await makeNotesSkill({ file: new NotesFile(path), now }).run(context)
  t.is((await new NotesFile(path).last(10)).length, 1)
})

test('a line torn by a crash spoils only itself', async (t) => {
  const path = join(await folder(t), 'notes.jsonl')
  const file = new NotesFile(path)
  await file.append(noteOf('a'))
  await appendFile(path, '{"id":"torn","at":{"bo')
  await file.append(noteOf('b'))
  await appendFile(path, '{"id":7}\n')
  t.deepEqual((await file.last(10)).map((n) => n.id), ['a', 'b'])
})

test('the files stay bounded, and the last notes are read across them in order', async (t) => {
  const root = await folder(t)
  const file = new NotesFile(join(root, 'notes.jsonl'), { maxBytes: 1_000, keep: 2 })
  const ids = Array.from({ length: 100 }, (_, i) => `n${i}`)
  for (const id of ids) await file.append(noteOf(id))
  t.deepEqual((await readdir(root)).sort(), ['notes.jsonl', 'notes.jsonl.1', 'notes.jsonl.2'])
  for (const name of await readdir(root)) t.true((await stat(join(root, name))).size <= 1_000)
  t.deepEqual((await file.last(30)).map((n) => n.id), ids.slice(-30))
  const all = (await file.last(100)).map((n) => n.id)
  t.deepEqual(all, ids.slice(-all.length))
})

test('notes recorded at the same time are all written, whole', async (t) => {
  const path = join(await folder(t), 'notes.jsonl')
  const file = new NotesFile(path)
  await Promise.all(Array.from({ length: 20 }, (_, i) => file.append(noteOf(`n${i}`, 'x'.repeat(500)))))
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n')
  t.deepEqual(lines.map((line) => (JSON.parse(line) as Note).id), Array.from({ length: 20 }, (_, i) => `n${i}`))
})

test('a note that cannot be written is an error, never "noted"', async (t) => {
  const root = await folder(t)
  await writeFile(join(root, 'file'), '')
  const skill = makeNotesSkill({ file: new NotesFile(join(root, 'file', 'notes.jsonl')), now: instantOf(new ManualClock(), () => 1) })
  const error = await t.throwsAsync(skill.run(contextOf('log.record', { text: 'lost' }))) as MtorError
  t.is(error.code, 'JOURNAL_UNAVAILABLE')
})
