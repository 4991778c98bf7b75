import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { bench, cleanUp, flip, manifestOf, noise, pinnedFile, put, temporary, until } from './testing.ts'

cleanUp(test)

const DATA = { 'model.onnx': noise(9_000, 5), 'words.txt': noise(700, 6) }

/** A store with one model of two files, brought from a folder of the operator. */
async function withModel(more = {}) {
  const source = await temporary()
  await put(source, DATA)
  const made = await bench([manifestOf('eyes', { kind: 'file', path: source }, Object.entries(DATA).map(([path, data]) => pinnedFile(path, data)))], more)
  const pulled = await made.store.pull('eyes')
  const home = join(made.modelsDir, 'eyes/1'); const copy = join(made.modelsDir, 'copy/eyes/1')
  return { ...made, source, pulled, home, copy }
}

test('a model is brought once, with a second copy, and is handed out', async (t) => {
  const { store, pulled, home, copy, modelsDir } = await withModel()
  t.is(pulled.how, 'fetched')
  for (const folder of [home, copy]) for (const [path, data] of Object.entries(DATA)) t.deepEqual(await readFile(join(folder, path)), data)
  t.is((await store.trusted('eyes')).folder, home)
  t.is((await store.pull('eyes')).how, 'present')
  t.is(await store.presence('eyes'), 'here')
  t.deepEqual(await readdir(join(modelsDir, '.incoming')), [])
})

test('a model that was not brought says how to bring it, and one that nobody knows is not found', async (t) => {
  const { store } = await bench([manifestOf('eyes', { kind: 'file', path: join(await temporary(), 'gone') }, [pinnedFile('a.bin', noise(10))])])
  const error = await t.throwsAsync(store.trusted('eyes'), { code: 'MODEL_UNAVAILABLE' })
  t.regex((error as { hint?: string }).hint!, /models pull eyes/)
  await t.throwsAsync(store.trusted('ears'), { code: 'NOT_FOUND' })
  await t.throwsAsync(store.trusted('../eyes'), { code: 'NOT_FOUND' })
  await t.throwsAsync(store.pull('eyes'), { code: 'NOT_FOUND', message: /gone/ })
})

test('a damaged and a missing file are put right from the copy before the model is handed out', async (t) => {
  const { store, home, events } = await withModel()
  await flip(join(home, 'model.onnx'))
  await rm(join(home, 'words.txt'))
  t.is((await store.trusted('eyes')).folder, home)
  for (const [path, data] of Object.entries(DATA)) t.deepEqual(await readFile(join(home, path)), data)
  const [event, ...others] = events
  t.is(others.length, 0)
  t.is(event!.name, 'model.repaired')
  t.deepEqual((event!.data as { files: string[] }).files.sort(), [join(home, 'model.onnx'), join(home, 'words.txt')])
})

test('a model that is damaged in both copies is never handed out, and a pull brings it again', async (t) => {
  const { store, home, copy, events } = await withModel()
  await flip(join(home, 'model.onnx'))
  await flip(join(copy, 'model.onnx'), 200)
  for (let again = 0; again < 2; again++) await t.throwsAsync(store.trusted('eyes'), { code: 'MODEL_UNTRUSTED', message: /model\.onnx/ })
  t.deepEqual(events.map(({ name, severity, code }) => [name, severity, code]), [['model.untrusted', 'error', 'MODEL_UNTRUSTED']])
  t.is((await store.pull('eyes')).how, 'fetched')
  t.is((await store.trusted('eyes')).folder, home)
})

test('a source whose content has changed is refused, and what was there stays', async (t) => {
  const { store, source, home, copy, modelsDir } = await withModel()
  await writeFile(join(source, 'model.onnx'), noise(9_000, 99))
  await rm(join(home, 'model.onnx'))
  await rm(join(copy, 'model.onnx'))
  await t.throwsAsync(store.pull('eyes'), { code: 'MODEL_UNTRUSTED', message: /came with SHA-256/ })
  t.deepEqual(await readdir(home), ['words.txt'])
  t.deepEqual(await readdir(join(modelsDir, '.incoming')), [])
})

test('the scrub finds what a warm start cannot see, puts either copy right, and tells it', async (t) => {
  const { store, home, copy, events, clock } = await withModel({ scrubPeriodMs: 60_000 })
  await store.trusted('eyes')
  await flip(join(copy, 'words.txt'))
  store.start()
  store.start()
  await clock.advance(60_000)
  await until(() => events.length > 0, 'the scrub to tell of the damage')
  await store.stop()
  await store.stop()
  t.deepEqual(await readFile(join(copy, 'words.txt')), DATA['words.txt'])
  t.deepEqual(events.map(({ name }) => name), ['model.repaired'])
  const report = await store.scrub()
  t.deepEqual([report.models, report.bytes, report.repaired, report.untrusted], [1, 2 * 9_700, [], []])
  await flip(join(home, 'words.txt'))
  await flip(join(copy, 'words.txt'), 20)
  t.deepEqual((await store.scrub()).untrusted, ['eyes'])
  t.is(events.at(-1)!.name, 'model.untrusted')
})

