import { createReadStream, createWriteStream } from 'node:fs'
import { chmod, lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { MtorError, toMtorError } from '../../contracts/errors.ts'

const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])
const CLOSED = new Set(['EROFS', 'EACCES', 'EPERM'])

/** What a failed write means, as a code of the catalogue. */
export function diskError(thrown: unknown, what: string): MtorError {
  if (thrown instanceof MtorError) return thrown
  const { code, message, name } = thrown as NodeJS.ErrnoException
  if (name === 'AbortError') return new MtorError('CANCELLED', `${what}: cancelled`, { cause: thrown })
  if (code !== undefined && FULL.has(code)) return new MtorError('DISK_FULL', `${what}: ${message}`, { cause: thrown })
  if (code !== undefined && CLOSED.has(code)) return new MtorError('MODEL_UNAVAILABLE', `${what}: the store cannot be written (${message})`, { cause: thrown, hint: 'Give this user the right to write to inference.modelsDir and inference.copyDir.' })
  return toMtorError(thrown)
}

/** Makes what was written to a file or folder survive a loss of power. */
export async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try { await handle.sync() } finally { await handle.close() }
}

/** Copies one file, on stable storage when it resolves; its folder is made. */
export async function copyFile(from: string, to: string, options: { signal?: AbortSignal; onBytes?: (bytes: number) => void } = {}): Promise<void> {
  await mkdir(dirname(to), { recursive: true })
  await pipeline(createReadStream(from, { highWaterMark: 1 << 18 }), async function* (chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) { options.onBytes?.(chunk.length); yield chunk }
  }, createWriteStream(to, { flush: true, mode: 0o644 }), { signal: options.signal })
}

/** Puts a good file in the place of a bad one: who opens it has the one or the other, never a part. */
export async function replaceFile(from: string, to: string, signal?: AbortSignal): Promise<void> {
  const temporary = `${to}.${process.pid}.new`
  try {
    await copyFile(from, temporary, { signal })
    await rename(temporary, to)
    await sync(dirname(to))
  } catch (error) { await rm(temporary, { force: true }).catch(() => {}); throw diskError(error, to) }
}

/** Writes a small file whole or not at all, readable by its owner only. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.new`
  try {
    await mkdir(dirname(path), { recursive: true })
    const handle = await open(temporary, 'w', 0o600)
    try { await handle.writeFile(text); await handle.sync() } finally { await handle.close() }
    await chmod(temporary, 0o600)
    await rename(temporary, path)
    await sync(dirname(path))
  } catch (error) { await rm(temporary, { force: true }).catch(() => {}); throw diskError(error, path) }
}

/** Somebody who mends the same model may make the folder anew between the two renames: then once more. */
const PLACE_TRIES = 5

/** Moves a finished folder to its place in one step; one that is there already is moved away first and then removed. */
export async function placeFolder(from: string, to: string, trash: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true })
  for (let left = PLACE_TRIES; ; left--) {
    await rm(trash, { recursive: true, force: true })
    try { await rename(to, trash) } catch (error) { if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error }
    try { await rename(from, to); break } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (left <= 1 || (code !== 'ENOTEMPTY' && code !== 'EEXIST')) throw error
    }
  }
  await sync(dirname(to))
  await rm(trash, { recursive: true, force: true })
}

/** Sum of the sizes of all files below a folder; 0 where it is not there. */
export async function sizeBelow(folder: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => [])) {
    if (entry.isFile()) bytes += (await lstat(join(entry.parentPath, entry.name)).catch(() => ({ size: 0 }))).size
  }
  return bytes
}
