import { createReadStream } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { createInflateRaw } from 'node:zlib'
import { MtorError } from '../../../contracts/errors.ts'
import { memberName, writeMember, type Pick } from './members.ts'

const END = 0x06054b50
const END_64 = 0x06064b50
const LOCATOR_64 = 0x07064b50
const ENTRY = 0x02014b50
const LOCAL = 0x04034b50
const END_BYTES = 22
const MAX_COMMENT_BYTES = 0xffff
const STORED = 0
const DEFLATED = 8

/**
 * Takes the wanted members out of a zip file (a Python wheel is one), by its central directory; resolves with the paths written.
 * @see PKWARE APPNOTE.TXT 6.3.10, 4.3 (general format), 4.5.3 (zip64)
 * @throws MtorError MODEL_INVALID: no zip, a name that leads out, encrypted, or a wanted member that is a link
 */
export async function readZip(file: string, pick: Pick, into: string, options: { signal?: AbortSignal; onBytes?: (bytes: number) => void } = {}): Promise<string[]> {
  const handle = await open(file, 'r')
  try {
    const directory = await centralDirectory(handle, file)
    const written: string[] = []
    for (let at = 0; at + 46 <= directory.length && directory.readUInt32LE(at) === ENTRY;) {
      const nameBytes = directory.readUInt16LE(at + 28)
      const extraBytes = directory.readUInt16LE(at + 30)
      const raw = directory.toString('utf8', at + 46, at + 46 + nameBytes)
      const sizes = zip64(directory.subarray(at + 46 + nameBytes, at + 46 + nameBytes + extraBytes), { bytes: directory.readUInt32LE(at + 24), packedBytes: directory.readUInt32LE(at + 20), offset: directory.readUInt32LE(at + 42) })
      const entry = { name: memberName(raw, file), folder: raw.endsWith('/'), flags: directory.readUInt16LE(at + 8), method: directory.readUInt16LE(at + 10), mode: directory.readUInt32LE(at + 38) >>> 16, ...sizes }
      at += 46 + nameBytes + extraBytes + directory.readUInt16LE(at + 32)
      const path = entry.folder ? undefined : pick(entry.name)
      if (path === undefined) continue
      // The upper half of the attributes is the UNIX mode where it was made on UNIX: no links.
      if ((entry.mode & 0o170000) === 0o120000) throw new MtorError('MODEL_INVALID', `${file}: ${entry.name} is a link, not a plain file`)
      if (entry.flags & 1 || (entry.method !== STORED && entry.method !== DEFLATED)) throw new MtorError('MODEL_INVALID', `${file}: ${entry.name} is encrypted or packed by method ${entry.method}`)
      await writeMember(content(handle, file, entry, options.onBytes), into, path, options.signal)
      written.push(path)
    }
    return written
  } catch (error) {
    if (error instanceof RangeError || (error as NodeJS.ErrnoException).code?.startsWith('Z_')) throw new MtorError('MODEL_INVALID', `${file}: it is no zip, or it is damaged (${(error as Error).message})`, { cause: error })
    throw error
  } finally { await handle.close() }
}

async function read(handle: FileHandle, position: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(bytes)
  const { bytesRead } = await handle.read(buffer, 0, bytes, position)
  return buffer.subarray(0, bytesRead)
}

async function centralDirectory(handle: FileHandle, file: string): Promise<Buffer> {
  const { size } = await handle.stat()
  const tailBytes = Math.min(size, END_BYTES + MAX_COMMENT_BYTES)
  const tail = await read(handle, size - tailBytes, tailBytes)
  let at = tail.length - END_BYTES
  while (at >= 0 && tail.readUInt32LE(at) !== END) at--
  if (at < 0) throw new MtorError('MODEL_INVALID', `${file}: it is no zip, or it is cut off`)
  let bytes = tail.readUInt32LE(at + 12)
  let offset = tail.readUInt32LE(at + 16)
  if (at >= 20 && tail.readUInt32LE(at - 20) === LOCATOR_64) {
    const end = await read(handle, Number(tail.readBigUInt64LE(at - 12)), 56)
    if (end.readUInt32LE(0) === END_64) { bytes = Number(end.readBigUInt64LE(40)); offset = Number(end.readBigUInt64LE(48)) }
  }
  if (offset + bytes > size) throw new MtorError('MODEL_INVALID', `${file}: its directory lies beyond its end`)
  return await read(handle, offset, bytes)
}

/** What does not fit into 32 bits is in an extra field, in this order. */
function zip64(extra: Buffer, sizes: { bytes: number; packedBytes: number; offset: number }) {
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== 1) continue
    let field = at + 4
    for (const key of ['bytes', 'packedBytes', 'offset'] as const) if (sizes[key] === 0xffffffff) { sizes[key] = Number(extra.readBigUInt64LE(field)); field += 8 }
  }
  return sizes
}

async function* content(handle: FileHandle, file: string, entry: { name: string; method: number; offset: number; bytes: number; packedBytes: number }, onBytes?: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  const local = await read(handle, entry.offset, 30)
  if (local.readUInt32LE(0) !== LOCAL) throw new MtorError('MODEL_INVALID', `${file}: ${entry.name} is not where the directory says`)
  const start = entry.offset + 30 + local.readUInt16LE(26) + local.readUInt16LE(28)
  if (entry.packedBytes === 0) return
  const packed = createReadStream(file, { start, end: start + entry.packedBytes - 1, highWaterMark: 1 << 18 })
  const plain = entry.method === STORED ? packed : packed.pipe(createInflateRaw())
  if (plain !== packed) packed.on('error', (error) => plain.destroy(error))
  let bytes = 0
  try { for await (const chunk of plain as AsyncIterable<Buffer>) { bytes += chunk.length; onBytes?.(chunk.length); yield chunk } } finally { packed.destroy() }
  if (bytes !== entry.bytes) throw new MtorError('MODEL_INVALID', `${file}: ${entry.name} has ${bytes} bytes, its directory says ${entry.bytes}`)
}
