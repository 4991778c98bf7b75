import type { Tensor } from 'onnxruntime-node'
import { MtorError } from '../contracts/errors.ts'
import type { Manifest } from './manifest.ts'
import type { PlainTensor } from './port.ts'
import type { LoadedTask, OpenSession, TaskModule } from './task.ts'
import { digestTensors } from './worker/digest.ts'

type Signature = Manifest['signature']['inputs']

const ARRAY_OF = { float32: Float32Array, int32: Int32Array, int64: BigInt64Array, uint8: Uint8Array } as const
const isType = (type: unknown): type is PlainTensor['type'] => typeof type === 'string' && Object.hasOwn(ARRAY_OF, type)

/** Any ONNX graph: `options.graph` names its file where the model has more than one. Inputs must fit the manifest's signature. */
export const task: TaskModule<'tensor'> = {
  usesOnnx: true,
  async load({ model: { manifest }, open }) {
    const graphs = manifest.files.filter(({ path }) => path.endsWith('.onnx'))
    const graph = typeof manifest.options['graph'] === 'string' ? manifest.options['graph'] : graphs[0]?.path
    if (graph === undefined) throw new MtorError('MODEL_INVALID', `${manifest.name}: no file of it ends in .onnx, and options.graph names none`)
    return new TensorTask(manifest, await open(graph))
  },
}

class TensorTask implements LoadedTask<'tensor'> {
  readonly #open: OpenSession
  readonly #inputs: Signature
  readonly #name: string
  #digest: string | undefined

  constructor(manifest: Manifest, open: OpenSession) {
    const { session } = open
    this.#open = open
    this.#name = manifest.name
    this.#inputs = manifest.signature.inputs
    sameNames(manifest.name, 'inputs', this.#inputs, session.inputNames)
    sameNames(manifest.name, 'outputs', manifest.signature.outputs, session.outputNames)
  }

  async run(input: { feeds: Record<string, PlainTensor> }): Promise<{ tensors: Record<string, PlainTensor> }> {
    const { ort, session } = this.#open
    const feeds: Record<string, Tensor> = {}
    const given = input?.feeds
    if (given === null || typeof given !== 'object') throw invalid(`${this.#name} takes { feeds: { ${this.#inputs.map(({ name }) => name).join(', ')} } }`)
    const unknown = Object.keys(given).filter((name) => !this.#inputs.some((wanted) => wanted.name === name))
    if (unknown.length > 0) throw invalid(`${this.#name} has no input ${unknown.join(', ')}; it takes ${this.#inputs.map(({ name }) => name).join(', ')}`)
    for (const wanted of this.#inputs) {
      const { type, dims, data } = fitting(this.#name, wanted, given[wanted.name])
      feeds[wanted.name] = new ort.Tensor(type, data as Float32Array, dims)
    }
    const outputs = await session.run(feeds)
    this.#digest = digestTensors(outputs as Record<string, Tensor>)
    const tensors: Record<string, PlainTensor> = {}
    for (const [name, { type, dims, data }] of Object.entries(outputs as Record<string, Tensor>)) {
      if (!isType(type)) throw new MtorError('MODEL_INVALID', `${this.#name}: output ${name} is ${type}; only ${Object.keys(ARRAY_OF).join(', ')} can be given out`)
      tensors[name] = { type, dims: [...dims], data: data as PlainTensor['data'] }
    }
    return { tensors }
  }

  digest(): string | undefined { return this.#digest }
  async close(): Promise<void> { await this.#open.session.release() }
}

const invalid = (message: string) => new MtorError('INVALID_SLOTS', message)
const shapeText = (shape: readonly (number | string)[]) => `[${shape.join(', ')}]`

function sameNames(model: string, what: string, signature: Signature, names: readonly string[]): void {
  const said = signature.map(({ name }) => name)
  if (said.length === names.length && said.every((name) => names.includes(name))) return
  throw new MtorError('MODEL_INVALID', `${model}: its manifest has the ${what} ${said.join(', ') || 'none'}, its graph ${names.join(', ') || 'none'}`)
}

/** A known answer comes from a manifest, where data are plain lists of numbers (of int64 also text). */
function fitting(model: string, wanted: Signature[number], tensor: PlainTensor | undefined): PlainTensor {
  const where = `${model}: input ${wanted.name} must be ${wanted.type} ${shapeText(wanted.shape)}`
  if (tensor === undefined || tensor === null) throw invalid(`${where}; it is missing`)
  const { type, dims, data } = tensor as { type: unknown; dims: unknown; data: unknown }
  if (!isType(type) || type !== wanted.type) throw invalid(`${where}, got ${typeof type === 'string' ? type : 'none'}`)
  if (!Array.isArray(dims) || !dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0)) throw invalid(`${where}; its dims must be whole numbers, got ${JSON.stringify(dims)}`)
  const fits = dims.length === wanted.shape.length && wanted.shape.every((size, axis) => typeof size === 'string' || size < 0 || size === dims[axis])
  if (!fits) throw invalid(`${where}, got ${shapeText(dims)}`)
  const array = typed(type, data)
  const elements = dims.reduce((product, dim) => product * dim, 1)
  if (array === undefined || array.length !== elements) throw invalid(`${where}; ${shapeText(dims)} needs ${elements} elements of ${type}, got ${array === undefined ? 'something else' : array.length}`)
  return { type, dims, data: array }
}

function typed(type: PlainTensor['type'], data: unknown): PlainTensor['data'] | undefined {
  const Kind = ARRAY_OF[type]
  if (data instanceof Kind) return data
  if (!Array.isArray(data)) return undefined
  try { return type === 'int64' ? BigInt64Array.from(data, (item) => BigInt(item as string)) : (Kind as Float32ArrayConstructor).from(data as number[], Number) } catch { return undefined }
}
