import { MtorError } from '../../contracts/errors.ts'
import type { Dim, GraphWriter } from './onnx-writer.ts'
import type { TfNode, TfWeight } from './tfjs-model.ts'

/**
 * TensorFlow keeps pictures as batch × height × width × channels, ONNX as batch × channels × height × width. Here every
 * four-dimensional activation is in the order of ONNX from the input on, so that no transposition is left in the graph;
 * `dims` stay in the order of TensorFlow, as do the numbers of axes in its nodes.
 */
export interface Value { name: string; dims: number[]; /** Four dimensions, in the order of ONNX. */ image: boolean }
/** What a node of TensorFlow reads: something computed, or weights that are not in the graph yet. */
export type Operand = { value: Value; weight?: undefined } | { weight: TfWeight; value?: undefined }

export const invalid = (message: string) => new MtorError('MODEL_INVALID', message)

/** Axis of TensorFlow in the order of ONNX. */
export const imageAxis = (axis: number): number => [0, 2, 3, 1][axis < 0 ? axis + 4 : axis]!

/** Moves the elements of a tensor: axis i of the result is axis `order[i]` of the source. */
export function transpose(data: Float32Array, dims: readonly number[], order: readonly number[]): { data: Float32Array; dims: number[] } {
  const strides = dims.map((_, axis) => dims.slice(axis + 1).reduce((product, dim) => product * dim, 1))
  const to = order.map((axis) => dims[axis]!)
  const result = new Float32Array(data.length)
  const index = to.map(() => 0)
  for (let i = 0, from = 0; i < result.length; i++) {
    result[i] = data[from]!
    for (let axis = to.length - 1; axis >= 0; axis--) {
      index[axis]!++
      from += strides[order[axis]!]!
      if (index[axis]! < to[axis]!) break
      from -= strides[order[axis]!]! * to[axis]!
      index[axis] = 0
    }
  }
  return { data: result, dims: to }
}

/** What a node sees while it is written. */
export class Scope {
  readonly graph: GraphWriter
  readonly node: TfNode
  readonly #operands: Operand[]

  constructor(graph: GraphWriter, node: TfNode, operands: Operand[]) {
    this.graph = graph
    this.node = node
    this.#operands = operands
  }

  fail(message: string): MtorError { return invalid(`${this.node.op} ${this.node.name}: ${message}`) }

  get count(): number { return this.#operands.length }

  operand(index: number): Operand {
    const operand = this.#operands[index]
    if (!operand) throw this.fail(`has no input ${index}`)
    return operand
  }

  /** An input that is a picture. */
  image(index: number): Value {
    const { value } = this.operand(index)
    if (!value?.image) throw this.fail(`input ${index} is expected to be computed, with four dimensions`)
    return value
  }

  /** An input that is known while converting. */
  weight(index: number): TfWeight {
    const { weight } = this.operand(index)
    if (!weight) throw this.fail(`input ${index} is expected to be constant`)
    return weight
  }

  floats(index: number): Float32Array { return Float32Array.from(this.weight(index).data) }
  integers(index: number): number[] { return [...this.weight(index).data] }

  text(name: string): string | undefined { const text = this.node.attr?.[name]?.s; return text === undefined ? undefined : Buffer.from(text, 'base64').toString('utf8') }
  texts(name: string): string[] { return (this.node.attr?.[name]?.list?.s ?? []).map((text) => Buffer.from(text, 'base64').toString('utf8')) }
  flag(name: string): boolean { return this.node.attr?.[name]?.b ?? false }
  number(name: string, fallback: number): number { return this.node.attr?.[name]?.f ?? fallback }
  list(name: string): number[] { return (this.node.attr?.[name]?.list?.i ?? []).map(Number) }

  /** Adds weights under the name of this node. */
  constant(suffix: string, data: Float32Array | BigInt64Array, dims: readonly number[]): string { return this.graph.constant(`${this.node.name}/${suffix}`, data, [...dims]) }

  /** Name of an operand as it is combined, element by element, with a picture: constants are turned to match. */
  beside(index: number, image: boolean): { name: string; dims: number[] } {
    const { value, weight } = this.operand(index)
    if (value) {
      if (image && !value.image && value.dims.length > 0) throw this.fail(`combines a picture with ${value.name}, which is none`)
      return value
    }
    const data = Float32Array.from(weight.data)
    if (!image || weight.data.length === 1) return { name: this.constant(`c${index}`, data, data.length === 1 ? [] : weight.dims), dims: data.length === 1 ? [] : weight.dims }
    const dims = [...Array<number>(Math.max(0, 4 - weight.dims.length)).fill(1), ...weight.dims]
    const turned = transpose(data, dims, [0, 3, 1, 2])
    return { name: this.constant(`c${index}`, turned.data, turned.dims), dims }
  }

  /** The result of this node. */
  result(dims: number[], image = dims.length === 4): Value { return { name: this.node.name, dims, image } }
}

/** The shape that numpy gives two shapes combined element by element. */
export function broadcast(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length)
  return Array.from({ length: rank }, (_, i) => Math.max(a[i - rank + a.length] ?? 1, b[i - rank + b.length] ?? 1))
}

/** How an output follows from the height or width of the input: `height/4`; 1 is taken for independent. */
export function spatialDim(name: string, designed: number, input: number, dynamic: boolean): Dim {
  if (!dynamic || designed === 1) return designed
  if (input % designed === 0) return input === designed ? name : `${name}/${input / designed}`
  return `${name}*${designed / input}`
}
