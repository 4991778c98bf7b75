import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { folderOf, SILERO_MODEL, trustedFolder, TrustedFiles, VOSK_LIBRARY, VOSK_LIBRARY_ARM64, VOSK_MODEL } from './models.ts'

const folders: string[] = []
const temporary = async () => { const folder = await mkdtemp(join(tmpdir(), 'mtor-models-')); folders.push(folder); return folder }
test.after.always(async () => { for (const folder of folders) await rm(folder, { recursive: true, force: true }) })

test('the installed models are the ones that were tested', async (t) => {
  for (const model of [SILERO_MODEL, VOSK_MODEL, ...process.arch === 'x64' ? [VOSK_LIBRARY] : []]) t.is(await trustedFolder(model), folderOf(model))
})

test('a missing file and a missing package say so', async (t) => {
  const folder = await temporary()
  const files = Object.fromEntries(Object.entries(VOSK_MODEL.files).filter(([file]) => file.startsWith('conf/')))
  await mkdir(join(folder, 'conf'))
  await copyFile(join(folderOf(VOSK_MODEL), 'conf/model.conf'), join(folder, 'conf/model.conf'))
  await t.throwsAsync(new TrustedFiles().folder({ ...VOSK_MODEL, files }, folder), { code: 'ENGINE_MISSING' })
  t.throws(() => folderOf({ ...SILERO_MODEL, npmPackage: 'no-such-package-here' }), { code: 'ENGINE_MISSING' })
  t.throws(() => folderOf(VOSK_LIBRARY_ARM64), { code: 'ENGINE_MISSING' })
})

test('what npm did not bring is asked of the store, and what no copy can mend is not handed out', async (t) => {
  const modelsDir = await temporary()
  const lost = { ...SILERO_MODEL, npmPackage: 'no-such-package-here' }
  // The store finds the package by the manifest's own name for it.
  t.is(await trustedFolder(lost, { modelsDir }), folderOf(SILERO_MODEL))
  await t.throwsAsync(trustedFolder({ ...lost, model: 'no-such-model' }, { modelsDir }), { code: 'ENGINE_MISSING', message: /no-such-package-here/ })
})
