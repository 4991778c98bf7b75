import { readFile } from 'node:fs/promises'
import { MtorError, toMtorError } from '../../appliance/contracts/errors.ts'
import { writeWhole } from '../../appliance/inference/store/disk.ts'

/** Writes a small file whole or not at all, readable by its owner only; on stable storage when it resolves. */
export async function keepFile(path: string, text: string): Promise<void> {
  try { await writeWhole(path, text) } catch (thrown) {
    const error = toMtorError(thrown)
    throw error.code === 'DISK_FULL' ? error : new MtorError('INTERNAL', `${path} cannot be written: ${error.message}`, { cause: thrown, hint: 'Give this user the right to write to the state folder.' })
  }
}

/** An object from a file of JSON; empty where there is none, undefined where it is damaged. */
export async function readObject(path: string): Promise<Record<string, unknown> | undefined> {
  let text: string
  try { text = await readFile(path, 'utf8') } catch (error) { if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}; throw error }
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : undefined
  } catch { return undefined }
}
