import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { workerInference } from './learn/testing.ts'
import type { Manifest, TrustedModel } from './manifest.ts'
import type { PlainTensor } from './port.ts'

/** y = relu(x · w) as tensorflowjs_converter writes it, with its weights in two shards. */
async function graphModel(t: ExecutionContext, shards = ['a.bin', 'b.bin']): Promise<TrustedModel> {
  const folder = await mkdtemp(join(tmpdir(), 'mtor-tfjs-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const weights = Buffer.from(Float32Array.of(1, -1, 0.5, 2, 3, -4, 0, 0.25).buffer)
  const float = { dtype: { type: 'DT_FLOAT' } }
  const files: Record<string, Buffer> = {
    'model.json': Buffer.from(JSON.stringify({
      format: 'graph-model',
      modelTopology: { versions: { producer: 1 }, node: [
        { name: 'x', op: 'Placeholder', attr: { ...float, shape: { shape: { dim: [{ size: '-1' }, { size: '4' }] } } } },
        { name: 'w', op: 'Const', attr: float },
        { name: 'product', op: 'MatMul', input: ['x', 'w'], attr: { T: { type: 'DT_FLOAT' }, transpose_a: { b: false }, transpose_b: { b: false } } },
        { name: 'y', op: 'Relu', input: ['product'], attr: { T: { type: 'DT_FLOAT' } } },
      ] },
      weightsManifest: [{ paths: shards, weights: [{ name: 'w', shape: [4, 2], dtype: 'float32' }] }],
    })),
    'a.bin': weights.subarray(0, 10), 'b.bin': weights.subarray(10),
  }
  for (const [path, bytes] of Object.entries(files)) await writeFile(join(folder, path), bytes)
  const known: Manifest['knownAnswers'][number] = {
    input: { feeds: { x: { type: 'float32', dims: [1, 4], data: [1, 1, 1, 1] } } }, output: { tensors: { y: { type: 'float32', dims: [1, 2], data: [4.5, 0] } } },
  }
  return {
    folder,
    manifest: {
      name: 'small-tfjs', version: '1', title: 'A small graph', task: 'tensor', licence: { spdx: 'GPL-3.0-or-later' }, source: { kind: 'file', path: folder },
      files: Object.entries(files).map(([path, bytes]) => ({ path, sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length })),
      signature: { inputs: [{ name: 'x', type: 'float32', shape: ['n', 4] }], outputs: [{ name: 'y', type: 'float32', shape: ['n', 2] }] },
      memoryMB: 100, timeoutMs: 5_000, prove: 'each', knownAnswers: [known], options: { engine: 'tfjs', graph: 'model.json' },
    },
  }
}

test.serial('a model of TensorFlow.js is served by a worker like any other, and proves itself by its known answer', async (t) => {
  const inference = await workerInference(t, await graphModel(t))
  const run = (x: PlainTensor | undefined) => inference.run('tensor', 'small-tfjs', { feeds: x ? { x } : {} }, { deadlineMs: 10_000 })
  const { output } = await run({ type: 'float32', dims: [2, 4], data: Float32Array.of(2, 0, 0, 0, 0, 1, 0, 4) })
  t.deepEqual(output.tensors, { y: { type: 'float32', dims: [2, 2], data: Float32Array.of(2, 0, 0.5, 3) } })
  await t.throwsAsync(run(undefined), { code: 'INVALID_SLOTS', message: /input x is missing/ })
  await t.throwsAsync(run({ type: 'float32', dims: [3, 4], data: new Float32Array(4) }), { code: 'INVALID_SLOTS', message: /needs 12 elements, got 4/ })
})

test.serial('a model.json that leads out of its folder, or is none, is refused', async (t) => {
  const outside = await graphModel(t, ['../a.bin', 'b.bin'])
  await t.throwsAsync(workerInference(t, outside), { code: 'MODEL_INVALID', message: /leads out of the model/ })
  const none = await graphModel(t)
  none.manifest.options['graph'] = 'a.bin'
  await t.throwsAsync(workerInference(t, none), { code: 'MODEL_INVALID', message: /a\.bin: / })
})
