import { MtorError } from '../../contracts/errors.ts'
import { Ct2Model } from './ctranslate2-model.ts'
import { GraphWriter, type TypedArray } from './onnx-writer.ts'

/** Width of one head in every Whisper. */
const HEAD = 64
/** Of CTranslate2's activations the one Whisper has: GELU by the error function. */
const GELU = 3
const FLOAT32 = 1

/** Files of a converted Whisper. */
export const WHISPER_FILES = { encoder: 'encoder.onnx', decoder: 'decoder.onnx' } as const

/**
 * A Whisper of CTranslate2 as two ONNX graphs of standard operators. Weights stay in the precision of the file (float16 is
 * cast when the graph is loaded); all is computed in float32.
 *
 * encoder: `mel` [1, bands, 2 × n], n up to 1500 → for each layer i of the decoder what it will attend to, `cross_key_i`
 * [1, heads, 64, n] and `cross_value_i` [1, heads, n, 64].
 * decoder, one step: `token`, `position` [1, 1] int64, `past_key_i`, `past_value_i` [1, heads, p, 64], p = 0 at first, and
 * those of the encoder → `logits` [1, vocabulary], `key_i`, `value_i` [1, heads, p + 1, 64].
 * @see A. Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022; github.com/openai/whisper, model.py
 * @throws MtorError MODEL_INVALID where the file is no Whisper, or of a kind that none was published in
 */
export function convertWhisper(file: Uint8Array): Record<string, Uint8Array> {
  const model = Ct2Model.read(file)
  if (model.specification !== 'WhisperSpec') throw invalid(`expected a WhisperSpec, got ${model.specification}`)
  const expected: Record<string, number> = { 'decoder/activation': GELU, 'decoder/pre_norm': 1, 'decoder/scale_embeddings': 0, 'decoder/start_from_zero_embedding': 0, 'decoder/alibi': 0 }
  for (const [name, value] of Object.entries(expected)) if (model.number(name) !== value) throw invalid(`${name}: expected ${value}, got ${model.number(name)}`)
  const width = model.dims('decoder/embeddings/weight')[1]!
  for (const part of ['encoder', 'decoder']) {
    const heads = model.number(`${part}/num_heads`)
    if (heads * HEAD !== width) throw invalid(`${part}: ${heads} heads of ${HEAD} do not make ${width}`)
  }
  return { [WHISPER_FILES.encoder]: encoder(model), [WHISPER_FILES.decoder]: decoder(model) }
}

const invalid = (message: string) => new MtorError('MODEL_INVALID', `Whisper of CTranslate2: ${message}`)

function layers(model: Ct2Model, part: string): number {
  let count = 0
  while (model.has(`${part}/layer_${count}/ffn/linear_0/weight`)) count++
  if (count === 0) throw invalid(`${part} has no layer`)
  return count
}

/** The words both graphs are written in. Values are named after the weights that make them. */
class Blocks {
  readonly graph: GraphWriter
  readonly model: Ct2Model
  readonly heads: number
  #values = 0

  constructor(name: string, model: Ct2Model, heads: number) {
    this.graph = new GraphWriter(name)
    this.model = model
    this.heads = heads
    this.graph.metadata('source', `CTranslate2 ${model.specification} ${model.revision}`)
  }

  op(type: string, inputs: string[], attributes: Parameters<GraphWriter['node']>[3] = {}): string {
    return this.graph.node(type, inputs, [`v${this.#values++}`], attributes)
  }

  constant(data: TypedArray, dims: readonly number[]): string { return this.graph.constant(`c${this.#values++}`, data, dims) }
  shape(...dims: number[]): string { return this.constant(BigInt64Array.from(dims, BigInt), [dims.length]) }

  /** A weight as float32. `rows`: of its rows only these. `transposed`: its two dimensions change places. */
  weight(name: string, options: { rows?: [number, number]; transposed?: boolean } = {}): string {
    let { data, dims } = this.model.weights(name)
    if (options.rows) {
      const row = data.length / dims[0]!
      data = data.subarray(options.rows[0] * row, options.rows[1] * row)
      dims = [options.rows[1] - options.rows[0], ...dims.slice(1)]
    }
    if (options.transposed) {
      data = transpose(data, dims[0]!, dims[1]!)
      dims = [dims[1]!, dims[0]!]
    }
    const constant = this.constant(data, dims)
    return data instanceof Float32Array ? constant : this.op('Cast', [constant], { to: FLOAT32 })
  }

