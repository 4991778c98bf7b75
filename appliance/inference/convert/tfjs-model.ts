import { readFile } from 'node:fs/promises'
import { posix } from 'node:path'
import Type, { type Static } from 'typebox'
import { MtorError } from '../../contracts/errors.ts'
import { validator } from '../../contracts/validate.ts'

/**
 * What tensorflowjs_converter writes: a TensorFlow graph as JSON, and its weights in shards, quantised or not.
 * @see https://github.com/tensorflow/tfjs/blob/master/tfjs-core/src/io/types.ts (WeightsManifestEntry)
 */
const Attributes = Type.Record(Type.String(), Type.Object({
  i: Type.Optional(Type.Union([Type.String(), Type.Number()])), f: Type.Optional(Type.Number()), b: Type.Optional(Type.Boolean()), s: Type.Optional(Type.String()), type: Type.Optional(Type.Union([Type.String(), Type.Number()])),
  shape: Type.Optional(Type.Object({ dim: Type.Optional(Type.Array(Type.Object({ size: Type.Union([Type.String(), Type.Number()]) }))) })),
  list: Type.Optional(Type.Object({ i: Type.Optional(Type.Array(Type.Union([Type.String(), Type.Number()]))), s: Type.Optional(Type.Array(Type.String())), f: Type.Optional(Type.Array(Type.Number())) })),
}))
const TfNode = Type.Object({ name: Type.String(), op: Type.String(), input: Type.Optional(Type.Array(Type.String())), attr: Type.Optional(Attributes) })
export type TfNode = Static<typeof TfNode>

const Weight = Type.Object({
  name: Type.String(), shape: Type.Array(Type.Integer({ minimum: 0 })), dtype: Type.String(),
  quantization: Type.Optional(Type.Object({ dtype: Type.String(), scale: Type.Optional(Type.Number()), min: Type.Optional(Type.Number()) })),
})
const TfjsModel = Type.Object({
  format: Type.Literal('graph-model'),
  signature: Type.Optional(Type.Object({ outputs: Type.Optional(Type.Record(Type.String(), Type.Object({ name: Type.String() }))) })),
  modelTopology: Type.Object({ node: Type.Array(TfNode) }),
  weightsManifest: Type.Array(Type.Object({ paths: Type.Array(Type.String()), weights: Type.Array(Weight) })),
})
const model = validator(TfjsModel)

export interface TfWeight { dims: number[]; data: Float32Array | Int32Array }
export interface TfGraph { nodes: Map<string, TfNode>; weights: Map<string, TfWeight>; /** Names of nodes, in the order of the signature. */ outputs: string[] }

const invalid = (message: string, cause?: unknown) => new MtorError('MODEL_INVALID', message, { cause })
const BYTES: Record<string, number> = { float32: 4, int32: 4, bool: 1, uint8: 1, uint16: 2, float16: 2 }

/** Numbers of one weight as float32 or int32, undoing quantisation: q · scale + min, rounded where the weight is whole. */
function decode(weight: Static<typeof Weight>, bytes: Uint8Array): Float32Array | Int32Array {
  const { dtype, quantization } = weight
  // A copy, because shards do not align their weights.
  const own = new Uint8Array(bytes).buffer
  if (!quantization) {
    if (dtype === 'float32') return new Float32Array(own)
    if (dtype === 'int32') return new Int32Array(own)
    return Int32Array.from(new Uint8Array(own))
  }
  if (quantization.dtype === 'float16') return Float32Array.from(new Float16Array(own))
  const { scale, min } = quantization
  if (scale === undefined || min === undefined) throw invalid(`weight ${weight.name}: its quantisation lacks scale or min`)
  const numbers = quantization.dtype === 'uint8' ? new Uint8Array(own) : new Uint16Array(own)
  return dtype === 'int32' ? Int32Array.from(numbers, (q) => Math.round(q * scale + min)) : Float32Array.from(numbers, (q) => q * scale + min)
}

/** Reads the one `.json` of `inputs` with its shards. Only files of `inputs` are read: those have been verified. @throws MtorError MODEL_INVALID */
export async function readTfjs(folder: string, inputs: readonly string[]): Promise<TfGraph> {
  const [file, ...more] = inputs.filter((path) => path.endsWith('.json'))
  if (file === undefined || more.length > 0) throw invalid(`a tfjs model has one .json file, got: ${inputs.join(', ')}`)
  let parsed: unknown
  try { parsed = JSON.parse(await readFile(posix.join(folder, file), 'utf8')) } catch (error) { throw invalid(`${file} is not JSON: ${(error as Error).message}`, error) }
  const { modelTopology, weightsManifest, signature } = model.assert(parsed, 'MODEL_INVALID', `${file} is no tfjs graph model`)
  const weights = new Map<string, TfWeight>()
  for (const { paths, weights: entries } of weightsManifest) {
    const shards = await Promise.all(paths.map(async (path) => {
      const shard = posix.join(posix.dirname(file), path)
      if (!inputs.includes(shard)) throw invalid(`${file} needs ${shard}, which is not among the files of the model: ${inputs.join(', ')}`)
      return await readFile(posix.join(folder, shard))
    }))
    const bytes = Buffer.concat(shards)
    let offset = 0
    for (const weight of entries) {
      const size = BYTES[weight.quantization?.dtype ?? weight.dtype]
      if (size === undefined || (weight.dtype !== 'float32' && weight.dtype !== 'int32' && weight.dtype !== 'bool')) throw invalid(`weight ${weight.name}: ${weight.quantization?.dtype ?? weight.dtype} is no kind of number that can be converted`)
      const end = offset + size * weight.shape.reduce((product, dim) => product * dim, 1)
      if (end > bytes.length) throw invalid(`weights of ${file} end after ${bytes.length} bytes, within ${weight.name}`)
      weights.set(weight.name, { dims: weight.shape, data: decode(weight, bytes.subarray(offset, end)) })
      offset = end
    }
    if (offset !== bytes.length) throw invalid(`weights of ${file} are ${bytes.length} bytes, of which its list explains ${offset}`)
  }
  const nodes = new Map(modelTopology.node.map((node) => [node.name, node]))
  const outputs = Object.values(signature?.outputs ?? {}).map(({ name }) => nodeName(name))
  return { nodes, weights, outputs: outputs.length > 0 ? outputs : leaves(nodes) }
}

/** `a:1` is the second output of a, `^a` only says that a comes first. */
export const nodeName = (input: string): string => input.replace(/^\^/, '').replace(/:\d+$/, '')

/** Nodes that nobody reads. */
function leaves(nodes: Map<string, TfNode>): string[] {
  const read = new Set([...nodes.values()].flatMap(({ input = [] }) => input.map(nodeName)))
  return [...nodes.keys()].filter((name) => !read.has(name))
}
