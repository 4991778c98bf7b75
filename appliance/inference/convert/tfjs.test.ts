import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import * as ort from 'onnxruntime-node'
import { mulberry32 } from '../../contracts/random.ts'
import { convert } from './index.ts'
import { convertTfjsFiles } from './tfjs.ts'

// The packages of tfjs are CommonJS, and find each other only that way.
const require = createRequire(import.meta.url)
const tf = require('@tensorflow/tfjs-core') as typeof import('@tensorflow/tfjs-core')
const { loadGraphModel } = require('@tensorflow/tfjs-converter') as typeof import('@tensorflow/tfjs-converter')
require('@tensorflow/tfjs-backend-cpu')

interface Weight { name: string; shape: number[]; dtype: 'float32' | 'int32'; quantization?: { dtype: string; scale?: number; min?: number } }
interface Node { name: string; op: string; input?: string[]; attr?: Record<string, unknown> }

const base64 = (text: string) => Buffer.from(text).toString('base64')
const ints = (...values: number[]) => ({ list: { i: values.map(String) } })

/** A graph model as tensorflowjs_converter writes it, with weights from a seed. */
class Net {
  readonly nodes: Node[] = []
  readonly weights: Weight[] = []
  readonly outputs: string[] = []
  readonly #bytes: Buffer[] = []
  readonly #random = mulberry32(5)

  constructor(sidePx: number) {
    this.nodes.push({ name: 'image', op: 'Placeholder', attr: { dtype: { type: 'DT_FLOAT' }, shape: { shape: { dim: [1, sidePx, sidePx, 3].map((size) => ({ size: String(size) })) } } } })
  }

  /** Weights of −0.5 to 0.5, stored as `kind`. */
  weight(name: string, shape: number[], kind: 'float32' | 'float16' | 'uint8' | 'uint16' = 'float32'): string {
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => this.#random() - 0.5)
    const most = kind === 'uint8' ? 255 : 65_535
    const whole = values.map((value) => Math.round((value + 0.5) * most))
    const bytes = kind === 'float32' ? values : kind === 'float16' ? Float16Array.from(values) : kind === 'uint8' ? Uint8Array.from(whole) : Uint16Array.from(whole)
    this.#add({ name, shape, dtype: 'float32', ...kind === 'float32' ? {} : { quantization: { dtype: kind, ...kind === 'float16' ? {} : { scale: 1 / most, min: -0.5 } } } }, new Uint8Array(bytes.buffer))
    return name
  }

  numbers(name: string, values: number[], shape = values.length === 1 ? [] : [values.length], dtype: 'int32' | 'float32' = 'int32'): string {
    this.#add({ name, shape, dtype }, new Uint8Array((dtype === 'int32' ? Int32Array : Float32Array).from(values).buffer))
    return name
  }

  node(op: string, name: string, input: string[], attr: Record<string, unknown> = {}): string {
    this.nodes.push({ name, op, input, attr: { T: { type: 'DT_FLOAT' }, ...attr } })
    return name
  }

  conv(op: string, name: string, input: string[], options: { stride?: number; padding?: 'SAME' | 'VALID'; dilation?: number; fused?: string[] } = {}): string {
    const { stride = 1, padding = 'SAME', dilation = 1, fused } = options
    return this.node(op, name, input, {
      strides: ints(1, stride, stride, 1), dilations: ints(1, dilation, dilation, 1), padding: { s: base64(padding) }, data_format: { s: base64('NHWC') }, epsilon: { f: 0 },
      ...fused ? { fused_ops: { list: { s: fused.map(base64) } }, num_args: { i: fused.includes('Prelu') ? '2' : '1' } } : {},
    })
  }

  json(shards: string[]) {
    return {
      format: 'graph-model', signature: { inputs: {}, outputs: Object.fromEntries(this.outputs.map((name) => [name, { name: `${name}:0`, dtype: 'DT_FLOAT' }])) },
      modelTopology: { node: this.nodes, versions: { producer: 1 } }, weightsManifest: [{ paths: shards, weights: this.weights }],
    }
  }

