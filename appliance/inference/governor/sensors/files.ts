import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A file of the kernel with one line; undefined where it is missing or gives no answer now (EAGAIN: that part is powered down). */
export async function line(...path: string[]): Promise<string | undefined> {
  try { return (await readFile(join(...path), 'utf8')).trim() } catch { return undefined }
}

/** The same with a whole number in it. */
export async function wholeNumber(...path: string[]): Promise<number | undefined> {
  const text = await line(...path)
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined
}

/** Names in a folder that match; none where it is not there. */
export async function entries(folder: string, pattern: RegExp): Promise<string[]> {
  try { return (await readdir(folder)).filter((name) => pattern.test(name)).sort() } catch { return [] }
}
