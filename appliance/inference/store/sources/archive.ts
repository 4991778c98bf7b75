import { spawn } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { createGunzip } from 'node:zlib'
import { MtorError } from '../../../contracts/errors.ts'
import { hasProgram } from '../../child.ts'
import type { FetchContext } from './context.ts'
import type { Pick } from './members.ts'
import { readTar } from './tar.ts'
import { readZip } from './zip.ts'

const ZIP = /\.(zip|whl)$/i
const PROGRAMS: [RegExp, string][] = [[/\.(tar\.bz2|tbz2?)$/i, 'bzip2'], [/\.(tar\.xz|txz)$/i, 'xz'], [/\.(tar\.zst)$/i, 'zstd']]
const GZIP = /\.(tar\.gz|tgz)$/i
const TAR = /\.tar$/i
const DEBIAN = /\.deb$/i

/** True for what has members. */
export const isArchive = (name: string) => [ZIP, GZIP, TAR, DEBIAN, ...PROGRAMS.map(([pattern]) => pattern)].some((pattern) => pattern.test(name))

/** Takes the wanted members out of an archive, by its name's ending; resolves with the paths written. @throws MtorError MODEL_INVALID, ENGINE_MISSING (its program is not there) */
export async function extract(file: string, pick: Pick, into: string, { progress, signal }: FetchContext, options: { strip?: number } = {}): Promise<string[]> {
  const totalBytes = (await stat(file)).size
  let doneBytes = 0
  /** Of the packed file; of a zip what comes out, which is as good for a bar. */
  const count = (bytes: number) => progress({ phase: 'extract', doneBytes: doneBytes = Math.min(doneBytes + bytes, totalBytes), totalBytes })
  if (ZIP.test(file)) return await readZip(file, pick, into, { signal, onBytes: count })
  const name = basename(file)
  if (DEBIAN.test(file)) {
    // dpkg knows every packing that Debian ever used; what it gives is a tar.
    const child = program('dpkg-deb', ['--fsys-tarfile', file])
    try { return await readTar(child.stdout, name, pick, into, { ...options, signal }) } finally { child.kill('SIGKILL') }
  }
  const packed = createReadStream(file, { highWaterMark: 1 << 18 })
  const helper = PROGRAMS.find(([pattern]) => pattern.test(file))?.[1]
  if (helper !== undefined) {
    const child = program(helper, ['-dc'])
    packed.on('data', (chunk) => count(chunk.length)).on('error', () => child.kill('SIGKILL')).pipe(child.stdin).on('error', () => {})
    try { return await readTar(child.stdout, name, pick, into, { ...options, signal }) } finally { child.kill('SIGKILL'); packed.destroy() }
  }
  try {
    if (TAR.test(file)) return await readTar(counted(packed, count), name, pick, into, { ...options, signal })
    const plain = createGunzip()
    packed.on('data', (chunk) => count(chunk.length)).on('error', (error) => plain.destroy(error)).pipe(plain)
    return await readTar(plain, name, pick, into, { ...options, signal })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code?.startsWith('Z_')) throw new MtorError('MODEL_INVALID', `${name}: it is damaged or cut off (${(error as Error).message})`, { cause: error })
    throw error
  } finally { packed.destroy() }
}

async function* counted(stream: AsyncIterable<Uint8Array>, count: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) { count(chunk.length); yield chunk }
}

function program(command: string, args: string[]) {
  if (!hasProgram(command)) throw new MtorError('ENGINE_MISSING', `${command} is needed to unpack this`, { hint: `apt-get install ${command === 'xz' ? 'xz-utils' : command === 'dpkg-deb' ? 'dpkg' : command}` })
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'ignore'] })
  child.on('error', () => {})
  return child
}