test('verify names the damaged file and its place, and changes nothing', async (t) => {
  const { store, home } = await withModel()
  await flip(join(home, 'words.txt'))
  const [verified] = await store.verify('eyes')
  t.is(verified!.state, 'damaged')
  t.deepEqual(verified!.places.map(({ kind, files }) => [kind, files['words.txt'], files['model.onnx']]), [['store', 'damaged', 'good'], ['copy', 'good', 'good']])
  t.notDeepEqual(await readFile(join(home, 'words.txt')), DATA['words.txt'])
})

test('what npm installed is used where it is and copied; damaged, the copy serves and the package is left alone', async (t) => {
  const installed = join(import.meta.dirname, '../../../node_modules/yaml/package.json')
  const data = await readFile(installed)
  const { store, modelsDir } = await bench([manifestOf('right', { kind: 'installed', package: 'yaml', folder: '' }, [pinnedFile('package.json', data)])])
  t.is((await store.pull('right')).how, 'present')
  t.is((await store.trusted('right')).folder, join(installed, '..'))
  t.deepEqual(await readFile(join(modelsDir, 'copy/right/1/package.json')), data)
  // The package holds something else than what is pinned, as after damage.
  const tested = noise(500, 8)
  const other = await bench([manifestOf('other', { kind: 'installed', package: 'yaml', folder: '' }, [pinnedFile('package.json', tested)])])
  await t.throwsAsync(other.store.trusted('other'), { code: 'MODEL_UNTRUSTED' })
  await put(join(other.modelsDir, 'copy/other/1'), { 'package.json': tested })
  t.is((await other.store.trusted('other')).folder, join(other.modelsDir, 'other/1'))
  t.deepEqual(await readFile(join(other.modelsDir, 'other/1/package.json')), tested)
  t.deepEqual(await readFile(installed), data)
  t.deepEqual(other.events.map(({ name }) => name), ['model.untrusted', 'model.repaired'])
})

test('a learned model is installed with its hashes, replaces its older version, and its manifest is sealed', async (t) => {
  const { store, modelsDir, events } = await bench()
  const folder = await temporary()
  await put(folder, { 'head.onnx': noise(400) })
  const draft = { ...manifestOf('word-rover', { kind: 'learned', by: 'mtor learn word' }, []), files: [{ path: 'head.onnx' }] }
  await store.install(draft, folder)
  await put(folder, { 'head.onnx': noise(500, 2) })
  const second = await store.install({ ...draft, version: '2' }, folder)
  t.is(second.files[0]!.bytes, 500)
  t.deepEqual(await readdir(join(modelsDir, 'word-rover')), ['2'])
  t.deepEqual(store.list().map(({ name, version }) => [name, version]), [['word-rover', '2']])
  const file = join(modelsDir, 'word-rover/2/manifest.json')
  t.is((await stat(file)).mode & 0o777, 0o600)
  // Whoever changes the hash it is judged by breaks the seal; the copy's manifest is used and put back.
  const text = await readFile(file, 'utf8')
  await writeFile(file, text.replace(second.files[0]!.sha256, 'a'.repeat(64)))
  t.is((await store.trusted('word-rover')).manifest.files[0]!.sha256, second.files[0]!.sha256)
  t.is(events.at(-1)!.name, 'model.invalid')
  await store.scrub()
  t.is(await readFile(file, 'utf8'), text)
  await rm(join(modelsDir, 'word-rover'), { recursive: true })
  t.is((await store.trusted('word-rover')).folder, join(modelsDir, 'word-rover/2'))
  await store.remove('word-rover')
  t.deepEqual(store.list(), [])
  await t.throwsAsync(store.pull('word-rover'), { code: 'NOT_FOUND' })
})

test('an own model may not take a name that is taken, or that of the folder of copies', async (t) => {
  const { store, source } = await withModel()
  const addition = { source: { kind: 'file', path: join(source, 'model.onnx') } as const }
  await t.throwsAsync(store.add({ ...addition, name: 'eyes' }), { code: 'USAGE', message: /already/ })
  await t.throwsAsync(store.add({ ...addition, name: 'copy' }), { code: 'MODEL_INVALID' })
  await t.throwsAsync(store.add({ ...addition, name: '../x' }), { code: 'MODEL_INVALID' })
})

test('a cancelled pull leaves nothing', async (t) => {
  const { store, home, copy, modelsDir } = await withModel()
  await rm(join(home, '..'), { recursive: true })
  await rm(join(copy, '..'), { recursive: true })
  const cancel = new AbortController()
  await t.throwsAsync(store.pull('eyes', { signal: cancel.signal, onProgress: ({ phase }) => { if (phase === 'copy') cancel.abort() } }), { code: 'CANCELLED' })
  t.is(await store.presence('eyes'), 'absent')
  t.deepEqual(await readdir(join(modelsDir, '.incoming')), [])
  await mkdir(home, { recursive: true })
  t.is((await store.pull('eyes')).how, 'fetched')
})
