import type { Tensor } from 'onnxruntime-node'
import type { Session } from '../../inference/task.ts'

type Ort = typeof import('onnxruntime-node')
type Tensors = Record<string, Tensor>

/** What greedy decoding needs to know of a model. */
export interface DecodeRules {
  /** Tokens the text is begun with. */
  prompt: readonly number[]
  endOfText: number
  /** Never chosen. */
  suppress: readonly number[]
  /** Not chosen first: an empty text, a blank. */
  suppressFirst: readonly number[]
  maxTokens: number
}

export interface Decoded {
  tokens: number[]
  /** Natural logarithm of the probability of each token and of the end, on average. */
  meanLogProbability: number
  /** The same words came again and again; all but one time were left out. */
  looped: boolean
  /** Of the last step. */
  logits: Float32Array
}

/** Text that comes again so often in a row is a loop of the decoder and nothing that was said. */
const LOOPS = 4
const LONGEST_LOOP = 16

/** Takes the likeliest token each time. `cross` is what the encoder gave. */
export async function decodeGreedily(ort: Ort, session: Session, cross: Tensors, rules: DecodeRules): Promise<Decoded> {
  const layers = session.outputNames.filter((name) => name.startsWith('key_')).length
  const [, heads, headWidth] = cross['cross_key_0']!.dims as [number, number, number, number]
  const empty = () => new ort.Tensor('float32', new Float32Array(0), [1, heads, 0, headWidth])
  let past: Tensors = Object.fromEntries(Array.from({ length: layers }, (_, i) => [[`past_key_${i}`, empty()], [`past_value_${i}`, empty()]]).flat() as [string, Tensor][])
  let position = 0
  const step = async (token: number): Promise<Float32Array> => {
    const one = (value: number) => new ort.Tensor('int64', BigInt64Array.of(BigInt(value)), [1, 1])
    const out = await session.run({ token: one(token), position: one(position++), ...past, ...cross })
    // The collector does not see how large these are.
    for (const tensor of Object.values(past)) tensor.dispose()
    past = Object.fromEntries(Array.from({ length: layers }, (_, i) => [[`past_key_${i}`, out[`key_${i}`]!], [`past_value_${i}`, out[`value_${i}`]!]]).flat() as [string, Tensor][])
    return out['logits']!.data as Float32Array
  }
  let logits: Float32Array = new Float32Array(0)
  for (const token of rules.prompt) logits = await step(token)
  const tokens: number[] = []
  let sum = 0
  for (;;) {
    const { token, logProbability } = likeliest(logits, tokens.length === 0 ? [...rules.suppress, ...rules.suppressFirst] : rules.suppress)
    sum += logProbability
    const meanLogProbability = sum / (tokens.length + 1)
    if (token === rules.endOfText) return { tokens, meanLogProbability, looped: false, logits }
    tokens.push(token)
    const loop = loopLength(tokens)
    if (loop > 0) return { tokens: tokens.slice(0, -loop * (LOOPS - 1)), meanLogProbability, looped: true, logits }
    if (tokens.length >= rules.maxTokens) return { tokens, meanLogProbability, looped: false, logits }
    logits = await step(token)
  }
}

/** The likeliest of those that are allowed, and its probability among all of them. Suppressed entries are overwritten. */
function likeliest(logits: Float32Array, suppress: readonly number[]): { token: number; logProbability: number } {
  for (const id of suppress) logits[id] = -Infinity
  let token = 0
  for (let id = 1; id < logits.length; id++) if (logits[id]! > logits[token]!) token = id
  const best = logits[token]!
  let total = 0
  for (let id = 0; id < logits.length; id++) total += Math.exp(logits[id]! - best)
  return { token, logProbability: -Math.log(total) }
}

/** Length of what the tokens end with `LOOPS` times in a row; 0 where there is none. */
export function loopLength(tokens: readonly number[]): number {
  for (let length = 1; length <= LONGEST_LOOP && length * LOOPS <= tokens.length; length++) {
    const from = tokens.length - length * LOOPS
    let same = true
    for (let i = from; same && i + length < tokens.length; i++) same = tokens[i] === tokens[i + length]
    if (same) return length
  }
  return 0
}