  get bytes(): Buffer { return Buffer.concat(this.#bytes) }

  #add(weight: Weight, bytes: Uint8Array) {
    this.nodes.push({ name: weight.name, op: 'Const', attr: { dtype: { type: weight.dtype === 'int32' ? 'DT_INT32' : 'DT_FLOAT' } } })
    this.weights.push(weight)
    this.#bytes.push(Buffer.from(bytes))
  }
}

/** Everything the converter knows, in one network; all sides of its feature maps follow from the side of the input. */
function everything(sidePx: number): Net {
  const net = new Net(sidePx)
  const swish = (name: string, from: string) => {
    const six = net.node('Relu6', `${name}/six`, [net.node('AddV2', `${name}/three`, [from, net.numbers(`${name}/3`, [3], [], 'float32')])])
    return net.node('Mul', name, [net.node('Mul', `${name}/sixth`, [net.numbers(`${name}/c`, [1 / 6], [], 'float32'), from]), six])
  }
  const a = net.conv('_FusedConv2D', 'a', ['image', net.weight('a/w', [3, 3, 3, 8], 'float16'), net.weight('a/b', [8])], { stride: 2, fused: ['BiasAdd', 'Relu6'] })
  const b = net.conv('FusedDepthwiseConv2dNative', 'b', [a, net.weight('b/w', [5, 5, 8, 1], 'uint8'), net.weight('b/b', [8])], { stride: 2, fused: ['BiasAdd', 'Relu'] })
  const c = swish('c', net.conv('Conv2D', 'c/conv', [b, net.weight('c/w', [1, 1, 8, 12], 'uint16')]))
  const d = net.conv('DepthwiseConv2dNative', 'd', [c, net.weight('d/w', [3, 3, 12, 2])], { dilation: 2 })
  const e = net.conv('_FusedConv2D', 'e', [d, net.weight('e/w', [1, 1, 24, 12]), net.weight('e/b', [12]), net.weight('e/slope', [12])], { fused: ['BiasAdd', 'Prelu'] })
  const mean = net.node('Mean', 'mean', [e, net.numbers('mean/axes', [1, 2])], { keep_dims: { b: true } })
  const gate = net.node('Sigmoid', 'gate', [net.conv('_FusedConv2D', 'gate/conv', [mean, net.weight('gate/w', [1, 1, 12, 12]), net.weight('gate/b', [12])], { fused: ['BiasAdd'] })])
  const f = net.node('Mul', 'f', [e, gate])
  const small = net.conv('_FusedConv2D', 'small', [f, net.weight('small/w', [3, 3, 12, 8]), net.weight('small/b', [8])], { stride: 2, fused: ['BiasAdd', 'Elu'] })
  const quarter = sidePx / 4
  const linear = net.node('ResizeBilinear', 'linear', [small, net.numbers('linear/size', [quarter, quarter])], { align_corners: { b: false }, half_pixel_centers: { b: false } })
  const middle = net.node('ResizeBilinear', 'middle', [small, net.numbers('middle/size', [quarter, quarter])], { align_corners: { b: false }, half_pixel_centers: { b: true } })
  const nearest = net.node('ResizeNearestNeighbor', 'nearest', [small, net.numbers('nearest/size', [quarter, quarter])], { align_corners: { b: false }, half_pixel_centers: { b: false } })
  const all = net.node('ConcatV2', 'all', [f, linear, middle, nearest, net.numbers('all/axis', [3])], { N: { i: '4' } })
  const pooled = net.node('MaxPool', 'pooled', [all], { ksize: ints(1, 3, 3, 1), strides: ints(1, 1, 1, 1), padding: { s: base64('SAME') } })
  const averaged = net.node('AvgPool', 'averaged', [all], { ksize: ints(1, 2, 2, 1), strides: ints(1, 1, 1, 1), padding: { s: base64('SAME') } })
  const g = net.node('Sub', 'g', [pooled, net.node('BiasAdd', 'biased', [averaged, net.weight('biased/b', [36])])])
  const h = net.node('Maximum', 'h', [net.node('Tanh', 'tanh', [g]), net.node('LeakyRelu', 'leaky', [g], { alpha: { f: 0.1 } })])
  const padded = net.node('Pad', 'padded', [h, net.numbers('padded/by', [0, 0, 1, 1, 1, 1, 0, 0], [4, 2])])
  const valid = net.conv('Conv2D', 'valid', [padded, net.weight('valid/w', [3, 3, 36, 6])], { padding: 'VALID' })
  net.node('Identity', 'map', [net.node('RealDiv', 'scaled', [valid, net.numbers('scaled/by', [1, 2, 3, 4, 5, 6], [1, 1, 1, 6], 'float32')])])
  net.node('Relu', 'coarse', [small])
  net.outputs.push('map', 'coarse')
  return net
}

async function written(t: ExecutionContext, net: Net): Promise<{ folder: string; inputs: string[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'mtor-tfjs-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  // Cut where no weight ends: shards are only pieces of one stream.
  const shards = ['w1.bin', 'w2.bin'], cut = Math.floor(net.bytes.length / 3) + 1
  await writeFile(join(folder, 'model.json'), JSON.stringify(net.json(shards)))
  await writeFile(join(folder, shards[0]!), net.bytes.subarray(0, cut))
  await writeFile(join(folder, shards[1]!), net.bytes.subarray(cut))
  return { folder, inputs: ['model.json', ...shards] }
}

/** A picture with edges and noise, channels side by side. */
function picture(sidePx: number): Float32Array {
  const random = mulberry32(sidePx)
  return Float32Array.from({ length: 3 * sidePx * sidePx }, (_, i) => random() + (Math.floor(i / 21) % 2) - 1)
}

async function inTfjs(net: Net, sidePx: number): Promise<Record<string, { data: Float32Array; dims: number[] }>> {
  await tf.setBackend('cpu')
  const json = net.json(['w'])
  const model = await loadGraphModel({ load: () => Promise.resolve({ modelTopology: json.modelTopology, weightSpecs: json.weightsManifest[0]!.weights as never[], weightData: new Uint8Array(net.bytes).buffer }) })
  const input = tf.tensor4d(picture(sidePx), [1, sidePx, sidePx, 3])
  const tensors = model.execute(input, net.outputs) as InstanceType<typeof tf.Tensor>[]
  const results = await Promise.all(tensors.map(async (tensor, index) => [net.outputs[index]!, { data: await tensor.data() as Float32Array, dims: tensor.shape }] as const))
  for (const tensor of [input, ...tensors]) tensor.dispose()
  model.dispose()
  return Object.fromEntries(results)
}

async function inOnnx(bytes: Uint8Array, sidePx: number) {
  const session = await ort.InferenceSession.create(bytes, { intraOpNumThreads: 1 })
  const flat = picture(sidePx), plane = sidePx * sidePx
  const input = Float32Array.from({ length: flat.length }, (_, i) => flat[3 * (i % plane) + Math.floor(i / plane)]!)
  const outputs = await session.run({ image: new ort.Tensor('float32', input, [1, 3, sidePx, sidePx]) })
  await session.release()
  return outputs
}

/** Largest difference of feature maps, channels apart here and side by side there. */
function difference(planes: ort.Tensor, { data, dims }: { data: Float32Array; dims: number[] }): number {
  const [, height, width, channels] = dims as [number, number, number, number]
  if (planes.dims.join() !== `1,${channels},${height},${width}`) return Infinity
  return Math.max(...Array.from(planes.data as Float32Array, (value, i) => Math.abs(value - data[channels * (i % (height * width)) + Math.floor(i / (height * width))]!)))
}

test('every operator gives the numbers that tfjs gives, with weights of every kind of quantisation', async (t) => {
  const net = everything(64)
  const { folder, inputs } = await written(t, net)
  const converted = await convertTfjsFiles(folder, inputs, 'net')
  t.deepEqual(converted.outputs, ['map', 'coarse'])
  t.deepEqual(converted.leftOut, [])
  const [ours, theirs] = [await inOnnx(converted.bytes, 64), await inTfjs(net, 64)]
  for (const name of net.outputs) {
    t.true(Math.max(...Array.from(theirs[name]!.data, Math.abs)) > 0.1, `${name} says something`)
    t.true(difference(ours[name]!, theirs[name]!) < 1e-4, `${name} differs by ${difference(ours[name]!, theirs[name]!)}`)
  }
})

test('a graph that was designed for one size takes every multiple of 32', async (t) => {
  const { folder, inputs } = await written(t, everything(64))
  const { bytes } = await convertTfjsFiles(folder, inputs, 'net')
  for (const sidePx of [32, 96]) {
    const [ours, theirs] = [await inOnnx(bytes, sidePx), await inTfjs(everything(sidePx), sidePx)]
    for (const name of ['map', 'coarse']) t.true(difference(ours[name]!, theirs[name]!) < 1e-4, `${name} at ${sidePx} px differs by ${difference(ours[name]!, theirs[name]!)}`)
  }
})

test('the same files give the same bytes, whole or not at all', async (t) => {
  const { folder, inputs } = await written(t, everything(64))
  const files = inputs.map((path) => ({ path }))
  t.deepEqual(await convert('tfjs', folder, files, join(folder, 'out/one.onnx')), [join(folder, 'out/one.onnx')])
  await convert('tfjs', folder, files, join(folder, 'again/one.onnx'))
  t.deepEqual(await readFile(join(folder, 'out/one.onnx')), await readFile(join(folder, 'again/one.onnx')))
  await t.throwsAsync(() => readFile(join(folder, 'out/one.onnx.part')), { code: 'ENOENT' })
})

test('an output that needs an operator which is lacking is left out and named; if none is left, nothing is converted', async (t) => {
  const net = everything(64)
  net.node('TopKV2', 'best', ['map', net.numbers('k', [10])])
  net.outputs.unshift('best')
  const { folder, inputs } = await written(t, net)
  const { outputs, leftOut } = await convertTfjsFiles(folder, inputs, 'net')
  t.deepEqual(outputs, ['map', 'coarse'])
  t.deepEqual(leftOut, [{ output: 'best', operators: ['TopKV2'] }])
  net.outputs.splice(1)
  const other = await written(t, net)
  t.like(await t.throwsAsync(() => convertTfjsFiles(other.folder, other.inputs, 'net')), { code: 'MODEL_INVALID', message: 'net: this converter lacks TopKV2' })
})

test('what is wrong with the files is said in words', async (t) => {
  const { folder, inputs } = await written(t, everything(64))
  const fails = async (files: string[], message: RegExp) => { t.like(await t.throwsAsync(() => convertTfjsFiles(folder, files, 'net'), { message }), { code: 'MODEL_INVALID' }) }
  await fails(['w1.bin'], /one \.json file, got: w1\.bin/)
  await fails(['model.json', 'w1.bin'], /needs w2\.bin, which is not among the files/)
  await writeFile(join(folder, 'w2.bin'), 'short')
  await fails(inputs, /weights of model\.json end after \d+ bytes, within /)
  await writeFile(join(folder, 'model.json'), '{"format":"layers-model"}')
  await fails(inputs, /is no tfjs graph model/)
  await writeFile(join(folder, 'model.json'), 'x')
  await fails(inputs, /is not JSON/)
})
