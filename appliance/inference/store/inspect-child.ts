import { join } from 'node:path'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import { difference } from '../equality.ts'
import type { KnownAnswer, Manifest } from '../manifest.ts'
import type { PlainTensor, TaskName } from '../port.ts'
import { TASK_MODULES, type LoadContext, type LoadedTask } from '../task.ts'
import { answer } from './child-answer.ts'

/** What was found out of a model by loading and running it. */
export interface Inspected { signature: Manifest['signature']; knownAnswers: KnownAnswer[]; runMs: number; rssBytes: number }

interface Input { draft: Omit<Manifest, 'signature' | 'knownAnswers' | 'memoryMB' | 'timeoutMs'> & Partial<Manifest>; folder: string; graph: string }
type Signature = Manifest['signature']['inputs']
type Feeds = Record<string, PlainTensor>

/** Sizes tried for what a graph leaves open (length, height …), the least that it takes is used; of a batch always one. */
const OPEN_SIZES = [1, 8, 64, 512]
/** Of input and output together: a known answer is run after each request, and lies in the manifest as text. */
const MAX_ELEMENTS = 200_000
const PATTERN_SEEDS = [1, 2, 3, 4, 5, 6, 7, 8]

async function inspect({ draft, folder, graph }: Input): Promise<Inspected> {
  const ort = await import('onnxruntime-node')
  const create = async (path: string) => {
    try { return await ort.InferenceSession.create(join(folder, path), { executionProviders: ['cpu'] }) } catch (thrown) { throw new MtorError('MODEL_INVALID', `onnxruntime cannot load ${path}: ${toMtorError(thrown).message}`) }
  }
  const session = await create(graph)
  const signature = draft.signature ?? { inputs: signatureOf(session.inputMetadata), outputs: signatureOf(session.outputMetadata) }
  await session.release()
  if (draft.task === 'speech') throw new MtorError('MODEL_INVALID', 'models of the task speech come with the appliance only')
  const task: TaskName = draft.task
  const manifest: Manifest = { knownAnswers: [], memoryMB: 1, timeoutMs: 60_000, ...draft, signature }
  const context: LoadContext = { model: { manifest, folder }, threads: 1, open: async (path) => ({ session: await create(path), ort, provider: 'cpu' }) }
  let loaded: LoadedTask<TaskName>
  try { loaded = await (await TASK_MODULES[task]()).task.load(context) as LoadedTask<TaskName> } catch (thrown) { throw asInvalid(thrown, `it does not load as ${task}`) }
  const run = async (input: unknown) => await loaded.run(input as never) as KnownAnswer['output']
  const knownAnswers = draft.knownAnswers ? await checked(task, draft.knownAnswers, run) : [await made(task, signature.inputs, run)]
  const startedMs = performance.now()
  await run(knownAnswers[0]!.input)
  const runMs = performance.now() - startedMs
  await loaded.close()
  return { signature, knownAnswers, runMs, rssBytes: process.memoryUsage.rss() }
}

const asInvalid = (thrown: unknown, what: string) => new MtorError('MODEL_INVALID', `${what}: ${toMtorError(thrown).message}`, { hint: 'Options of the task go with --option KEY=VALUE, known answers and all else with --manifest FILE.yaml; see docs/11-models.md' })

function signatureOf(metadata: readonly { name: string; isTensor: boolean; type?: string; shape?: readonly (number | string)[] }[]): Signature {
  return metadata.map(({ name, isTensor, type, shape }) => {
    if (!isTensor) throw new MtorError('MODEL_INVALID', `${name} is no tensor`)
    return { name, type: type!, shape: [...shape!] }
  })
}

async function checked(task: TaskName, answers: readonly KnownAnswer[], run: (input: unknown) => Promise<unknown>): Promise<KnownAnswer[]> {
  for (const [index, { input, output }] of answers.entries()) {
    const wrong = difference(task, output, await run(input).catch((thrown: unknown) => { throw asInvalid(thrown, `known answer ${index + 1}`) }))
    if (wrong !== undefined) throw new MtorError('MODEL_INVALID', `known answer ${index + 1} does not come out: ${wrong}`)
  }
  return [...answers]
}

