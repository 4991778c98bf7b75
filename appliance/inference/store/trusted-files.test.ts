import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { cleanUp, flip, noise, put, sha256, temporary } from './testing.ts'
import { TrustedFiles } from './trusted-files.ts'

cleanUp(test)

async function model() {
  const folder = await temporary()
  const files = { 'a/final.mat': noise(5_000, 2), 'words.txt': noise(300, 3) }
  await put(folder, files)
  return { folder, pinned: { name: 'a model', files: Object.fromEntries(Object.entries(files).map(([path, data]) => [path, sha256(data)])) } }
}

test('a model with one flipped bit is not trusted, even when its size and time are the same', async (t) => {
  const { folder, pinned } = await model()
  const cacheDir = await temporary()
  t.is(await new TrustedFiles(cacheDir).folder(pinned, folder), folder)
  await flip(join(folder, 'a/final.mat'))
  const error = await t.throwsAsync(new TrustedFiles(cacheDir).folder(pinned, folder), { code: 'MODEL_UNTRUSTED' })
  t.regex(error.message, /final\.mat/)
})

test('a checked file is remembered by its state, so that the next start reads nothing', async (t) => {
  const { folder, pinned } = await model()
  const cacheDir = await temporary()
  await new TrustedFiles(cacheDir).folder(pinned, folder)
  const file = join(cacheDir, 'trusted-files.json')
  const remembered = JSON.parse(await readFile(file, 'utf8')) as Record<string, string>
  t.deepEqual(Object.keys(remembered).sort(), Object.keys(pinned.files).map((path) => join(folder, path)).sort())
  t.is((await stat(file)).mode & 0o777, 0o600)
  // Whoever may write the cache is believed: an entry for the file as it is stands for reading it.
  await flip(join(folder, 'words.txt'))
  const { size, mtimeNs, ctimeNs, ino } = await stat(join(folder, 'words.txt'), { bigint: true })
  await writeFile(file, JSON.stringify({ ...remembered, [join(folder, 'words.txt')]: [pinned.files['words.txt'], size, mtimeNs, ctimeNs, ino].join(':') }))
  t.is(await new TrustedFiles(cacheDir).folder(pinned, folder), folder)
  t.is(await new TrustedFiles(cacheDir).check(join(folder, 'words.txt'), pinned.files['words.txt']!, { fresh: true }), 'damaged')
})

test('a cache that is damaged costs time, not trust', async (t) => {
  const { folder, pinned } = await model()
  const cacheDir = await temporary()
  for (const content of ['', '[1]', 'null', '{"x":', '\u0000\u0001']) {
    await writeFile(join(cacheDir, 'trusted-files.json'), content)
    t.is(await new TrustedFiles(cacheDir).folder(pinned, folder), folder)
  }
})

test('a missing file says so', async (t) => {
  const { folder, pinned } = await model()
  await rm(join(folder, 'words.txt'))
  await t.throwsAsync(new TrustedFiles().folder(pinned, folder), { code: 'ENGINE_MISSING' })
  t.is(await new TrustedFiles().check(join(folder, 'words.txt'), pinned.files['words.txt']!), 'missing')
})
