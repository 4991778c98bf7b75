import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { MtorError } from '../../../contracts/errors.ts'

/**
 * Which members are wanted: the path below the target folder for one that is, undefined for one that is not. Asked for ''
 * it says what a source that is one single file is to be called.
 */
export type Pick = (member: string) => string | undefined

/** Files by where they are in the source. */
export function pickOf(files: readonly { path: string; from?: string }[]): Pick {
  const wanted = new Map(files.map(({ path, from = path }) => [from, path]))
  return (member) => wanted.get(member)
}

/**
 * The name of a member without "./" in front. An archive with a member that leads out of the folder it is unpacked in is
 * refused as a whole, although such a member would not be written: nobody makes one by mistake.
 * @throws MtorError MODEL_INVALID
 */
export function memberName(raw: string, archive: string): string {
  const name = posix.normalize(raw)
  if (raw.startsWith('/') || raw.includes('\0') || raw.includes('\\') || name === '..' || name.startsWith('../')) {
    throw new MtorError('MODEL_INVALID', `${archive}: the member ${JSON.stringify(raw)} leads out of the archive; nothing of it is used`)
  }
  return name.replace(/\/$/, '')
}

/** Writes a member, on stable storage when it resolves. `path` is of our choosing and is checked all the same. */
export async function writeMember(content: Readable | AsyncIterable<Uint8Array>, into: string, path: string, signal?: AbortSignal): Promise<void> {
  const target = join(into, memberName(path, 'manifest'))
  await mkdir(dirname(target), { recursive: true })
  await pipeline(content, createWriteStream(target, { flush: true, mode: 0o644 }), { signal })
}
