import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { MtorError, toMtorError } from '../../contracts/errors.ts'

/** A set of files that is used only when each is, byte for byte, the one it was tested with. */
export interface PinnedFiles {
  name: string
  /** Relative path → SHA-256. */
  files: Readonly<Record<string, string>>
}

export type FileState = 'good' | 'damaged' | 'missing'

/** SHA-256 of a file in hexadecimal digits, and its size. */
export async function hashFile(path: string, options: { signal?: AbortSignal; onBytes?: (bytes: number) => void } = {}): Promise<{ sha256: string; bytes: number }> {
  const hash = createHash('sha256')
  let bytes = 0
  await pipeline(createReadStream(path, { highWaterMark: 1 << 18 }), async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) { hash.update(chunk); bytes += chunk.length; options.onBytes?.(chunk.length) }
  }, { signal: options.signal })
  return { sha256: hash.digest('hex'), bytes }
}

/**
 * Checks files against their SHA-256, and remembers by size, times and inode what it has checked, so that a warm start
 * does not read 100 MB. Only a change through the file system is seen this way; what rots on the disk below it is found
 * by the scrub, which reads everything.
 */
export class TrustedFiles {
  readonly #cacheFile: string | undefined
  #seen: Promise<Record<string, string>> | undefined
  #changed = false

  /** Without `cacheDir` nothing is remembered from one process to the next. */
  constructor(cacheDir?: string) { this.#cacheFile = cacheDir === undefined ? undefined : join(cacheDir, 'trusted-files.json') }

  /** The folder, after all its files have been checked. @throws MtorError MODEL_UNTRUSTED where one differs, ENGINE_MISSING where one is not there */
  async folder(model: PinnedFiles, folder: string): Promise<string> {
    for (const [file, sha256] of Object.entries(model.files)) await this.file(join(folder, file), sha256, model.name)
    await this.save()
    return folder
  }

  /** @throws MtorError MODEL_UNTRUSTED, ENGINE_MISSING */
  async file(path: string, sha256: string, name: string): Promise<string> {
    const found = await this.#look(path, sha256)
    if (found === 'missing') throw new MtorError('ENGINE_MISSING', `${name}: ${path} is missing`)
    if (found !== 'good') throw new MtorError('MODEL_UNTRUSTED', `${name}: ${path} has SHA-256 ${found.got}, expected ${sha256}`, { data: { path, got: found.got, expected: sha256 } })
    return path
  }

  /** Never throws for what is wrong with the file: one that cannot be read counts as damaged. `fresh`: reads it whatever is remembered. */
  async check(path: string, sha256: string, options: { fresh?: boolean; signal?: AbortSignal } = {}): Promise<FileState> {
    try {
      const found = await this.#look(path, sha256, options)
      return typeof found === 'string' ? found : 'damaged'
    } catch (error) {
      options.signal?.throwIfAborted()
      const { code } = error as NodeJS.ErrnoException
      return code === 'ENOENT' || code === 'ENOTDIR' ? 'missing' : 'damaged'
    }
  }

  /** What was found out without us: it was read, and is this. Only what is wrong is kept in mind. */
  async heard(path: string, sha256: string, got: string): Promise<FileState> {
    if (got === sha256) return 'good'
    this.#seen ??= this.#load()
    const seen = await this.#seen
    if (path in seen) { delete seen[path]; this.#changed = true }
    return 'damaged'
  }

  async #look(path: string, sha256: string, { fresh = false, signal }: { fresh?: boolean; signal?: AbortSignal } = {}): Promise<'good' | 'missing' | { got: string }> {
    this.#seen ??= this.#load()
    const seen = await this.#seen
    const mark = await markOf(path, sha256)
    if (mark === undefined) { if (path in seen) { delete seen[path]; this.#changed = true } return 'missing' }
    if (!fresh && seen[path] === mark) return 'good'
    let got: string
    try { ({ sha256: got } = await hashFile(path, { signal })) } catch (error) { signal?.throwIfAborted(); throw toMtorError(error, 'ENGINE_MISSING') }
    // What was written while it was read has another mark now, and is not remembered under the old one.
    if (got === sha256 && await markOf(path, sha256) === mark) { if (seen[path] !== mark) { seen[path] = mark; this.#changed = true } return 'good' }
    if (path in seen) { delete seen[path]; this.#changed = true }
    return got === sha256 ? 'good' : { got }
  }

  async #load(): Promise<Record<string, string>> {
    if (this.#cacheFile === undefined) return {}
    // A cache that cannot be read only costs time.
    try {
      const parsed: unknown = JSON.parse(await readFile(this.#cacheFile, 'utf8'))
      return parsed !== null && typeof parsed === 'object' && !Array.isArray(parsed) ? { ...parsed as Record<string, string> } : {}
    } catch { return {} }
  }

  async save(): Promise<void> {
    if (this.#cacheFile === undefined || !this.#seen || !this.#changed) return
    this.#changed = false
    const temporary = `${this.#cacheFile}.${process.pid}`
    try {
      await mkdir(dirname(this.#cacheFile), { recursive: true })
      await writeFile(temporary, JSON.stringify(await this.#seen), { mode: 0o600 })
      await chmod(temporary, 0o600)
      await rename(temporary, this.#cacheFile)
    } catch {
      // A read-only or full disk: the next start checks again.
      await rm(temporary, { force: true }).catch(() => {})
    }
  }
}

/** What tells one state of a file from another without reading it; ctime cannot be set back by utimes. */
async function markOf(path: string, sha256: string): Promise<string | undefined> {
  try {
    const { size, mtimeNs, ctimeNs, ino } = await stat(path, { bigint: true })
    return [sha256, size, mtimeNs, ctimeNs, ino].join(':')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}
