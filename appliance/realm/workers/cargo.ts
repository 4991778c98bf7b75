import { readFile, stat, writeFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { MtorError } from '../../contracts/errors.ts'
import type { PlainTensor, TaskName } from '../../inference/port.ts'
import type { PackedInput, PackedTensor, WorkerReply } from './messages.ts'

/** A message of the links has 8 MiB at the most, with its header. */
export const MAX_CARGO_BYTES = 8 * 1024 * 1024 - 64 * 1024

/** Fields of an input that name a file: one that is read, and one that is written. */
const FILES: Readonly<Record<TaskName, { in?: string; out?: string }>> = {
  detect: { in: 'image', out: 'annotate' }, read: { in: 'image' }, transcribe: { in: 'file' }, keyword: { in: 'file' },
  speak: { out: 'file' }, tensor: {}, normality: {},
}
const ARRAYS = { float32: Float32Array, int32: Int32Array, int64: BigInt64Array, uint8: Uint8Array }
type Fields = Record<string, unknown>

/** The file that an input wants written; undefined where it wants none. */
export function outputFile(task: TaskName, input: Fields): string | undefined {
  const { out } = FILES[task]
  const path = out === undefined ? undefined : input[out]
  return typeof path === 'string' ? path : undefined
}
/** The same input, with its output written elsewhere. */
export const withOutputFile = (task: TaskName, input: Fields, path: string): Fields => ({ ...input, [FILES[task].out!]: path })

/**
 * An input as it goes to another node, which has none of our files: what they hold goes along.
 * @throws MtorError TOO_LARGE, and IMAGE_INVALID or AUDIO_INVALID for a file that cannot be read
 */
export async function packInput(task: TaskName, input: Fields): Promise<PackedInput> {
  const { in: inward, out: outward } = FILES[task]
  const fields = { ...input }
  const packed: PackedInput = { fields }
  const path = inward === undefined ? undefined : fields[inward]
  if (typeof path === 'string') {
    packed.file = { extension: extensionOf(path) }
    packed.bytes = await readBounded(path, task === 'detect' || task === 'read' ? 'IMAGE_INVALID' : 'AUDIO_INVALID')
    delete fields[inward!]
  }
  const written = outputFile(task, input)
  if (written !== undefined) { packed.wants = { extension: extensionOf(written) }; delete fields[outward!] }
  if (task === 'tensor' && isRecord(fields['feeds'])) Object.assign(packed, packTensors(fields, 'feeds'))
  // Headers travel as JSON and are small; whoever puts megabytes into them is told now rather than by the link.
  const bytes = (packed.bytes?.length ?? 0) + Buffer.byteLength(JSON.stringify(packed.fields))
  if (bytes > MAX_CARGO_BYTES) throw tooLarge(bytes)
  return packed
}

/**
 * An input that came from another node: its file lies in `folder` now, and what is asked for is to be written there. A path
 * that somebody else has named is never opened here. @throws MtorError MALFORMED, DISK_FULL
 */
export async function unpackInput(task: TaskName, { fields, file, tensors, wants, bytes }: PackedInput, folder: string): Promise<{ input: Fields; output?: string }> {
  const { in: inward, out: outward } = FILES[task]
  for (const field of ['image', 'file', 'annotate']) if (typeof fields[field] === 'string') throw new MtorError('MALFORMED', `${task}: ${field} names a file of another node`)
  const input = { ...fields }
  if (file) {
    if (inward === undefined || !bytes) throw new MtorError('MALFORMED', `${task}: a file that the task does not take, or without its bytes`)
    const path = join(folder, `input${file.extension}`)
    await writeFile(path, bytes, { mode: 0o600 }).catch((error: unknown) => { throw new MtorError('DISK_FULL', `what another node sent cannot be kept: ${String(error)}`, { cause: error }) })
    input[inward] = path
  }
  if (tensors) input['feeds'] = { ...isRecord(input['feeds']) ? input['feeds'] : {}, ...unpackTensors(tensors, bytes) }
  if (!wants) return { input }
  if (outward === undefined) throw new MtorError('MALFORMED', `${task}: no file comes of it`)
  const output = join(folder, `output${wants.extension}`)
  input[outward] = output
  return { input, output }
}

type Cargo = Pick<WorkerReply, 'output' | 'tensors' | 'hasFile'> & { bytes?: Uint8Array }

/** An output as it goes back. A file that was not written is left out, as it would be missing here. @throws MtorError TOO_LARGE */
export async function packOutput(task: TaskName, output: Fields, file: string | undefined): Promise<Cargo> {
  const fields = { ...output }
  const cargo: Cargo = { output: fields }
  if (task === 'tensor' && isRecord(fields['tensors'])) Object.assign(cargo, packTensors(fields, 'tensors'))
  const isThere = file !== undefined && await stat(file).then(() => true, () => false)
  if (isThere) { cargo.bytes = await readBounded(file, 'INTERNAL'); cargo.hasFile = true }
  if ((cargo.bytes?.length ?? 0) > MAX_CARGO_BYTES) throw tooLarge(cargo.bytes!.length)
  return cargo
}

/** The output, and what was in its file. @throws MtorError MALFORMED */
export function unpackOutput({ output, tensors, hasFile, bytes }: Cargo): { output: Fields; file?: Uint8Array } {
  if (hasFile && !bytes) throw new MtorError('MALFORMED', 'an answer without the bytes of its file')
  return { output: tensors ? { ...output, tensors: { ...isRecord(output['tensors']) ? output['tensors'] : {}, ...unpackTensors(tensors, bytes) } } : output, ...(hasFile ? { file: bytes! } : {}) }
}

/** Takes the tensors with typed numbers out of `fields[name]`; what holds plain numbers stays, as JSON. */
function packTensors(fields: Fields, name: string): { tensors: Record<string, PackedTensor>; bytes: Uint8Array } | undefined {
  const all = fields[name] as Fields
  const typed = Object.entries(all).filter((entry): entry is [string, PlainTensor] => isRecord(entry[1]) && ArrayBuffer.isView(entry[1]['data']) && Object.hasOwn(ARRAYS, String(entry[1]['type'])))
  if (typed.length === 0) return undefined
  const tensors: Record<string, PackedTensor> = {}
  const parts: Uint8Array[] = []
  let offset = 0
  for (const [key, { type, dims, data }] of typed) {
    tensors[key] = { type, dims, offset, byteLength: data.byteLength }
    parts.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    offset += data.byteLength
    if (offset > MAX_CARGO_BYTES) throw tooLarge(offset)
  }
  fields[name] = Object.fromEntries(Object.entries(all).filter(([key]) => !Object.hasOwn(tensors, key)))
  return { tensors, bytes: Buffer.concat(parts) }
}

function unpackTensors(tensors: Readonly<Record<string, PackedTensor>>, bytes: Uint8Array = new Uint8Array()): Record<string, PlainTensor> {
  return Object.fromEntries(Object.entries(tensors).map(([name, { type, dims, offset, byteLength }]) => {
    const Numbers = ARRAYS[type]
    const count = dims.reduce((product, dim) => product * dim, 1)
    if (offset + byteLength > bytes.length || count * Numbers.BYTES_PER_ELEMENT !== byteLength) throw new MtorError('MALFORMED', `tensor ${name}: ${byteLength} bytes for ${dims.join('×')}`)
    // A copy of its own: the bytes of the link begin anywhere, numbers only at multiples of their size.
    const copy = new Uint8Array(byteLength)
    copy.set(bytes.subarray(offset, offset + byteLength))
    return [name, { type, dims, data: new Numbers(copy.buffer) }]
  }))
}

async function readBounded(path: string, code: 'IMAGE_INVALID' | 'AUDIO_INVALID' | 'INTERNAL'): Promise<Uint8Array> {
  const failed = (error: unknown): never => { throw new MtorError(code, `${path}: ${(error as Error).message}`, { cause: error }) }
  const { size } = await stat(path).catch(failed)
  if (size > MAX_CARGO_BYTES) throw tooLarge(size)
  return await readFile(path).catch(failed)
}

const tooLarge = (bytes: number) => new MtorError('TOO_LARGE', `${bytes} bytes for another node, at most ${MAX_CARGO_BYTES}`, { hint: 'Give a smaller picture or a shorter recording, or bring the model to this node.' })
const extensionOf = (path: string): string => { const extension = extname(path); return /^\.[A-Za-z0-9]{1,5}$/.test(extension) ? extension : '' }
const isRecord = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)
