import { MtorError } from '../../contracts/errors.ts'
import { ATTRIBUTE_TYPES, DATA_TYPES, ModelProto, type DataType } from './onnx-schema.ts'

export type { DataType } from './onnx-schema.ts'

/** A size, or the name of one that is only known at run time. */
export type Dim = number | string
export type TypedArray = Float32Array | Float64Array | Float16Array | Int8Array | Int16Array | Int32Array | BigInt64Array | Uint8Array | Uint16Array | Uint32Array | BigUint64Array

/**
 * Whole numbers become INT, others FLOAT, except where ONNX has a FLOAT under that name (`alpha`, `epsilon` …). Where that
 * guess is wrong say it: `{ float: 1 }`, `{ floats: [1, 2] }`.
 */
export type Attribute = number | bigint | boolean | string | readonly number[] | readonly bigint[] | readonly string[] | { float: number } | { floats: readonly number[] } | { tensor: { data: TypedArray; dims: readonly number[]; type?: DataType } }

/** Attributes of the standard operators that are FLOAT even where the value is whole. @see https://onnx.ai/onnx/operators/ */
const FLOATS = new Set(['alpha', 'beta', 'bias', 'cubic_coeff_a', 'epsilon', 'extrapolation_value', 'gamma', 'high', 'lambd', 'low', 'mean', 'momentum', 'norm_coefficient', 'ratio', 'scale', 'softcap', 'spatial_scale', 'value_float', 'value_floats'])

/** Old enough for every onnxruntime since 1.14 (boards carry old ones), new enough for LayerNormalization. */
const OPSET = 17
const IR_VERSION = 8

const TYPE_OF: Record<string, DataType> = {
  Float32Array: 'float32', Float64Array: 'float64', Float16Array: 'float16', Int8Array: 'int8', Int16Array: 'int16', Int32Array: 'int32', BigInt64Array: 'int64',
  Uint8Array: 'uint8', Uint16Array: 'uint16', Uint32Array: 'uint32', BigUint64Array: 'uint64',
}
const BYTES_OF: Record<DataType, number> = { float32: 4, uint8: 1, int8: 1, uint16: 2, int16: 2, int32: 4, int64: 8, string: 0, bool: 1, float16: 2, float64: 8, uint32: 4, uint64: 8 }

const utf8 = (text: string) => Buffer.from(text, 'utf8')
const invalid = (message: string) => new MtorError('MODEL_INVALID', message)

/** What protobufjs writes as int64 without its optional package of long integers. */
function int64(value: number | bigint): number | { low: number; high: number; unsigned: boolean } {
  if (typeof value === 'number') return value
  const bits = BigInt.asUintN(64, value)
  return { low: Number(bits & 0xffffffffn) | 0, high: Number(bits >> 32n) | 0, unsigned: false }
}

function tensor(name: string, data: TypedArray, dims: readonly number[], type: DataType = TYPE_OF[data.constructor.name] ?? 'string') {
  const count = dims.reduce((product, dim) => product * dim, 1)
  if (type === 'string' || BYTES_OF[type] !== data.BYTES_PER_ELEMENT) throw invalid(`constant ${name}: a ${data.constructor.name} does not hold ${type}`)
  if (!dims.every((dim) => Number.isInteger(dim) && dim >= 0) || count !== data.length) throw invalid(`constant ${name}: shape ${dims.join(' × ')} needs ${count} elements, got ${data.length}`)
  return { name, dims: [...dims], dataType: DATA_TYPES[type], rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) }
}

function attribute(name: string, value: Attribute): Record<string, unknown> {
  const of = (type: keyof typeof ATTRIBUTE_TYPES, content: Record<string, unknown>) => ({ name, type: ATTRIBUTE_TYPES[type], ...content })
  if (typeof value === 'boolean') return of('int', { i: value ? 1 : 0 })
  if (typeof value === 'bigint') return of('int', { i: int64(value) })
  if (typeof value === 'string') return of('string', { s: utf8(value) })
  if (typeof value === 'number') return Number.isSafeInteger(value) && !FLOATS.has(name) ? of('int', { i: value }) : of('float', { f: value })
  if ('float' in value) return of('float', { f: value.float })
  if ('floats' in value) return of('floats', { floats: [...value.floats] })
  if ('tensor' in value) return of('tensor', { t: tensor(name, value.tensor.data, value.tensor.dims, value.tensor.type) })
  if (value.every((item) => typeof item === 'string')) return value.length > 0 ? of('strings', { strings: value.map(utf8) }) : of('ints', { ints: [] })
  if (value.every((item) => typeof item === 'bigint' || Number.isSafeInteger(item)) && !FLOATS.has(name)) return of('ints', { ints: (value as readonly (number | bigint)[]).map(int64) })
  return of('floats', { floats: value.map(Number) })
}