  /** x · weightᵀ + bias; of the outputs only `rows`. */
  linear(x: string, name: string, rows?: [number, number]): string {
    const product = this.op('MatMul', [x, this.weight(`${name}/weight`, { rows, transposed: true })])
    return this.model.has(`${name}/bias`) ? this.op('Add', [product, this.weight(`${name}/bias`, { rows })]) : product
  }

  norm(x: string, name: string): string {
    return this.op('LayerNormalization', [x, this.weight(`${name}/gamma`), this.weight(`${name}/beta`)], { axis: -1, epsilon: 1e-5 })
  }

  /** x/2 · (1 + erf(x/√2)) @see D. Hendrycks, K. Gimpel, "Gaussian Error Linear Units", 2016 */
  gelu(x: string): string {
    const number = (value: number) => this.constant(Float32Array.of(value), [])
    const bell = this.op('Add', [this.op('Erf', [this.op('Div', [x, number(Math.SQRT2)])]), number(1)])
    return this.op('Mul', [this.op('Mul', [x, bell]), number(0.5)])
  }

  feedForward(x: string, name: string): string {
    const inner = this.gelu(this.linear(this.norm(x, `${name}/layer_norm`), `${name}/linear_0`))
    return this.op('Add', [x, this.linear(inner, `${name}/linear_1`)])
  }

  /** [1, n, heads × 64] → [1, heads, n, 64], or with `perm` another order. */
  split(x: string, perm = [0, 2, 1, 3]): string {
    return this.op('Transpose', [this.op('Reshape', [x, this.shape(1, -1, this.heads, HEAD)])], { perm })
  }

  /** softmax(q · k / √64) · v, heads side by side again. @param key [1, heads, 64, n] */
  attend(query: string, key: string, value: string): string {
    const scaled = this.op('Mul', [query, this.constant(Float32Array.of(HEAD ** -0.5), [])])
    const weights = this.op('Softmax', [this.op('MatMul', [scaled, key])], { axis: -1 })
    const mixed = this.op('Transpose', [this.op('MatMul', [weights, value])], { perm: [0, 2, 1, 3] })
    return this.op('Reshape', [mixed, this.shape(1, -1, this.heads * HEAD)])
  }

  /** Query, key and value from the one matrix they lie in. */
  queryKeyValue(x: string, name: string): [string, string, string] {
    const width = this.heads * HEAD
    return [0, 1, 2].map((part) => this.linear(x, `${name}/linear_0`, [part * width, (part + 1) * width])) as [string, string, string]
  }
}

function encoder(model: Ct2Model): Uint8Array {
  const heads = model.number('encoder/num_heads')
  const blocks = new Blocks('whisper encoder', model, heads)
  const { graph } = blocks
  const [width, bands] = model.dims('encoder/conv1/weight') as [number, number, number]
  const convolve = (x: string, name: string, stride: number) =>
    blocks.gelu(blocks.op('Conv', [x, blocks.weight(`${name}/weight`), blocks.weight(`${name}/bias`)], { kernel_shape: [3], pads: [1, 1], strides: [stride] }))
  const mel = graph.input('mel', 'float32', [1, bands, 'frames'])
  let x = blocks.op('Transpose', [convolve(convolve(mel, 'encoder/conv1', 1), 'encoder/conv2', 2)], { perm: [0, 2, 1] })
  // A shorter window has the first of the positions.
  const length = blocks.op('Slice', [blocks.op('Shape', [x]), blocks.shape(1), blocks.shape(2)])
  x = blocks.op('Add', [x, blocks.op('Slice', [blocks.weight('encoder/position_encodings/encodings'), blocks.shape(0), length, blocks.shape(0)])])
  for (let i = 0; i < layers(model, 'encoder'); i++) {
    const name = `encoder/layer_${i}`
    const [query, key, value] = blocks.queryKeyValue(blocks.norm(x, `${name}/self_attention/layer_norm`), `${name}/self_attention`)
    x = blocks.op('Add', [x, blocks.linear(blocks.attend(blocks.split(query), blocks.split(key, [0, 2, 3, 1]), blocks.split(value)), `${name}/self_attention/linear_1`)])
    x = blocks.feedForward(x, `${name}/ffn`)
  }
  x = blocks.norm(x, 'encoder/layer_norm')
  for (let i = 0; i < layers(model, 'decoder'); i++) {
    const name = `decoder/layer_${i}/attention/linear_1`
    graph.node('Identity', [blocks.split(blocks.linear(x, name, [0, width]), [0, 2, 3, 1])], [`cross_key_${i}`])
    graph.node('Identity', [blocks.split(blocks.linear(x, name, [width, 2 * width]))], [`cross_value_${i}`])
    graph.output(`cross_key_${i}`, 'float32', [1, heads, HEAD, 'n'])
    graph.output(`cross_value_${i}`, 'float32', [1, heads, 'n', HEAD])
  }
  return graph.bytes()
}

