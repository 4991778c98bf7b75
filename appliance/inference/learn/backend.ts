import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import type { Scalar, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core'
import { MtorError } from '../../contracts/errors.ts'
import { product } from './product.ts'

export type Tf = typeof import('@tensorflow/tfjs-core')
export const BACKENDS = ['node-gpu', 'node', 'wasm', 'cpu'] as const
export type BackendName = (typeof BACKENDS)[number]

export interface Backend {
  tf: Tf
  backend: BackendName
  /** Those before it that were not taken, and why. */
  tried: { name: BackendName; reason: string }[]
  /** Loss of the toy problem before and after it was trained. */
  proof: { lossBefore: number; lossAfter: number }
}

const require = createRequire(import.meta.url)
const NODE_PACKAGES = { 'node-gpu': '@tensorflow/tfjs-node-gpu', node: '@tensorflow/tfjs-node' } as const

/**
 * The first backend of TensorFlow.js, fastest first, that loads here and proves by a training step that it can learn:
 * gradients are only found to be missing when they are asked for. The two native ones are no dependencies: they are used
 * where the operator has installed them. Only for child processes: a native crash must not reach the core.
 * @throws MtorError ENGINE_MISSING with every reason, where none is left
 */
export async function openBackend(names: readonly BackendName[] = BACKENDS): Promise<Backend> {
  const tf = await loadCore()
  const tried: Backend['tried'] = []
  for (const name of names) {
    try {
      await select(tf, name)
      return { tf, backend: name, tried, proof: await prove(tf) }
    } catch (error) { tried.push({ name, reason: reasonOf(error) }) }
  }
  throw new MtorError('ENGINE_MISSING', `no backend of TensorFlow.js can learn here: ${tried.map(({ name, reason }) => `${name}: ${reason}`).join('; ')}`, { hint: 'Run: npm ci', data: { tried } })
}

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error)).split('\n')[0]!.slice(0, 300)

async function loadCore(): Promise<Tf> {
  const tf = require('@tensorflow/tfjs-core') as Tf
  // The gradients are registered by the layers package; the core alone has none.
  require('@tensorflow/tfjs-layers')
  // Otherwise the cpu backend greets with an advertisement on stderr.
  tf.enableProdMode()
  return tf
}

async function select(tf: Tf, name: BackendName): Promise<void> {
  if (name === 'wasm') {
    const wasm = require('@tensorflow/tfjs-backend-wasm') as typeof import('@tensorflow/tfjs-backend-wasm')
    // The binary beside the package: nothing is fetched.
    wasm.setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))}/`)
    return use(tf, 'wasm')
  }
  if (name === 'cpu') {
    require('@tensorflow/tfjs-backend-cpu')
    return use(tf, 'cpu')
  }
  const file = NODE_PACKAGES[name]
  try { require.resolve(file) } catch { throw new MtorError('ENGINE_MISSING', `${file} is not installed`) }
  // Removed in Node 23; tfjs-node 4.22 still calls them. @see Node.js DEP0051 (util.isNullOrUndefined)
  const util = require('node:util') as Record<string, unknown>
  util['isNullOrUndefined'] ??= (value: unknown) => value === null || value === undefined
  util['isArray'] ??= Array.isArray
  require(file)
  await use(tf, 'tensorflow')
  // The GPU package falls back to the processor without a word.
  if (name === 'node-gpu' && !(tf.backend() as unknown as { isUsingGpuDevice?: boolean }).isUsingGpuDevice) throw new MtorError('ENGINE_MISSING', `${file} is installed and sees no GPU`)
}

async function use(tf: Tf, backend: string): Promise<void> {
  if (!await tf.setBackend(backend)) throw new MtorError('ENGINE_MISSING', `${backend} could not be initialised`)
  await tf.ready()
}

/** A toy problem with the operators our heads learn with: a known gradient first, then the loss must fall. */
async function prove(tf: Tf): Promise<Backend['proof']> {
  // d/dw of (x·w)² is 2·x·(x·w): x = (1, 2), w = (3, 0.5) gives 4, and with it (8, 16).
  const x = tf.tensor2d([[1, 2]]), w = tf.tensor2d([[3], [0.5]])
  const gradient = tf.tidy(() => tf.grad((v) => tf.sum(tf.square(product(tf, x, v as Tensor2D))))(w))
  const got = await gradient.data()
  tf.dispose([x, w, gradient])
  if (Math.abs(got[0]! - 8) > 1e-3 || Math.abs(got[1]! - 16) > 1e-3) throw new MtorError('ENGINE_MISSING', `it computes a wrong gradient: expected 8, 16, got ${[...got].join(', ')}`)
  // Rows in which the largest of each pair sums to more than 1.
  const rows = Array.from({ length: 16 }, (_, i) => [0, 1, 2, 3].map((j) => ((i >> j) & 1) + 0.1 * j))
  const inputs = tf.tensor3d(rows.map((row) => [row.slice(0, 2), row.slice(2)]))
  const labels = tf.tensor1d(rows.map((row) => Math.max(row[0]!, row[1]!) + Math.max(row[2]!, row[3]!) > 1.5 ? 1 : 0))
  const hidden = tf.variable(tf.tensor2d([[0.4, -0.3, 0.2, 0.5], [0.1, 0.5, -0.4, 0.3]])), last = tf.variable(tf.tensor2d([[0.3], [-0.2], [0.4], [0.1]])), bias = tf.variable(tf.scalar(0))
  const optimizer = tf.train.adam(0.05)
  const loss = () => tf.tidy(() => {
    const shifted = tf.concat([tf.slice(inputs, [0, 0, 0], [16, 1, 2]), tf.slice(inputs, [0, 1, 0], [16, 1, 2])], 1)
    const active = tf.relu(product(tf, tf.reshape(shifted, [32, 2]), hidden))
    const pooled = tf.max(tf.reshape(active, [16, 2, 4]), 1) as Tensor2D
    return tf.losses.sigmoidCrossEntropy(labels, tf.reshape(tf.add(product(tf, pooled, last), bias), [16]) as Tensor1D) as Scalar
  })
  try {
    let before = NaN, after = NaN
    for (let step = 0; step < 20; step++) {
      const value = optimizer.minimize(loss, true, [hidden, last, bias])!
      after = (await value.data())[0]!
      if (step === 0) before = after
      value.dispose()
    }
    if (!(after < 0.9 * before)) throw new MtorError('ENGINE_MISSING', `it does not learn: the loss of a toy problem went from ${before} to ${after}`)
    return { lossBefore: before, lossAfter: after }
  } finally {
    tf.dispose([inputs, labels, hidden, last, bias])
    optimizer.dispose()
  }
}