/**
 * Writes one ONNX graph. Nodes are added in the order in which they can run; what is wrong is said at once (MODEL_INVALID),
 * not when somebody loads the file. The same calls give the same bytes.
 */
export class GraphWriter {
  readonly #name: string
  readonly #opset: number
  readonly #inputs: object[] = []
  readonly #outputs: { name: string; value: object }[] = []
  readonly #constants: object[] = []
  readonly #nodes: object[] = []
  readonly #metadata: { key: string; value: string }[] = []
  readonly #domains = new Set<string>()
  readonly #known = new Set<string>()

  constructor(name: string, opset = OPSET) {
    this.#name = name
    this.#opset = opset
  }

  #define(name: string): string {
    if (name === '') throw invalid(`graph ${this.#name}: a value needs a name`)
    if (this.#known.has(name)) throw invalid(`graph ${this.#name}: ${name} is defined twice`)
    this.#known.add(name)
    return name
  }

  static #value(name: string, type: DataType, dims: readonly Dim[]): object {
    return { name, type: { tensorType: { elemType: DATA_TYPES[type], shape: { dim: dims.map((dim) => typeof dim === 'number' ? { dimValue: dim } : { dimParam: dim }) } } } }
  }

  /** True when something before has made a value of this name. */
  has(name: string): boolean { return this.#known.has(name) }

  /** Declares an input of the graph; returns its name. */
  input(name: string, type: DataType, dims: readonly Dim[]): string {
    this.#inputs.push(GraphWriter.#value(this.#define(name), type, dims))
    return name
  }

  /** Declares an output of the graph; the value must be there when the bytes are asked for. */
  output(name: string, type: DataType, dims: readonly Dim[]): void {
    this.#outputs.push({ name, value: GraphWriter.#value(name, type, dims) })
  }

  /** Adds weights, row-major; returns their name. `type` where the array does not say it: bool in a Uint8Array, float16 in a Uint16Array. */
  constant(name: string, data: TypedArray, dims: readonly number[], type?: DataType): string {
    this.#constants.push(tensor(this.#define(name), data, dims, type))
    return name
  }

  /** Adds one operator; returns the name of its first output. An optional input that is left out is called the empty string. */
  node(op: string, inputs: readonly string[], outputs: readonly string[], attributes: Record<string, Attribute> = {}, domain = ''): string {
    const unknown = inputs.find((input) => input !== '' && !this.#known.has(input))
    if (unknown !== undefined) throw invalid(`graph ${this.#name}: ${op} reads ${unknown}, which nothing before it makes`)
    if (outputs.length === 0) throw invalid(`graph ${this.#name}: ${op} has no output`)
    for (const output of outputs) if (output !== '') this.#define(output)
    if (domain !== '') this.#domains.add(domain)
    this.#nodes.push({ input: [...inputs], output: [...outputs], name: `${op}_${this.#nodes.length}`, opType: op, attribute: Object.keys(attributes).sort().map((name) => attribute(name, attributes[name]!)), domain })
    return outputs[0]!
  }

  /** A remark that stays with the file. */
  metadata(key: string, value: string): void { this.#metadata.push({ key, value }) }

  /** The file. @throws MtorError MODEL_INVALID where an output is made by nothing, or there is none */
  bytes(): Uint8Array {
    if (this.#outputs.length === 0) throw invalid(`graph ${this.#name} has no output`)
    for (const { name } of this.#outputs) if (!this.#known.has(name)) throw invalid(`graph ${this.#name}: nothing makes its output ${name}`)
    return ModelProto.encode({
      irVersion: IR_VERSION, producerName: 'mtor-appliance', producerVersion: '1',
      graph: { node: this.#nodes, name: this.#name, initializer: this.#constants, input: this.#inputs, output: this.#outputs.map(({ value }) => value) },
      opsetImport: [{ domain: '', version: this.#opset }, ...[...this.#domains].sort().map((domain) => ({ domain, version: 1 }))],
      metadataProps: this.#metadata,
    }).finish()
  }
}
