import { join } from 'node:path'
import { readFile } from 'node:fs/promises'
import test, { type ExecutionContext } from 'ava'
import * as ort from 'onnxruntime-node'
import { openSession } from './providers/session.ts'
import type { Manifest } from './manifest.ts'
import { task } from './tensor-task.ts'
import { sileroModel, smallGraph, temporary, writeModel } from './worker/testing.ts'

async function small(t: ExecutionContext, more: Partial<Manifest> = {}) {
  const model = await writeModel(await temporary(t), smallGraph(), more)
  const loaded = await task.load({ model, threads: 1, open: async (path) => ({ ort, provider: 'cpu', session: await openSession({ ort, bytes: await readFile(join(model.folder, path)), provider: 'cpu', threads: 1 }) }) })
  t.teardown(() => loaded.close())
  return loaded
}
const feeds = (x: unknown) => ({ feeds: { x } }) as never

test('tensors by name in, tensors by name out; a digest of every bit of them', async (t) => {
  const loaded = await small(t)
  t.is(loaded.digest!(), undefined, 'nothing has run')
  t.deepEqual(await loaded.run(feeds({ type: 'float32', dims: [1, 4], data: Float32Array.of(1, 1, 1, 1) })), { tensors: { y: { type: 'float32', dims: [1, 3], data: Float32Array.of(5.5, 6.5, 7.5) } } })
  const digest = loaded.digest!()
  t.regex(digest!, /^[0-9a-f]{64}$/)
  await loaded.run(feeds({ type: 'float32', dims: [1, 4], data: [1, 1, 1, 1.0000001] }))
  t.not(loaded.digest!(), digest, 'the last bit counts')
  await loaded.run(feeds({ type: 'float32', dims: [1, 4], data: [1, 1, 1, 1] }))
  t.is(loaded.digest!(), digest, 'lists of numbers, as in a manifest, are the same input')
})

test('an input that does not fit is refused with what is wanted and what came', async (t) => {
  const loaded = await small(t)
  const cases: [unknown, RegExp][] = [
    [undefined, /^small: input x must be float32 \[n, 4\]; it is missing$/],
    [{ type: 'float64', dims: [1, 4], data: [1, 1, 1, 1] }, /must be float32 \[n, 4\], got float64$/],
    [{ type: 'int32', dims: [1, 4], data: Int32Array.of(1, 1, 1, 1) }, /got int32$/],
    [{ type: 'float32', dims: [1, 5], data: new Float32Array(5) }, /must be float32 \[n, 4\], got \[1, 5\]$/],
    [{ type: 'float32', dims: [4], data: new Float32Array(4) }, /got \[4\]$/],
    [{ type: 'float32', dims: [1, -4], data: new Float32Array(4) }, /its dims must be whole numbers, got \[1,-4\]$/],
    [{ type: 'float32', dims: [1, 4], data: new Float32Array(3) }, /\[1, 4\] needs 4 elements of float32, got 3$/],
    [{ type: 'float32', dims: [1, 4], data: 'ones' }, /got something else$/],
  ]
  for (const [x, message] of cases) {
    const error = await t.throwsAsync(loaded.run(feeds(x)))
    t.like(error, { code: 'INVALID_SLOTS' })
    t.regex(error!.message, message)
  }
  t.like(await t.throwsAsync(loaded.run({} as never)), { code: 'INVALID_SLOTS', message: 'small takes { feeds: { x } }' })
  t.like(await t.throwsAsync(loaded.run({ feeds: { z: {} } } as never)), { code: 'INVALID_SLOTS', message: 'small has no input z; it takes x' })
})

test('a graph with other names than its manifest is not loaded, nor one that is not there', async (t) => {
  const other = [{ name: 'z', type: 'float32', shape: ['n', 4] }]
  t.like(await t.throwsAsync(small(t, { signature: { inputs: other, outputs: [] } })), { code: 'MODEL_INVALID', message: 'small: its manifest has the inputs z, its graph x' })
  t.like(await t.throwsAsync(small(t, { files: [{ path: 'labels.txt', sha256: '0'.repeat(64), bytes: 0 }] })), { code: 'MODEL_INVALID' })
})

test('whole numbers of 64 bits come as numbers, text or a typed array; scalars have no dims', async (t) => {
  const model = await sileroModel()
  const loaded = await task.load({ model, threads: 1, open: async (path) => ({ ort, provider: 'cpu', session: await openSession({ ort, bytes: await readFile(join(model.folder, path)), provider: 'cpu', threads: 1 }) }) })
  t.teardown(() => loaded.close())
  const known = model.manifest.knownAnswers[0]!.input['feeds'] as Record<string, object>
  const digests = new Set<string | undefined>()
  for (const data of [[16000], ['16000'], BigInt64Array.of(16000n)]) {
    await loaded.run({ feeds: { ...known, sr: { type: 'int64', dims: [], data } } } as never)
    digests.add(loaded.digest!())
  }
  t.is(digests.size, 1)
  t.like(await t.throwsAsync(loaded.run({ feeds: { ...known, sr: { type: 'int64', dims: [], data: ['many'] } } } as never)), { code: 'INVALID_SLOTS' })
})
