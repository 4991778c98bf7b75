import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { Manifest, TrustedModel } from '../manifest.ts'
import { flipWeights } from './flip.ts'
import { Models } from './models.ts'
import { manifestOf, sileroModel, smallGraph, temporary, writeModel } from './testing.ts'

function models(t: ExecutionContext): { models: Models; logged: string[] } {
  const logged: string[] = []
  const made = new Models({ log: (_level, message) => { logged.push(message) } })
  t.teardown(() => made.close())
  return { models: made, logged }
}
const load = (model: TrustedModel, providers: string[] = ['cpu'], threads = 1) => ({ kind: 'load' as const, requestId: 1, ...model, providers, threads })
const run = (model: string, input: unknown, prove = true) => ({ kind: 'run' as const, requestId: 2, model, input, prove })
const ASK = { feeds: { x: { type: 'float32', dims: [2, 4], data: Float32Array.of(1, 0, 0, 0, -1, 0, 0, 0) } } }

test('a model is loaded, proven by its known answers and by the nodes that ran, and answers', async (t) => {
  const { models: worker } = models(t)
  const loaded = await worker.load(load(await writeModel(await temporary(t))))
  t.like(loaded, { provider: 'cpu', nodeCounts: { cpu: 2 }, tried: [] })
  t.is(loaded.proofs.length, 1)
  t.like(loaded.proofs[0], { index: 0, output: { tensors: { y: { type: 'float32', dims: [1, 3], data: Float32Array.of(5.5, 6.5, 7.5) } } } })
  const { output, proof } = await worker.run(run('small', ASK))
  t.deepEqual(output, { tensors: { y: { type: 'float32', dims: [2, 3], data: Float32Array.of(0.25, 0.5, 0.75, 0, 0, 0) } } })
  t.deepEqual(proof, loaded.proofs[0], 'the known answer after the input came out as at the load, to the last bit')
  t.is((await worker.run(run('small', ASK, false))).proof, undefined)
  t.deepEqual((await worker.prove({ kind: 'prove', requestId: 3, model: 'small' })).proofs, loaded.proofs)
})

test('a real model of convolutions and an LSTM: all nodes ran on the CPU, equal runs have equal digests', async (t) => {
  const { models: worker } = models(t)
  const { nodeCounts, proofs } = await worker.load(load(await sileroModel(), ['cpu'], 2))
  t.deepEqual(Object.keys(nodeCounts), ['cpu'])
  t.true(nodeCounts.cpu! > 20, JSON.stringify(nodeCounts))
  const again = await worker.prove({ kind: 'prove', requestId: 3, model: 'silero' })
  t.is(again.proofs[0]!.digest, proofs[0]!.digest)
  t.regex(proofs[0]!.digest!, /^[0-9a-f]{64}$/)
})

test('an unknown provider is refused, also beside good ones, and nothing is loaded', async (t) => {
  const { models: worker } = models(t)
  const model = await writeModel(await temporary(t))
  const error = await t.throwsAsync(worker.load(load(model, ['gpu', 'cpu'])))
  t.like(error, { code: 'MODEL_INVALID', data: { unknown: ['gpu'] } })
  t.regex(error!.message, /unknown execution provider "gpu"; this build of onnxruntime has .*cpu/)
  t.like(await t.throwsAsync(worker.run(run('small', ASK))), { code: 'MODEL_UNAVAILABLE', message: 'small is not loaded in this worker' })
})

test('providers are tried one at a time; the CPU is taken and the reasons of the others are told', async (t) => {
  const { models: worker, logged } = models(t)
  const { provider, tried } = await worker.load(load(await writeModel(await temporary(t)), ['coreml', 'dml', 'cpu']))
  t.is(provider, 'cpu')
  t.deepEqual(tried.map((attempt) => attempt.provider), ['coreml', 'dml'], 'no Linux build has them')
  for (const { error } of tried) t.regex(error, /not found|unsupported/)
  t.deepEqual(logged, ['small: trying coreml', 'small: trying dml', 'small: trying cpu'])
})

test('where no provider takes a model that is one error with all reasons', async (t) => {
  const { models: worker } = models(t)
  const error = await t.throwsAsync(worker.load(load(await writeModel(await temporary(t)), ['coreml'])))
  t.like(error, { code: 'MODEL_UNAVAILABLE' })
  t.regex(error!.message, /^small runs on no provider: coreml: /)
  t.like((error as unknown as { data: { tried: object[] } }).data.tried[0], { provider: 'coreml' })
})

test('webgpu is taken only where it ran nodes itself; else why not is told and the CPU takes over', async (t) => {
  const { models: worker } = models(t)
  const { provider, nodeCounts, tried, proofs } = await worker.load(load(await writeModel(await temporary(t)), ['webgpu', 'cpu']))
  if (provider === 'webgpu') t.true(nodeCounts.webgpu! >= 1)
  else {
    t.is(provider, 'cpu')
    t.deepEqual(nodeCounts, { cpu: 2 })
    t.is(tried[0]?.provider, 'webgpu')
    t.regex(tried[0]!.error, /WebGPU|not found|unsupported/i)
  }
  t.like(proofs[0], { output: { tensors: { y: { data: Float32Array.of(5.5, 6.5, 7.5) } } } }, 'and a failed attempt harms nothing')
})

