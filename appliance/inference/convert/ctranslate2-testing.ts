import { mulberry32 } from '../../contracts/random.ts'

/** A CTranslate2 file made by hand, and a Whisper small enough to be worked out by plain loops: for tests. */

type Ct2Array = Float32Array | Float16Array | Int8Array | Int16Array | Int32Array
export interface HandVariable { name: string; data: Ct2Array; dims: number[] }
const TYPE_NUMBER = new Map<string, number>([['Float32Array', 0], ['Int8Array', 1], ['Int16Array', 2], ['Int32Array', 3], ['Float16Array', 4]])

const uint = (value: number, bytes: number) => { const buffer = Buffer.alloc(bytes); buffer.writeUIntLE(value, 0, bytes); return buffer }
const string = (text: string) => Buffer.concat([uint(Buffer.byteLength(text) + 1, 2), Buffer.from(`${text}\0`)])

export function writeCt2(specification: string, variables: readonly HandVariable[], aliases: readonly [string, string][] = [], version = 6): Buffer {
  return Buffer.concat([
    uint(version, 4), string(specification), uint(3, 4), uint(variables.length, 4),
    ...variables.flatMap(({ name, data, dims }) => [
      string(name), uint(dims.length, 1), ...dims.map((dim) => uint(dim, 4)), uint(TYPE_NUMBER.get(data.constructor.name)!, 1), uint(data.byteLength, 4),
      Buffer.from(data.buffer, data.byteOffset, data.byteLength),
    ]),
    uint(aliases.length, 4), ...aliases.flatMap(([alias, name]) => [string(alias), string(name)]),
  ])
}

export interface TinyShape { bands: number; positions: number; textPositions: number; vocabulary: number }
const WIDTH = 64
const INNER = 96

/** One layer each way, one head. Weights are random; the linear ones are float16 as in published models. */
export class TinyWhisper {
  readonly shape: TinyShape
  readonly variables: HandVariable[] = []
  readonly #random: () => number

  constructor(seed: number, shape: TinyShape) {
    this.shape = shape
    this.#random = mulberry32(seed)
    this.#add('encoder/conv1/weight', [WIDTH, shape.bands, 3])
    this.#add('encoder/conv1/bias', [WIDTH])
    this.#add('encoder/conv2/weight', [WIDTH, WIDTH, 3])
    this.#add('encoder/conv2/bias', [WIDTH])
    this.#add('encoder/position_encodings/encodings', [shape.positions, WIDTH])
    this.#add('decoder/position_encodings/encodings', [shape.textPositions, WIDTH])
    this.#add('decoder/embeddings/weight', [shape.vocabulary, WIDTH], 0.2)
    for (const part of ['encoder', 'decoder']) {
      this.#norm(`${part}/layer_norm`)
      const layer = `${part}/layer_0`
      this.#norm(`${layer}/self_attention/layer_norm`)
      this.#linear(`${layer}/self_attention/linear_0`, 3 * WIDTH, WIDTH)
      this.#linear(`${layer}/self_attention/linear_1`, WIDTH, WIDTH)
      this.#norm(`${layer}/ffn/layer_norm`)
      this.#linear(`${layer}/ffn/linear_0`, INNER, WIDTH)
      this.#linear(`${layer}/ffn/linear_1`, WIDTH, INNER)
      this.variables.push({ name: `${part}/num_heads`, data: Int16Array.of(1), dims: [] })
    }
    this.#norm('decoder/layer_0/attention/layer_norm')
    this.#linear('decoder/layer_0/attention/linear_0', WIDTH, WIDTH)
    this.#linear('decoder/layer_0/attention/linear_1', 2 * WIDTH, WIDTH)
    this.#linear('decoder/layer_0/attention/linear_2', WIDTH, WIDTH)
    for (const [name, value] of Object.entries({ activation: 3, pre_norm: 1, scale_embeddings: 0, start_from_zero_embedding: 0, alibi: 0 })) this.variables.push({ name: `decoder/${name}`, data: Int8Array.of(value), dims: [] })
  }

  file(): Buffer { return writeCt2('WhisperSpec', this.variables, [['decoder/projection/weight', 'decoder/embeddings/weight']]) }

  #add(name: string, dims: number[], scale = 1 / Math.sqrt(dims.at(-1)!)): void {
    const data = new Float16Array(dims.reduce((product, dim) => product * dim, 1)).map(() => (2 * this.#random() - 1) * scale)
    this.variables.push({ name, data, dims })
  }

  #norm(name: string): void {
    this.#add(`${name}/beta`, [WIDTH])
    this.variables.push({ name: `${name}/gamma`, data: new Float32Array(WIDTH).map(() => 0.5 + this.#random()), dims: [WIDTH] })
  }

  #linear(name: string, out: number, from: number): void {
    this.#add(`${name}/weight`, [out, from], 2 / Math.sqrt(from))
    this.#add(`${name}/bias`, [out])
  }

  #rows(name: string): number[][] {
    const { data, dims } = this.variables.find((variable) => variable.name === name)!
    const width = dims.slice(1).reduce((product, dim) => product * dim, 1)
    return Array.from({ length: dims[0]! }, (_, row) => Array.from(data.subarray(row * width, (row + 1) * width)))
  }

  #vector(name: string): number[] { return this.#rows(name).flat() }

  #apply(x: number[][], name: string): number[][] {
    const weight = this.#rows(`${name}/weight`)
    const bias = this.#vector(`${name}/bias`)
    return x.map((row) => weight.map((w, out) => w.reduce((sum, value, i) => sum + value * row[i]!, bias[out]!)))
  }