function decoder(model: Ct2Model): Uint8Array {
  const heads = model.number('decoder/num_heads')
  const blocks = new Blocks('whisper decoder', model, heads)
  const { graph } = blocks
  const [vocabulary, width] = model.dims('decoder/embeddings/weight') as [number, number]
  const token = graph.input('token', 'int64', [1, 1])
  const position = graph.input('position', 'int64', [1, 1])
  const table = blocks.model.weights('decoder/embeddings/weight')
  const embeddings = blocks.constant(table.data, table.dims)
  const single = (x: string) => table.data instanceof Float32Array ? x : blocks.op('Cast', [x], { to: FLOAT32 })
  // Looked up before it is cast: the cast table belongs to the last product alone.
  let x = blocks.op('Add', [single(blocks.op('Gather', [embeddings, token])), blocks.op('Gather', [blocks.weight('decoder/position_encodings/encodings'), position])])
  for (let i = 0; i < layers(model, 'decoder'); i++) {
    const name = `decoder/layer_${i}`
    const [query, key, value] = blocks.queryKeyValue(blocks.norm(x, `${name}/self_attention/layer_norm`), `${name}/self_attention`)
    const grown = (past: string, now: string, all: string) => graph.node('Concat', [graph.input(past, 'float32', [1, heads, 'p', HEAD]), blocks.split(now)], [all], { axis: 2 })
    const keys = blocks.op('Transpose', [grown(`past_key_${i}`, key, `key_${i}`)], { perm: [0, 1, 3, 2] })
    const values = grown(`past_value_${i}`, value, `value_${i}`)
    x = blocks.op('Add', [x, blocks.linear(blocks.attend(blocks.split(query), keys, values), `${name}/self_attention/linear_1`)])
    const cross = blocks.linear(blocks.norm(x, `${name}/attention/layer_norm`), `${name}/attention/linear_0`)
    const seen = blocks.attend(blocks.split(cross), graph.input(`cross_key_${i}`, 'float32', [1, heads, HEAD, 'n']), graph.input(`cross_value_${i}`, 'float32', [1, heads, 'n', HEAD]))
    x = blocks.op('Add', [x, blocks.linear(seen, `${name}/attention/linear_2`)])
    x = blocks.feedForward(x, `${name}/ffn`)
    graph.output(`key_${i}`, 'float32', [1, heads, 'p + 1', HEAD])
    graph.output(`value_${i}`, 'float32', [1, heads, 'p + 1', HEAD])
  }
  const last = blocks.op('Reshape', [blocks.norm(x, 'decoder/layer_norm'), blocks.shape(1, width)])
  graph.node('Gemm', [last, single(embeddings)], ['logits'], { transB: 1 })
  graph.output('logits', 'float32', [1, vocabulary])
  return graph.bytes()
}

function transpose<A extends Float16Array | Float32Array>(data: A, rows: number, columns: number): A {
  const out = new (data.constructor as new (length: number) => A)(data.length)
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = data[r * columns + c]!
  return out
}
