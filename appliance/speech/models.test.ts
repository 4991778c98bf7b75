import { copyFile, mkdir, mkdtemp, open, readFile, rm, utimes, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import test from 'ava'
import { checkModels, folderOf, SILERO_MODEL, TrustedFiles, VOSK_MODEL } from './models.ts'

const folders: string[] = []
const temporary = async () => { const folder = await mkdtemp(join(tmpdir(), 'mtor-models-')); folders.push(folder); return folder }
test.after.always(async () => { for (const folder of folders) await rm(folder, { recursive: true, force: true }) })

/** A copy of the Vosk model without its two large graphs, and what is expected of it. */
async function copyOfModel() {
  const folder = await temporary()
  const files = Object.fromEntries(Object.entries(VOSK_MODEL.files).filter(([file]) => !file.startsWith('graph/') && !file.startsWith('am/')))
  for (const file of Object.keys(files)) {
    await mkdir(dirname(join(folder, file)), { recursive: true })
    await copyFile(join(folderOf(VOSK_MODEL), file), join(folder, file))
  }
  return { folder, model: { ...VOSK_MODEL, files } }
}

async function flip(file: string) {
  const before = await stat(file)
  const handle = await open(file, 'r+')
  const byte = Buffer.alloc(1)
  await handle.read(byte, 0, 1, 10)
  byte[0]! ^= 1
  await handle.write(byte, 0, 1, 10)
  await handle.close()
  await utimes(file, before.atime, before.mtime)
}

test('the installed models are the ones that were tested', async (t) => {
  const report = await checkModels()
  t.true(report.ok, report.message)
})

test('a model with one flipped bit is not trusted, even when its size and time are the same', async (t) => {
  const { folder, model } = await copyOfModel()
  const cacheDir = await temporary()
  t.is(await new TrustedFiles(cacheDir).folder(model, folder), folder)
  await flip(join(folder, 'ivector/final.mat'))
  const error = await t.throwsAsync(new TrustedFiles(cacheDir).folder(model, folder), { code: 'MODEL_UNTRUSTED' })
  t.regex(error.message, /final\.mat/)
})

test('a checked file is not read again at the next start', async (t) => {
  const { folder, model } = await copyOfModel()
  const cacheDir = await temporary()
  await new TrustedFiles(cacheDir).folder(model, folder)
  // Whoever may write the cache is believed: a second start compares only sizes and times with it.
  const remembered = JSON.parse(await readFile(join(cacheDir, 'trusted-files.json'), 'utf8')) as Record<string, string>
  t.deepEqual(Object.keys(remembered).sort(), Object.keys(model.files).map((file) => join(folder, file)).sort())
  t.is(await new TrustedFiles(cacheDir).folder(model, folder), folder)
})

test('a cache that is damaged costs time, not trust', async (t) => {
  const { folder, model } = await copyOfModel()
  const cacheDir = await temporary()
  for (const content of ['', '[1]', 'null', '{"x":', '\u0000\u0001']) {
    const handle = await open(join(cacheDir, 'trusted-files.json'), 'w')
    await handle.writeFile(content)
    await handle.close()
    t.is(await new TrustedFiles(cacheDir).folder(model, folder), folder)
  }
})

test('a missing file and a missing package say so', async (t) => {
  const { folder, model } = await copyOfModel()
  await rm(join(folder, 'conf/mfcc.conf'))
  await t.throwsAsync(new TrustedFiles().folder(model, folder), { code: 'ENGINE_MISSING' })
  t.throws(() => folderOf({ ...SILERO_MODEL, npmPackage: 'no-such-package-here' }), { code: 'ENGINE_MISSING' })
})
