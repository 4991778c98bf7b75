import { GraphWriter } from './onnx-writer.ts'
import { Scope, invalid, spatialDim, type Operand, type Value } from './tfjs-layout.ts'
import { nodeName, readTfjs, type TfGraph } from './tfjs-model.ts'
import { OPS } from './tfjs-ops.ts'

/** A picture whose sides are multiples of this may have any size: every stride of the usual networks divides it. */
const GRID_PX = 32
/** Where the graph leaves its size open. */
const DESIGN_PX = 512

/** The nodes that `output` needs, each after those it reads. */
function needed(graph: TfGraph, output: string): string[] {
  const order: string[] = []
  const state = new Map<string, 'open' | 'done'>()
  const stack = [output]
  while (stack.length > 0) {
    const name = stack.at(-1)!
    const node = graph.nodes.get(name)
    if (!node) throw invalid(`the graph names ${name}, but has no such node`)
    const missing = (node.input ?? []).map(nodeName).filter((input) => state.get(input) !== 'done')
    if (missing.length === 0 || state.get(name) === 'open') {
      if (missing.length > 0) throw invalid(`the graph has a loop through ${name}`)
      if (state.get(name) !== 'done') order.push(name)
      state.set(name, 'done')
      stack.pop()
    } else {
      state.set(name, 'open')
      // Reversed: the first input is written first.
      stack.push(...missing.reverse())
    }
  }
  return order
}

/** Operators among these nodes that cannot be converted. */
const lacking = (graph: TfGraph, names: readonly string[]): string[] => [...new Set(names.map((name) => graph.nodes.get(name)!.op))].filter((op) => op !== 'Const' && op !== 'Placeholder' && !OPS[op]).sort()

export interface Converted {
  bytes: Uint8Array
  inputs: string[]
  outputs: string[]
  /** Outputs that need operators which are not converted: what a network of pictures does after its last layer, as choosing the best boxes. */
  leftOut: { output: string; operators: string[] }[]
}

/**
 * Converts a graph that tensorflowjs_converter wrote to ONNX. Pictures go in, and feature maps come out, as batch × channels
 * × height × width; the batch is free, and so are height and width (multiples of 32) where the graph was designed for such a size. The same
 * files give the same bytes. @throws MtorError MODEL_INVALID, with the operators that are lacking if no output can be converted
 */
export function convertTfjs(source: TfGraph, name: string): Converted {
  const plans = source.outputs.map((output) => { const nodes = needed(source, output); return { output, nodes, operators: lacking(source, nodes) } })
  const wanted = plans.filter(({ operators }) => operators.length === 0)
  if (wanted.length === 0) throw invalid(`${name}: this converter lacks ${[...new Set(plans.flatMap(({ operators }) => operators))].sort().join(', ') || 'an output to begin with'}`)
  const graph = new GraphWriter(name)
  const operands = new Map<string, Operand>()
  const inputs: { name: string; height: number; width: number; dynamic: boolean }[] = []
  for (const node of new Set(wanted.flatMap(({ nodes }) => nodes)).values().map((each) => source.nodes.get(each)!)) {
    if (node.op === 'Const') {
      const weight = source.weights.get(node.name)
      if (!weight) throw invalid(`${name}: ${node.name} has no weights`)
      operands.set(node.name, { weight })
    } else if (node.op === 'Placeholder') {
      const dims = (node.attr?.shape?.shape?.dim ?? []).map(({ size }) => Number(size))
      if (dims.length !== 4 || dims[3]! < 1) throw invalid(`${name}: input ${node.name} has the shape ${dims.join(' × ')}; expected batch × height × width × channels`)
      const [height, width] = [dims[1]!, dims[2]!].map((dim) => dim < 1 ? DESIGN_PX : dim) as [number, number]
      const dynamic = height % GRID_PX === 0 && width % GRID_PX === 0
      graph.input(node.name, 'float32', ['batch', dims[3]!, ...(dynamic ? ['height', 'width'] : [height, width])])
      inputs.push({ name: node.name, height, width, dynamic })
      operands.set(node.name, { value: { name: node.name, dims: [1, height, width, dims[3]!], image: true } })
    } else {
      const from = (node.input ?? []).filter((input) => !input.startsWith('^')).map((input) => operands.get(nodeName(input))!)
      operands.set(node.name, { value: OPS[node.op]!(new Scope(graph, node, from)) })
    }
  }
  const [input, ...others] = inputs
  if (!input || others.length > 0) throw invalid(`${name}: expected one input, got ${inputs.length}`)
  for (const { output } of wanted) {
    const value: Value | undefined = operands.get(output)?.value
    if (!value) throw invalid(`${name}: output ${output} is constant`)
    const [, height = 1, width = 1, channels = 1] = value.dims
    graph.output(output, 'float32', value.image ? ['batch', channels, spatialDim('height', height, input.height, input.dynamic), spatialDim('width', width, input.width, input.dynamic)] : value.dims)
  }
  const leftOut = plans.filter(({ operators }) => operators.length > 0).map(({ output, operators }) => ({ output, operators }))
  graph.metadata('converted-from', 'tfjs graph model')
  for (const { output, operators } of leftOut) graph.metadata(`left-out:${output}`, operators.join(' '))
  return { bytes: graph.bytes(), inputs: [input.name], outputs: wanted.map(({ output }) => output), leftOut }
}

/** Reads `inputs` of a folder and converts them. */
export const convertTfjsFiles = async (folder: string, inputs: readonly string[], name: string): Promise<Converted> => convertTfjs(await readTfjs(folder, inputs), name)
