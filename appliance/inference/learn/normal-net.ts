import type { Scalar, Tensor2D, Variable } from '@tensorflow/tfjs-core'
import { mulberry32 } from '../../contracts/random.ts'
import { GraphWriter } from '../convert/onnx-writer.ts'
import type { Tf } from './backend.ts'
import { product } from './product.ts'

/** What an autoencoder of telemetry knows. Rows of a kernel are inputs. */
export interface NormalWeights { names: string[]; mean: Float32Array; std: Float32Array; kernels: { data: Float32Array; rows: number; columns: number }[]; biases: Float32Array[] }

/** The encoder sees no value further out than this many standard deviations: what is beyond cannot be reproduced, and shows. */
export const CLIP = 4
const RATE = 3e-3
const BATCH = 64
const NOISE = 0.15
const PATIENCE = 15

/** Layers, narrow in the middle, so that what is known of one value must come from the others. */
export function layerSizes(width: number): number[] {
  const hidden = Math.max(8, 2 * width), middle = Math.max(1, Math.ceil(width / 2))
  return [width, hidden, middle, hidden, width]
}

/** Trains on rows of standardised values; keeps the weights that do best on `check`. */
export async function trainNormal(tf: Tf, rows: readonly Float32Array[], check: readonly Float32Array[], options: { epochs: number; seed: number; onEpoch(epoch: { epoch: number; loss: number; validationLoss: number }): void }): Promise<Pick<NormalWeights, 'kernels' | 'biases'> & { epochs: number; loss: number }> {
  const random = mulberry32(options.seed)
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  const sizes = layerSizes(rows[0]!.length)
  const kernels: Variable[] = [], biases: Variable[] = []
  for (let layer = 1; layer < sizes.length; layer++) {
    const [inputs, outputs] = [sizes[layer - 1]!, sizes[layer]!]
    kernels.push(tf.variable(tf.tensor2d(Float32Array.from({ length: inputs * outputs }, () => normal() * Math.sqrt(1.5 / inputs)), [inputs, outputs])))
    biases.push(tf.variable(tf.zeros([outputs])))
  }
  const forward = (input: Tensor2D) => kernels.reduce((x, kernel, layer) => {
    const sum = tf.add(product(tf, x, kernel), biases[layer]!) as Tensor2D
    return layer === kernels.length - 1 || layer === 1 ? sum : tf.relu(sum)
  }, tf.clipByValue(input, -CLIP, CLIP))
  const width = sizes[0]!
  const flat = (list: readonly Float32Array[], noise: number) => Float32Array.from({ length: list.length * width }, (_, i) => list[Math.floor(i / width)]![i % width]! + (noise > 0 ? noise * normal() : 0))
  const checkTensor = tf.tensor2d(flat(check, 0), [check.length, width])
  const optimizer = tf.train.adam(RATE)
  let best = { epoch: 0, validationLoss: Infinity, loss: NaN, kernels: [] as Float32Array[], biases: [] as Float32Array[] }
  let epoch = 0
  try {
    while (epoch < options.epochs && epoch - best.epoch < PATIENCE) {
      epoch++
      let loss = 0, batches = 0
      const order = rows.map((row) => ({ row, at: random() })).sort((a, b) => a.at - b.at).map(({ row }) => row)
      for (let at = 0; at < order.length; at += BATCH) {
        const some = order.slice(at, at + BATCH)
        // Noise on the way in only: it learns to tell the true values from slightly wrong ones. @see P. Vincent et al., ICML 2008
        const cost = tf.tidy(() => optimizer.minimize(() => tf.losses.meanSquaredError(tf.tensor2d(flat(some, 0), [some.length, width]), forward(tf.tensor2d(flat(some, NOISE), [some.length, width]))) as Scalar, true, [...kernels, ...biases])!)
        loss += (await cost.data())[0]!
        cost.dispose()
        batches++
      }
      const checked = tf.tidy(() => tf.losses.meanSquaredError(checkTensor, forward(checkTensor)))
      const validationLoss = (await checked.data())[0]!
      checked.dispose()
      options.onEpoch({ epoch, loss: loss / batches, validationLoss })
      if (validationLoss < best.validationLoss) best = { epoch, validationLoss, loss: loss / batches, kernels: kernels.map((v) => v.dataSync<'float32'>().slice()), biases: biases.map((v) => v.dataSync<'float32'>().slice()) }
    }
  } finally {
    tf.dispose([checkTensor, ...kernels, ...biases])
    optimizer.dispose()
  }
  return { kernels: best.kernels.map((data, i) => ({ data, rows: sizes[i]!, columns: sizes[i + 1]! })), biases: best.biases, epochs: epoch, loss: best.validationLoss }
}

/** As ONNX: `values` [n, names] as they are measured in, `squares` [n, names] out, the squared error of each standardised value. */
export function normalToOnnx({ names, mean, std, kernels, biases }: NormalWeights, name: string): Uint8Array {
  const width = names.length
  const graph = new GraphWriter(name)
  graph.input('values', 'float32', ['n', width])
  graph.constant('mean', mean, [width])
  graph.constant('std', std, [width])
  graph.constant('low', Float32Array.of(-CLIP), [])
  graph.constant('high', Float32Array.of(CLIP), [])
  const centred = graph.node('Sub', ['values', 'mean'], ['centred'])
  const standard = graph.node('Div', [centred, 'std'], ['standard'])
  let value = graph.node('Clip', [standard, 'low', 'high'], ['clipped'])
  for (const [layer, { data, rows, columns }] of kernels.entries()) {
    graph.constant(`kernel${layer}`, data, [rows, columns])
    graph.constant(`bias${layer}`, biases[layer]!, [columns])
    value = graph.node('Gemm', [value, `kernel${layer}`, `bias${layer}`], [`sum${layer}`])
    if (layer !== kernels.length - 1 && layer !== 1) value = graph.node('Relu', [value], [`relu${layer}`])
  }
  const difference = graph.node('Sub', [standard, value], ['difference'])
  graph.node('Mul', [difference, difference], ['squares'])
  graph.output('squares', 'float32', ['n', width])
  return graph.bytes()
}