/** A small input of our own, with what the model makes of it now. */
async function made(task: TaskName, inputs: Signature, run: (input: unknown) => Promise<KnownAnswer['output']>): Promise<KnownAnswer> {
  if (task === 'tensor') return await madeOfTensors(inputs, run)
  if (task !== 'detect') throw new MtorError('MODEL_INVALID', `known answers for ${task} are recordings or texts: they cannot be made up`, { hint: 'Give them with --manifest FILE.yaml (knownAnswers); see docs/11-models.md' })
  let last: KnownAnswer | undefined
  for (const seed of PATTERN_SEEDS) {
    const input = { image: { pattern: 'shapes', seed, widthPx: 128, heightPx: 128 }, minScore: 0.1 }
    let output: KnownAnswer['output']
    try { output = plain(await run(input)) } catch (thrown) { throw asInvalid(thrown, 'it does not run') }
    last = { input, output }
    // To find nothing proves little.
    if ((output['detections'] as unknown[]).length > 0) return last
  }
  return last!
}

async function madeOfTensors(inputs: Signature, run: (input: unknown) => Promise<KnownAnswer['output']>): Promise<KnownAnswer> {
  let failed: unknown
  for (const size of OPEN_SIZES) {
    const feeds = randomFeeds(inputs, size)
    if (count(feeds) > MAX_ELEMENTS) break
    let output: { tensors: Feeds }
    try { output = await run({ feeds }) as { tensors: Feeds } } catch (thrown) { failed ??= thrown; continue }
    if (count(feeds) + count(output.tensors) > MAX_ELEMENTS) break
    if (Object.values(output.tensors).some(({ data }) => [...data as Float32Array].some((value) => Number.isNaN(Number(value))))) { failed ??= new MtorError('MODEL_INVALID', 'it gives NaN for small random numbers'); continue }
    return { input: plain({ feeds }), output: plain(output) }
  }
  throw asInvalid(failed ?? new MtorError('MODEL_INVALID', `its tensors have more than ${MAX_ELEMENTS} elements`), 'no known answer could be made')
}

const count = (tensors: Feeds) => Object.values(tensors).reduce((sum, { dims }) => sum + dims.reduce((product, dim) => product * dim, 1), 0)

/** Deterministic; of whole numbers 1, which is a valid index, length or flag nearly everywhere. */
function randomFeeds(inputs: Signature, openSize: number): Feeds {
  let state = 1
  // Lehmer's generator. @see Park and Miller, Random number generators: good ones are hard to find, 1988
  const random = () => { state = state * 48_271 % 0x7fffffff; return state / 0x7fffffff }
  return Object.fromEntries(inputs.map(({ name, type, shape }) => {
    const dims = shape.map((dim) => typeof dim === 'number' && dim >= 0 ? dim : /batch/i.test(String(dim)) ? 1 : openSize)
    const elements = dims.reduce((product, dim) => product * dim, 1)
    // Far too many are not made at all; the caller sees it by the dims.
    const length = Math.min(elements, MAX_ELEMENTS + 1)
    switch (type) {
      case 'float32': return [name, { type, dims, data: Float32Array.from({ length }, () => Math.round((random() * 2 - 1) * 1000) / 1000) }]
      case 'int32': return [name, { type, dims, data: new Int32Array(length).fill(1) }]
      case 'int64': return [name, { type, dims, data: new BigInt64Array(length).fill(1n) }]
      case 'uint8': return [name, { type, dims, data: Uint8Array.from({ length }, () => Math.floor(random() * 256)) }]
      default: throw new MtorError('MODEL_INVALID', `input ${name} is ${type}; float32, int32, int64 and uint8 can be fed`)
    }
  }))
}

/** As it will lie in the manifest. */
const plain = (value: unknown): Record<string, unknown> => JSON.parse(JSON.stringify(value, (_, item: unknown) => ArrayBuffer.isView(item) ? [...item as Float32Array].map((number) => typeof number === 'bigint' ? String(number) : Number((number as number).toPrecision(9))) : item)) as Record<string, unknown>

// In a process of its own: a bad graph may well kill whoever loads it. One argument: JSON; prints JSON.
await answer(inspect)
