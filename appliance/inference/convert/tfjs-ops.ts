import type { Attribute } from './onnx-writer.ts'
import { broadcast, imageAxis, transpose, type Scope, type Value } from './tfjs-layout.ts'

/** Writes one node of TensorFlow and says what came of it. */
type Write = (scope: Scope) => Value

/**
 * Zeros that SAME adds before and behind, for one axis. The input is as long as the graph was designed for, or differs
 * from it by a multiple of the stride. @see https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
 */
function samePadding(size: number, kernel: number, stride: number, dilation: number): [before: number, behind: number] {
  const reach = (kernel - 1) * dilation + 1
  const total = Math.max(0, size % stride === 0 ? reach - stride : reach - (size % stride))
  return [Math.floor(total / 2), Math.ceil(total / 2)]
}

/** Pads, strides and dilations of a window over height and width, and the size of what comes out. */
function window(scope: Scope, image: Value, kernel: readonly [number, number]): { attributes: Record<string, Attribute>; size: [number, number] } {
  const [, strideY = 1, strideX = 1] = scope.list('strides')
  const [, dilationY = 1, dilationX = 1] = scope.list('dilations')
  const strides = [strideY, strideX], dilations = [dilationY, dilationX]
  const padding = scope.text('padding') ?? 'VALID'
  if (padding !== 'SAME' && padding !== 'VALID') throw scope.fail(`padding ${padding} is not known; expected SAME or VALID`)
  const layout = scope.text('data_format')
  if (layout !== undefined && layout !== 'NHWC') throw scope.fail(`data_format ${layout} is not known; expected NHWC`)
  const pads = [0, 1].map((axis) => padding === 'SAME' ? samePadding(image.dims[axis + 1]!, kernel[axis]!, strides[axis]!, dilations[axis]!) : [0, 0] as const)
  const size = [0, 1].map((axis) => {
    const length = image.dims[axis + 1]! + pads[axis]![0] + pads[axis]![1] - ((kernel[axis]! - 1) * dilations[axis]! + 1)
    return Math.floor(length / strides[axis]!) + 1
  }) as [number, number]
  return { attributes: { strides, dilations, pads: [pads[0]![0], pads[1]![0], pads[0]![1], pads[1]![1]] }, size }
}

/** Activations by their name in TensorFlow. */
const ACTIVATIONS: Record<string, (scope: Scope, input: string, output: string) => void> = {
  Relu: (scope, input, output) => { scope.graph.node('Relu', [input], [output]) },
  Relu6: (scope, input, output) => { scope.graph.node('Clip', [input, scope.constant('low', Float32Array.of(0), []), scope.constant('high', Float32Array.of(6), [])], [output]) },
  Sigmoid: (scope, input, output) => { scope.graph.node('Sigmoid', [input], [output]) },
  Tanh: (scope, input, output) => { scope.graph.node('Tanh', [input], [output]) },
  Elu: (scope, input, output) => { scope.graph.node('Elu', [input], [output], { alpha: 1 }) },
  LeakyRelu: (scope, input, output) => { scope.graph.node('LeakyRelu', [input], [output], { alpha: scope.number('alpha', scope.number('leakyrelu_alpha', 0.2)) }) },
}

/** The convolution itself, then what TensorFlow fused into it: BiasAdd, and an activation or Prelu. */
function fused(scope: Scope, inputs: string[], image: Value, attributes: Record<string, Attribute>, dims: number[]): Value {
  const { graph, node } = scope
  const [first, second, ...more] = scope.texts('fused_ops')
  const activation = first === 'BiasAdd' ? second : first
  if (more.length > 0 || (second !== undefined && first !== 'BiasAdd')) throw scope.fail(`fused with ${scope.texts('fused_ops').join(', ')}; expected BiasAdd and one activation`)
  if (first === 'BiasAdd') inputs.push(scope.constant('bias', scope.floats(2), [dims[3]!]))
  const conv = graph.node('Conv', [image.name, ...inputs], [activation === undefined ? node.name : `${node.name}/conv`], attributes)
  if (activation === 'Prelu') graph.node('PRelu', [conv, scope.beside(first === 'BiasAdd' ? 3 : 2, true).name], [node.name])
  else if (activation !== undefined) {
    const write = ACTIVATIONS[activation]
    if (!write) throw scope.fail(`fused with ${activation}, which this converter lacks; it has: Prelu, ${Object.keys(ACTIVATIONS).join(', ')}`)
    write(scope, conv, node.name)
  }
  return scope.result(dims)
}

/** Kernel in TensorFlow: height × width × in × out; in ONNX: out × in × height × width. */
const convolution: Write = (scope) => {
  const image = scope.image(0)
  const [height, width, channels, filters] = scope.weight(1).dims as [number, number, number, number]
  const { attributes, size } = window(scope, image, [height, width])
  const kernel = transpose(scope.floats(1), [height, width, channels, filters], [3, 2, 0, 1])
  return fused(scope, [scope.constant('kernel', kernel.data, kernel.dims)], image, { ...attributes, group: image.dims[3]! / channels }, [image.dims[0]!, ...size, filters])
}

