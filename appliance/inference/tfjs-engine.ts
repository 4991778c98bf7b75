import type { NamedTensorMap, Tensor } from '@tensorflow/tfjs-core'
import { createRequire } from 'node:module'
import { readFile } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import { MtorError } from '../contracts/errors.ts'
import { openBackend } from './learn/backend.ts'
import type { PlainTensor } from './port.ts'
import type { LoadedTask, TaskModule } from './task.ts'
import { digestTensors } from './worker/digest.ts'

const require = createRequire(import.meta.url)
const ARRAY_OF = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array } as const

interface Topology { modelTopology?: object; weightsManifest?: { paths: string[]; weights: object[] }[]; format?: string; signature?: object; userDefinedMetadata?: object; generatedBy?: string; convertedBy?: string }

/**
 * A graph model of TensorFlow.js (model.json and its shards) on the best backend that works here, for the task `tensor`:
 * for models that our converter to ONNX does not take. Tensors are named as in the graph. Only in a worker process.
 * @throws MtorError MODEL_INVALID, ENGINE_MISSING
 */
export async function loadTfjs(folder: string, file: string): Promise<LoadedTask<'tensor'> & { backend: string; tried: { name: string; reason: string }[] }> {
  const { tf, backend, tried } = await openBackend()
  const { loadGraphModel } = require('@tensorflow/tfjs-converter') as typeof import('@tensorflow/tfjs-converter')
  const model = await loadGraphModel({ load: () => artifacts(folder, file) } as never).catch((error: unknown) => { throw error instanceof MtorError ? error : new MtorError('MODEL_INVALID', `${file}: ${(error as Error).message}`, { cause: error }) })
  const inputs = model.inputs.map(({ name }) => name), outputs = model.outputs.map(({ name }) => name)
  let digest: string | undefined
  const toTensor = (name: string, tensor: PlainTensor | undefined): Tensor => {
    if (!tensor) throw new MtorError('INVALID_SLOTS', `input ${name} is missing; the graph takes ${inputs.join(', ')}`)
    const Kind = ARRAY_OF[tensor.type as keyof typeof ARRAY_OF]
    if (!Kind) throw new MtorError('INVALID_SLOTS', `input ${name}: TensorFlow.js has no ${tensor.type}; it takes ${Object.keys(ARRAY_OF).join(', ')}`)
    const count = tensor.dims.reduce((product, dim) => product * dim, 1)
    // Of a known answer, the data are a plain list.
    const data = ArrayBuffer.isView(tensor.data) ? tensor.data : (Kind as Float32ArrayConstructor).from(tensor.data as Iterable<number>)
    if (data.length !== count) throw new MtorError('INVALID_SLOTS', `input ${name}: [${tensor.dims.join(', ')}] needs ${count} elements, got ${data.length}`)
    return tf.tensor(data as Float32Array, tensor.dims, tensor.type === 'float32' ? 'float32' : 'int32')
  }
  // Graphs with loops, conditions or outputs of unknown size need the other call; that is known from the refusal of this one.
  let dynamic = false
  const execute = async (given: NamedTensorMap): Promise<Tensor[]> => {
    const list = (got: Tensor | Tensor[]) => Array.isArray(got) ? got : [got]
    if (!dynamic) {
      try { return list(model.execute(given, outputs)) } catch (error) {
        if (!/executeAsync/.test((error as Error).message)) throw error
        dynamic = true
      }
    }
    return list(await model.executeAsync(given, outputs))
  }
  return {
    backend, tried,
    async run({ feeds }) {
      const given: NamedTensorMap = {}
      let results: Tensor[] = []
      try {
        for (const name of inputs) given[name] = toTensor(name, feeds?.[name] ?? feeds?.[name.replace(/:0$/, '')])
        results = await execute(given)
        const tensors: Record<string, PlainTensor> = {}
        for (const [i, name] of outputs.entries()) {
          const result = results[i]!
          const data = await result.data()
          const type = result.dtype === 'float32' ? 'float32' : result.dtype === 'int32' ? 'int32' : 'uint8'
          tensors[name] = { type, dims: [...result.shape], data: type === 'uint8' ? Uint8Array.from(data as Iterable<number>) : (data as Float32Array | Int32Array) }
        }
        digest = digestTensors(tensors)
        return { tensors }
      } finally { tf.dispose([...Object.values(given), ...results]) }
    },
    digest: () => digest,
    async close() { model.dispose() },
  }
}

/** What the loader of TensorFlow.js wants, from files that have been checked. */
async function artifacts(folder: string, file: string): Promise<object> {
  let json: Topology
  try { json = JSON.parse(await readFile(join(folder, file), 'utf8')) as Topology } catch (error) { throw new MtorError('MODEL_INVALID', `${file}: ${(error as Error).message}`, { cause: error }) }
  if (typeof json.modelTopology !== 'object' || !Array.isArray(json.weightsManifest)) throw new MtorError('MODEL_INVALID', `${file}: expected model.json of a graph model, with modelTopology and weightsManifest`)
  const shards: Buffer[] = []
  for (const path of json.weightsManifest.flatMap(({ paths }) => paths)) {
    const relative = normalize(join(dirname(file), path))
    if (relative.startsWith('..') || relative.startsWith('/')) throw new MtorError('MODEL_INVALID', `${file}: ${path} leads out of the model`)
    shards.push(await readFile(join(folder, relative)).catch((error: Error) => { throw new MtorError('MODEL_INVALID', `${file}: ${error.message}`, { cause: error }) }))
  }
  const all = Buffer.concat(shards)
  const { modelTopology, format, generatedBy, convertedBy, signature, userDefinedMetadata } = json
  return {
    modelTopology, format, generatedBy, convertedBy, signature, userDefinedMetadata,
    weightSpecs: json.weightsManifest.flatMap(({ weights }) => weights), weightData: all.buffer.slice(all.byteOffset, all.byteOffset + all.byteLength),
  }
}

/** The task `tensor` of a model whose manifest says `options: { engine: tfjs }`; `options.graph` names its model.json. */
export const task: TaskModule<'tensor'> = {
  usesOnnx: false,
  async load({ model: { manifest, folder } }) {
    const file = typeof manifest.options['graph'] === 'string' ? manifest.options['graph'] : manifest.files.find(({ path }) => path.endsWith('.json'))?.path
    if (file === undefined || !manifest.files.some(({ path }) => path === file)) throw new MtorError('MODEL_INVALID', `${manifest.name}: none of its files is a model.json`)
    return loadTfjs(folder, file)
  },
}