  #normal(x: number[][], name: string): number[][] {
    const gamma = this.#vector(`${name}/gamma`)
    const beta = this.#vector(`${name}/beta`)
    return x.map((row) => {
      const mean = row.reduce((sum, value) => sum + value, 0) / row.length
      const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / row.length
      return row.map((value, i) => ((value - mean) / Math.sqrt(variance + 1e-5)) * gamma[i]! + beta[i]!)
    })
  }

  #convolve(x: number[][], name: string, stride: number): number[][] {
    const weight = this.#rows(`${name}/weight`)
    const bias = this.#vector(`${name}/bias`)
    return Array.from({ length: Math.floor((x.length - 1) / stride) + 1 }, (_, at) => weight.map((w, out) => {
      let sum = bias[out]!
      for (let k = 0; k < 3; k++) for (const [channel, value] of (x[at * stride + k - 1] ?? []).entries()) sum += w[channel * 3 + k]! * value
      return gelu(sum)
    }))
  }

  #feedForward(x: number[][], layer: string): number[][] {
    const inner = this.#apply(this.#normal(x, `${layer}/ffn/layer_norm`), `${layer}/ffn/linear_0`).map((row) => row.map(gelu))
    return add(x, this.#apply(inner, `${layer}/ffn/linear_1`))
  }

  /** @param mel one row a frame */
  encode(mel: number[][]): number[][] {
    const positions = this.#rows('encoder/position_encodings/encodings')
    const heard = this.#convolve(this.#convolve(mel, 'encoder/conv1', 1), 'encoder/conv2', 2)
    const x = heard.map((row, at) => row.map((value, i) => value + positions[at]![i]!))
    const all = this.#apply(this.#normal(x, 'encoder/layer_0/self_attention/layer_norm'), 'encoder/layer_0/self_attention/linear_0')
    const mixed = attend(part(all, 0), part(all, 1), part(all, 2), false)
    return this.#normal(this.#feedForward(add(x, this.#apply(mixed, 'encoder/layer_0/self_attention/linear_1')), 'encoder/layer_0'), 'encoder/layer_norm')
  }

  /** Logits of the next token after all of `tokens`, without any cache. */
  next(encoded: number[][], tokens: readonly number[]): number[] {
    const embeddings = this.#rows('decoder/embeddings/weight')
    const positions = this.#rows('decoder/position_encodings/encodings')
    let x = tokens.map((token, at) => embeddings[token]!.map((value, i) => value + positions[at]![i]!))
    const all = this.#apply(this.#normal(x, 'decoder/layer_0/self_attention/layer_norm'), 'decoder/layer_0/self_attention/linear_0')
    x = add(x, this.#apply(attend(part(all, 0), part(all, 1), part(all, 2), true), 'decoder/layer_0/self_attention/linear_1'))
    const seen = this.#apply(encoded, 'decoder/layer_0/attention/linear_1')
    const query = this.#apply(this.#normal(x, 'decoder/layer_0/attention/layer_norm'), 'decoder/layer_0/attention/linear_0')
    x = add(x, this.#apply(attend(query, part(seen, 0), part(seen, 1), false), 'decoder/layer_0/attention/linear_2'))
    const last = this.#normal(this.#feedForward(x, 'decoder/layer_0'), 'decoder/layer_norm').at(-1)!
    return embeddings.map((row) => row.reduce((sum, value, i) => sum + value * last[i]!, 0))
  }
}

const add = (a: number[][], b: number[][]) => a.map((row, at) => row.map((value, i) => value + b[at]![i]!))
const part = (x: number[][], n: number) => x.map((row) => row.slice(n * WIDTH, (n + 1) * WIDTH))
const gelu = (x: number) => 0.5 * x * (1 + erf(x / Math.SQRT2))

function attend(query: number[][], key: number[][], value: number[][], causal: boolean): number[][] {
  return query.map((q, at) => {
    const scores = key.map((k, i) => causal && i > at ? -Infinity : k.reduce((sum, v, j) => sum + v * q[j]!, 0) / Math.sqrt(WIDTH))
    const most = Math.max(...scores)
    const weights = scores.map((score) => Math.exp(score - most))
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    return q.map((_, j) => value.reduce((sum, row, i) => sum + (weights[i]! / total) * row[j]!, 0))
  })
}

/** By its power series, which is exact enough for what activations come to. @see NIST DLMF 7.6.1 */
function erf(x: number): number {
  if (Math.abs(x) > 5) return Math.sign(x)
  let term = x
  let sum = x
  for (let n = 1; Math.abs(term) > 1e-15; n++) { term *= -(x * x) / n; sum += term / (2 * n + 1) }
  return (2 / Math.sqrt(Math.PI)) * sum
}
