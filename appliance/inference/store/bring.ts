import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { Manifest } from '../manifest.ts'
import { MANIFEST_FILE, sealed } from './catalogue.ts'
import { copyFile, diskError, placeFolder, sync, writeWhole } from './disk.ts'
import { runChild } from './run.ts'
import type { FetchContext, Progress } from './sources/context.ts'
import { fetchFiles } from './sources/index.ts'
import { pickOf } from './sources/members.ts'
import { hashFile } from './trusted-files.ts'

const CONVERT_CHILD = join(import.meta.dirname, 'convert-child.ts')

/** Where a model is put together before it is moved to its place; on the same disk as that place. */
export const INCOMING = '.incoming'

export interface BringOptions { signal?: AbortSignal; onProgress?: (progress: Progress) => void }

/** Scratch folders of one model. Who works in them holds its lock; a process that was killed leaves them to the next. */
export class Workshop {
  readonly #dir: string
  readonly files: string
  readonly inputs: string
  readonly fetch: FetchContext

  constructor(modelsDir: string, name: string, { signal, onProgress }: BringOptions) {
    this.#dir = join(modelsDir, INCOMING, name)
    this.files = join(this.#dir, 'files')
    this.inputs = join(this.#dir, 'inputs')
    this.fetch = { scratch: join(this.#dir, 'scratch'), partsDir: join(modelsDir, INCOMING), signal, progress: (progress) => onProgress?.(progress) }
  }

  async clear(): Promise<void> { await rm(this.#dir, { recursive: true, force: true }) }
}

/**
 * Brings the files of a manifest from its source, converted where it says so, into `workshop.files`; every one is the pinned one.
 * @throws MtorError DOWNLOAD_FAILED, MODEL_UNTRUSTED (what came is something else), DISK_FULL, CANCELLED …
 */
export async function bring(manifest: Manifest, workshop: Workshop): Promise<void> {
  const { source, convert, files, name } = manifest
  // What a converter makes is not asked of the source. It may make more than one graph: what the source lacks must come from it.
  const plain = files.filter(({ path }) => path !== convert?.output)
  const wanted = [...plain.map(({ path, from = path }) => ({ from, path: join('files', path), needed: !convert })), ...convert?.inputs.map(({ path, from = path }) => ({ from, path: join('inputs', path), needed: true })) ?? []]
  const first = wanted.filter(({ from }, index) => wanted.findIndex((other) => other.from === from) === index)
  const single = wanted.length === 1 && plain[0]?.from === undefined ? wanted[0]!.path : undefined
  const pick = pickOf(first)
  const into = join(workshop.files, '..')
  // All in one go: an archive of 145 MB is read once. A URL or a file that is one file may be called anything.
  const got = await fetchFiles(source, (member) => pick(member) ?? (member === '' ? single : undefined), into, workshop.fetch)
  for (const { from, path } of wanted.filter((file) => !first.includes(file))) {
    const same = first.find((file) => file.from === from)!
    if (got.includes(same.path)) { await copyFile(join(into, same.path), join(into, path)); got.push(path) }
  }
  const lacking = wanted.filter(({ path, needed }) => needed && !got.includes(path))
  if (lacking.length > 0) throw new MtorError('MODEL_INVALID', `${name}: its source holds no ${lacking.map(({ from }) => from).join(', ')}`)
  if (convert) {
    await verify(convert.inputs, workshop.inputs, name, workshop.fetch)
    await runConverter(convert.from, workshop.inputs, convert.inputs, join(workshop.files, convert.output), workshop.fetch)
  }
  await verify(files, workshop.files, name, workshop.fetch)
}

/** In a process of its own, which is gone with all the memory it took. */
export async function runConverter(from: 'tfjs' | 'ctranslate2', inputFolder: string, inputs: readonly { path: string }[], outputFile: string, { signal, progress }: FetchContext): Promise<void> {
  progress({ phase: 'convert', doneBytes: 0 })
  const written = await runChild<string[]>(CONVERT_CHILD, { from, inputFolder, inputs: inputs.map(({ path }) => ({ path })), outputFile }, { signal })
  for (const file of written) await sync(file)
}

async function verify(files: Manifest['files'], folder: string, name: string, { signal, progress }: FetchContext): Promise<void> {
  const totalBytes = files.reduce((sum, { bytes }) => sum + bytes, 0)
  let doneBytes = 0
  for (const file of files) {
    if (!await stat(join(folder, file.path)).catch(() => undefined)) throw new MtorError('MODEL_INVALID', `${name}: neither its source nor its converter gave ${file.path}`)
    const { sha256, bytes } = await hashFile(join(folder, file.path), { signal, onBytes: (count) => progress({ phase: 'verify', doneBytes: doneBytes += count, totalBytes }) })
    if (sha256 !== file.sha256) throw new MtorError('MODEL_UNTRUSTED', `${name}: ${file.path} came with SHA-256 ${sha256} and ${bytes} bytes, expected ${file.sha256} and ${file.bytes}`, { data: { path: file.path, got: sha256, expected: file.sha256 }, hint: 'The source has changed, or what came was damaged on the way; nothing of it was kept.' })
  }
}

/**
 * Puts a finished folder into the store and its second copy beside it. Both are whole on stable storage before either is
 * moved to its place: a disk that fills up on the way leaves what was there before.
 */
export async function place(manifest: Manifest, workshop: Workshop, dirs: { modelsDir: string; copyDir: string; own: boolean }): Promise<void> {
  const { name, version, files } = manifest
  const { signal, progress } = workshop.fetch
  const incoming = join(dirs.copyDir, INCOMING, name)
  try {
    await rm(incoming, { recursive: true, force: true })
    const totalBytes = files.reduce((sum, { bytes }) => sum + bytes, 0)
    let doneBytes = 0
    for (const { path } of files) await copyFile(join(workshop.files, path), join(incoming, path), { signal, onBytes: (count) => progress({ phase: 'copy', doneBytes: doneBytes += count, totalBytes }) })
    if (dirs.own) for (const folder of [workshop.files, incoming]) await writeWhole(join(folder, MANIFEST_FILE), sealed(manifest))
    for (const folder of [workshop.files, incoming]) await syncTree(folder)
    await placeFolder(incoming, join(dirs.copyDir, name, version), join(dirs.copyDir, INCOMING, `${name}.old`))
    await placeFolder(workshop.files, join(dirs.modelsDir, name, version), join(dirs.modelsDir, INCOMING, `${name}.old`))
  } catch (error) { throw diskError(error, `${name} ${version}`) } finally {
    await rm(incoming, { recursive: true, force: true }).catch((error) => { throw toMtorError(error) })
  }
  // Older versions only once the new one is there.
  for (const root of [dirs.modelsDir, dirs.copyDir]) for (const old of await readdir(join(root, name))) if (old !== version) await rm(join(root, name, old), { recursive: true, force: true })
}

async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) if (entry.isDirectory()) await sync(join(entry.parentPath, entry.name))
  await sync(folder)
}