test('a file that is not the one of the manifest is never loaded', async (t) => {
  const { models: worker } = models(t)
  const folder = await temporary(t)
  const model = await writeModel(folder)
  const damaged = Uint8Array.from(smallGraph())
  damaged[damaged.length - 20]! ^= 1
  await writeFile(join(folder, 'model.onnx'), damaged)
  const error = await t.throwsAsync(worker.load(load(model, ['cuda', 'webgpu', 'cpu'])))
  t.like(error, { code: 'MODEL_UNTRUSTED', data: { model: 'small', file: 'model.onnx' } })
  t.like(await t.throwsAsync(worker.load(load({ ...model, folder: join(folder, 'absent') }))), { code: 'MODEL_UNTRUSTED' })
})

test('files beside the graph are checked before the model serves', async (t) => {
  const { models: worker } = models(t)
  const folder = await temporary(t)
  const model = await writeModel(folder)
  const labels = new TextEncoder().encode('cup\n')
  await writeFile(join(folder, 'labels.txt'), 'mug\n')
  const manifest: Manifest = { ...model.manifest, files: [...model.manifest.files, ...manifestOf('labels.txt', labels).files] }
  t.like(await t.throwsAsync(worker.load(load({ folder, manifest }))), { code: 'MODEL_UNTRUSTED', data: { file: 'labels.txt' } })
  await writeFile(join(folder, 'labels.txt'), labels)
  t.is((await worker.load(load({ folder, manifest }))).provider, 'cpu')
})

test('flipped weights go on under the same name, and the known answer after an input shows them', async (t) => {
  const { models: worker } = models(t)
  const { proofs } = await worker.load(load(await writeModel(await temporary(t))))
  t.is(await worker.tamper((bytes) => Promise.resolve(flipWeights(bytes, 3, 4))), 1)
  const { proof } = await worker.run(run('small', ASK))
  t.not(proof!.digest, proofs[0]!.digest)
  t.notDeepEqual(proof!.output, proofs[0]!.output)
})

test('a model without a known answer, of an unknown task, or that is no graph does not load', async (t) => {
  const { models: worker } = models(t)
  const folder = await temporary(t)
  const model = await writeModel(folder)
  t.like(await t.throwsAsync(worker.load(load({ folder, manifest: { ...model.manifest, knownAnswers: [] } }))), { code: 'MODEL_INVALID' })
  t.like(await t.throwsAsync(worker.load(load({ folder, manifest: { ...model.manifest, task: 'speech' } }))), { code: 'MODEL_INVALID' })
  const text = await writeModel(folder, new TextEncoder().encode('no graph'))
  const error = await t.throwsAsync(worker.load(load(text)))
  t.like(error, { code: 'MODEL_UNAVAILABLE' })
  t.regex(error!.message, /protobuf parsing failed/i)
})

/** A protobuf message of fields: numbers as varints below 128, text and bytes with their length. */
const message = (...fields: [number: number, value: number | string | Uint8Array][]): Uint8Array => Buffer.concat(fields.map(([number, value]) => {
  if (typeof value === 'number') return Buffer.from([number << 3, value])
  const content = Buffer.from(value as Uint8Array)
  return Buffer.concat([Buffer.from([(number << 3) | 2, content.length]), content])
}))

test('large weights may be in files beside the graph', async (t) => {
  const place = (key: string, value: string): [number, Uint8Array] => [13, message([1, key], [2, value])]
  const weights = message([1, 4], [1, 3], [2, 1], [8, 'w'], place('location', 'small.onnx.data'), place('offset', '0'), place('length', '48'), [14, 1])
  const value = (name: string, columns: number) => message([1, name], [2, message([1, message([1, 1], [2, message([1, message([2, 'n'])], [1, message([1, columns])])])])])
  const node = message([1, 'x'], [1, 'w'], [2, 'y'], [3, 'MatMul_0'], [4, 'MatMul'])
  const graph = Buffer.concat([message([1, node], [2, 'external'], [5, weights]), message([11, value('x', 4)], [12, value('y', 3)])])
  const bytes = Buffer.concat([message([1, 8]), Buffer.from([(7 << 3) | 2, (graph.length & 0x7f) | 0x80, graph.length >> 7]), graph, message([8, message([1, ''], [2, 17])])])
  const data = new Uint8Array(Float32Array.from({ length: 12 }, (_, index) => 0.25 * (index + 1)).buffer)
  const folder = await temporary(t)
  await writeFile(join(folder, 'small.onnx.data'), data)
  const model = await writeModel(folder, bytes)
  const { models: worker } = models(t)
  const { proofs } = await worker.load(load({ folder, manifest: { ...model.manifest, files: [...model.manifest.files, ...manifestOf('small.onnx.data', data).files] } }))
  t.like(proofs[0], { output: { tensors: { y: { data: Float32Array.of(5.5, 6.5, 7.5) } } } })
})

test('after unloading it is gone; unloading twice is fine; loading again replaces', async (t) => {
  const { models: worker } = models(t)
  const model = await writeModel(await temporary(t))
  await worker.load(load(model))
  await worker.load(load(model))
  t.is(worker.provider('small'), 'cpu')
  await worker.unload('small')
  await worker.unload('small')
  t.like(await t.throwsAsync(worker.prove({ kind: 'prove', requestId: 1, model: 'small' })), { code: 'MODEL_UNAVAILABLE' })
})