/** Kernel in TensorFlow: height × width × channels × multiplier; in ONNX a group for each channel. */
const depthwise: Write = (scope) => {
  const image = scope.image(0)
  const [height, width, channels, multiplier] = scope.weight(1).dims as [number, number, number, number]
  const { attributes, size } = window(scope, image, [height, width])
  const kernel = transpose(scope.floats(1), [height, width, channels, multiplier], [2, 3, 0, 1])
  return fused(scope, [scope.constant('kernel', kernel.data, [channels * multiplier, 1, height, width])], image, { ...attributes, group: channels }, [image.dims[0]!, ...size, channels * multiplier])
}

const pool = (op: string, attributes: Record<string, Attribute>): Write => (scope) => {
  const image = scope.image(0)
  const [, height = 1, width = 1] = scope.list('ksize')
  const { attributes: { strides, pads }, size } = window(scope, image, [height, width])
  scope.graph.node(op, [image.name], [scope.node.name], { kernel_shape: [height, width], strides: strides!, pads: pads!, ...attributes })
  return scope.result([image.dims[0]!, ...size, image.dims[3]!])
}

const unary = (op: string): Write => (scope) => {
  const { value } = scope.operand(0)
  if (!value) throw scope.fail('is expected to work on something computed')
  if (ACTIVATIONS[op]) ACTIVATIONS[op](scope, value.name, scope.node.name)
  else scope.graph.node(op, [value.name], [scope.node.name])
  return { ...value, name: scope.node.name }
}

const binary = (op: string): Write => (scope) => {
  const image = [0, 1].some((index) => scope.operand(index).value?.image)
  const a = scope.beside(0, image), b = scope.beside(1, image)
  scope.graph.node(op, [a.name, b.name], [scope.node.name])
  return scope.result(broadcast(a.dims, b.dims), image)
}

const mean: Write = (scope) => {
  const image = scope.image(0)
  const axes = scope.integers(1).map((axis) => axis < 0 ? axis + 4 : axis).sort((a, b) => a - b)
  if (axes.join() !== '1,2' || !scope.flag('keep_dims')) throw scope.fail(`over axes ${axes.join(', ')}; expected height and width, kept`)
  scope.graph.node('GlobalAveragePool', [image.name], [scope.node.name])
  return scope.result([image.dims[0]!, 1, 1, image.dims[3]!])
}

const concat: Write = (scope) => {
  const last = scope.count - 1
  const [axis = 3] = scope.integers(last)
  const images = Array.from({ length: last }, (_, index) => scope.image(index))
  scope.graph.node('Concat', images.map(({ name }) => name), [scope.node.name], { axis: imageAxis(axis) })
  const at = axis < 0 ? axis + 4 : axis
  return scope.result(images[0]!.dims.map((dim, index) => index === at ? images.reduce((sum, { dims }) => sum + dims[at]!, 0) : dim))
}

/** Sizes are constants in TensorFlow; here they become factors, so that the input may have another size. */
const resize = (mode: 'linear' | 'nearest'): Write => (scope) => {
  const image = scope.image(0)
  const size = scope.integers(1) as [number, number]
  const scales = scope.constant('scales', Float32Array.of(1, 1, size[0] / image.dims[1]!, size[1] / image.dims[2]!), [4])
  const position = scope.flag('align_corners') ? 'align_corners' : scope.flag('half_pixel_centers') ? 'half_pixel' : 'asymmetric'
  scope.graph.node('Resize', [image.name, '', scales], [scope.node.name], {
    mode, coordinate_transformation_mode: position, ...(mode === 'nearest' ? { nearest_mode: position === 'align_corners' ? 'round_prefer_ceil' : 'floor' } : {}),
  })
  return scope.result([image.dims[0]!, ...size, image.dims[3]!])
}

const pad: Write = (scope) => {
  const image = scope.image(0)
  const pads = scope.integers(1)
  const order = [0, 3, 1, 2]
  const turned = [...order.map((axis) => pads[2 * axis]!), ...order.map((axis) => pads[2 * axis + 1]!)]
  scope.graph.node('Pad', [image.name, scope.constant('pads', BigInt64Array.from(turned, BigInt), [8]), scope.constant('value', scope.count > 2 ? scope.floats(2) : Float32Array.of(0), [])], [scope.node.name], { mode: 'constant' })
  return scope.result(image.dims.map((dim, axis) => dim + pads[2 * axis]! + pads[2 * axis + 1]!))
}

/** Operators of TensorFlow that can be converted. Const and Placeholder are dealt with before. */
export const OPS: Record<string, Write> = {
  Conv2D: convolution, _FusedConv2D: convolution, DepthwiseConv2dNative: depthwise, FusedDepthwiseConv2dNative: depthwise,
  MaxPool: pool('MaxPool', {}), AvgPool: pool('AveragePool', { count_include_pad: 0 }),
  Relu: unary('Relu'), Relu6: unary('Relu6'), Sigmoid: unary('Sigmoid'), Tanh: unary('Tanh'), Elu: unary('Elu'), LeakyRelu: unary('LeakyRelu'),
  Exp: unary('Exp'), Sqrt: unary('Sqrt'), Neg: unary('Neg'), Abs: unary('Abs'), Identity: unary('Identity'), StopGradient: unary('Identity'),
  Add: binary('Add'), AddV2: binary('Add'), BiasAdd: binary('Add'), Sub: binary('Sub'), Mul: binary('Mul'), RealDiv: binary('Div'), Maximum: binary('Max'), Minimum: binary('Min'),
  Mean: mean, ConcatV2: concat, ResizeBilinear: resize('linear'), ResizeNearestNeighbor: resize('nearest'), Pad: pad, PadV2: pad,
}
