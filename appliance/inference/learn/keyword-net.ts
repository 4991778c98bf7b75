import type { Tensor, Tensor3D, Variable } from '@tensorflow/tfjs-core'
import { mulberry32 } from '../../contracts/random.ts'
import { GraphWriter } from '../convert/onnx-writer.ts'
import type { Tf } from './backend.ts'
import { BANDS, WINDOW_FRAMES } from './features.ts'
import { product } from './product.ts'

/** One step of the head: a convolution over time (kernel in frames of its input), or the larger of each two frames. */
type Step = { kernel: number; filters: number; stride?: number } | 'pool'

/**
 * The head that learns one word: 98 frames of 40 bands in, one logit out. Convolutions over time, the maximum over the
 * positions that are left (the word may end up to a quarter of a second before the window does), one dense unit.
 * 46,000 weights, 0.75 million multiplications a window.
 */
const STEPS: readonly Step[] = [
  { kernel: 4, filters: 32, stride: 2 }, { kernel: 3, filters: 48 }, 'pool', { kernel: 3, filters: 48 }, 'pool', { kernel: 4, filters: 64 }, { kernel: 4, filters: 64 },
]
const CONVOLUTIONS = STEPS.filter((step) => step !== 'pool')
const LAST = CONVOLUTIONS.at(-1)!.filters

export interface KeywordWeights { kernels: { data: Float32Array; rows: number; columns: number }[]; biases: Float32Array[] }

/** Weights as He et al. begin them (ICCV 2015), the same for the same seed. */
export function initialWeights(seed: number): KeywordWeights {
  const random = mulberry32(seed)
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  let channels = BANDS
  const shapes = CONVOLUTIONS.map(({ kernel, filters }) => { const shape = [kernel * channels, filters] as const; channels = filters; return shape })
  const kernels = [...shapes, [LAST, 1] as const].map(([rows, columns]) => ({ rows, columns, data: Float32Array.from({ length: rows * columns }, () => normal() * Math.sqrt(2 / rows)) }))
  return { kernels, biases: kernels.map(({ columns }) => new Float32Array(columns)) }
}

/** The head in tfjs, for training. Close it when done. */
export class KeywordNet {
  readonly #tf: Tf
  readonly #kernels: Variable[]
  readonly #biases: Variable[]

  constructor(tf: Tf, weights: KeywordWeights) {
    this.#tf = tf
    this.#kernels = weights.kernels.map(({ data, rows, columns }) => tf.variable(tf.tensor2d(data, [rows, columns])))
    this.#biases = weights.biases.map((bias) => tf.variable(tf.tensor1d(bias)))
  }

  get variables(): Variable[] { return [...this.#kernels, ...this.#biases] }

  /** [n, 98, 40] → logits [n]. `drop`: part of the last features that is left out while training, chosen by `seed`. */
  forward(input: Tensor3D, drop = 0, seed = 0): Tensor {
    const tf = this.#tf
    const n = input.shape[0]
    let x: Tensor = input
    let layer = 0
    for (const step of STEPS) {
      const [, frames, channels] = x.shape as [number, number, number]
      if (step === 'pool') {
        const half = frames >> 1
        x = tf.max(tf.reshape(tf.slice(x, [0, 0, 0], [n, half * 2, channels]), [n, half, 2, channels]), 2)
        continue
      }
      x = this.#convolve(x, step, layer++)
    }
    let last = tf.max(x, 1)
    if (drop > 0) last = tf.mul(last, tf.div(tf.cast(tf.greaterEqual(tf.randomUniform(last.shape, 0, 1, 'float32', seed), drop), 'float32'), 1 - drop))
    return tf.reshape(tf.add(product(tf, last, this.#kernels[layer]!), this.#biases[layer]!), [n])
  }

  /** As a product of matrices: the wasm backend has no gradient of a convolution. */
  #convolve(x: Tensor, { kernel, filters, stride = 1 }: Exclude<Step, 'pool'>, layer: number): Tensor {
    const tf = this.#tf
    const [n, frames, channels] = x.shape as [number, number, number]
    // With stride 2, two frames side by side count as one with twice the channels.
    const rows = frames / stride, width = channels * stride, taps = kernel / stride
    const out = Math.floor(rows) - taps + 1
    const folded = stride === 1 ? x : tf.reshape(x, [n, rows, width])
    const windows = tf.concat(Array.from({ length: taps }, (_, tap) => tf.slice(folded, [0, tap, 0], [n, out, width])), 2)
    return tf.reshape(tf.relu(tf.add(product(tf, tf.reshape(windows, [n * out, taps * width]), this.#kernels[layer]!), this.#biases[layer]!)), [n, out, filters])
  }

  weights(): KeywordWeights {
    return {
      kernels: this.#kernels.map((kernel) => ({ data: kernel.dataSync<'float32'>().slice(), rows: kernel.shape[0]!, columns: kernel.shape[1]! })),
      biases: this.#biases.map((bias) => bias.dataSync<'float32'>().slice()),
    }
  }

  /** Moves every weight towards that of another head: `keep` of it stays. */
  approach(other: KeywordNet, keep: number): void {
    const tf = this.#tf
    tf.tidy(() => { for (const [i, variable] of this.variables.entries()) variable.assign(tf.add(tf.mul(variable, keep), tf.mul(other.variables[i]!, 1 - keep))) })
  }

  close(): void { this.#tf.dispose(this.variables) }
}

/** The same head as ONNX: `features` [n, 98, 40] in, `score` [n] out, 0 to 1. */
export function toOnnx({ kernels, biases }: KeywordWeights, name: string): Uint8Array {
  const graph = new GraphWriter(name)
  graph.input('features', 'float32', ['n', WINDOW_FRAMES, BANDS])
  let value = graph.node('Transpose', ['features'], ['bands'], { perm: [0, 2, 1] })
  let channels = BANDS
  let layer = 0
  for (const [index, step] of STEPS.entries()) {
    if (step === 'pool') {
      value = graph.node('MaxPool', [value], [`pool${index}`], { kernel_shape: [2], strides: [2] })
      continue
    }
    const { kernel, filters, stride = 1 } = step
    // Rows of our matrix are (tap, channel); ONNX wants [filter, channel, tap].
    const source = kernels[layer]!.data
    const weights = Float32Array.from({ length: filters * channels * kernel }, (_, i) => {
      const tap = i % kernel, channel = Math.floor(i / kernel) % channels, filter = Math.floor(i / (kernel * channels))
      return source[(tap * channels + channel) * filters + filter]!
    })
    graph.constant(`weights${layer}`, weights, [filters, channels, kernel])
    graph.constant(`bias${layer}`, biases[layer]!, [filters])
    value = graph.node('Conv', [value, `weights${layer}`, `bias${layer}`], [`conv${layer}`], { kernel_shape: [kernel], strides: [stride] })
    value = graph.node('Relu', [value], [`relu${layer}`])
    channels = filters
    layer++
  }
  value = graph.node('ReduceMax', [value], ['strongest'], { axes: [2], keepdims: 0 })
  graph.constant('dense', kernels[layer]!.data, [LAST, 1])
  graph.constant('offset', biases[layer]!, [1])
  value = graph.node('Gemm', [value, 'dense', 'offset'], ['logit'])
  value = graph.node('Sigmoid', [value], ['probability'])
  graph.constant('shape', BigInt64Array.of(-1n), [1])
  graph.node('Reshape', [value, 'shape'], ['score'])
  graph.output('score', 'float32', ['n'])
  return graph.bytes()
}
