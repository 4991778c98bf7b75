import { MtorError } from '../../contracts/errors.ts'
import type { Tasks } from '../port.ts'
import type { LoadedTask, Session, TaskModule } from '../task.ts'
import { digestTensors } from '../worker/digest.ts'

type Ort = typeof import('onnxruntime-node')
/** Told of the values that depart most. */
const WORST = 3

/** `options` in the manifest of a model of what is normal. */
export interface NormalityOptions {
  /** Of the values, in the order in which the graph takes them. */
  names: string[]
  mean: number[]
  std: number[]
  /** A reading with a larger error departs. */
  threshold: number
  /** What is usual of each, from the 0.5 % to the 99.5 % quantile. */
  ranges: [number, number][]
  graph: string
}

const isNumbers = (value: unknown): value is number[] => Array.isArray(value) && value.every((item) => Number.isFinite(item))

/** @throws MtorError MODEL_INVALID */
export function normalityOptions(name: string, options: Record<string, unknown>): NormalityOptions {
  const { names, mean, std, threshold, ranges, graph } = options
  const good = Array.isArray(names) && names.length > 0 && names.every((item) => typeof item === 'string') && isNumbers(mean) && isNumbers(std) && mean.length === names.length && std.length === names.length
    && typeof threshold === 'number' && Array.isArray(ranges) && ranges.length === names.length && ranges.every((range) => isNumbers(range) && range.length === 2) && typeof graph === 'string'
  if (!good) throw new MtorError('MODEL_INVALID', `${name}: its options must be { names, mean, std, threshold, ranges, graph }`)
  return options as unknown as NormalityOptions
}

async function squaresOf(ort: Ort, session: Session, values: readonly number[]) {
  return session.run({ values: new ort.Tensor('float32', Float32Array.from(values), [1, values.length]) })
}

function outputOf(names: readonly string[], squares: Float32Array): Tasks['normality']['output'] {
  const each = names.map((name, i) => ({ name, error: squares[i]! }))
  return { error: each.reduce((sum, { error }) => sum + error, 0) / names.length, worst: each.sort((a, b) => b.error - a.error).slice(0, WORST) }
}

/** The error of one reading, whose values are in the order of `names`. */
export async function judge(ort: Ort, session: Session, { names }: Pick<NormalityOptions, 'names'>, values: readonly number[]): Promise<Tasks['normality']['output']> {
  return outputOf(names, (await squaresOf(ort, session, values))['squares']!.data as Float32Array)
}

/** How far a reading is from what is normal. */
export const task: TaskModule<'normality'> = {
  usesOnnx: true,
  async load({ model: { manifest }, open }): Promise<LoadedTask<'normality'>> {
    const { names, graph } = normalityOptions(manifest.name, manifest.options)
    const { session, ort } = await open(graph)
    let digest: string | undefined
    return {
      async run({ values }) {
        if (!isNumbers(values) || values.length !== names.length) throw new MtorError('INVALID_SLOTS', `${manifest.name} takes { values: ${names.length} numbers: ${names.join(', ')} }`)
        const result = await squaresOf(ort, session, values)
        digest = digestTensors(result)
        return outputOf(names, result['squares']!.data as Float32Array)
      },
      digest: () => digest,
      close: () => session.release(),
    }
  },
}
