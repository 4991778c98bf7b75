import { open, stat } from 'node:fs/promises'
import { MtorError } from '../../contracts/errors.ts'
import { MAX_PICTURE_BYTES } from './port.ts'

export type PictureKind = 'jpeg' | 'png' | 'webp'
/** EXIF and colour profiles may stand before the size of a JPEG, bytes. */
const HEADER_BYTES = 1024 * 1024

/** What kind of picture begins so; undefined for anything else. */
export function pictureKind(start: Uint8Array): PictureKind | undefined {
  const text = Buffer.from(start.buffer, start.byteOffset, Math.min(12, start.byteLength)).toString('latin1')
  return text.startsWith('\xff\xd8\xff') ? 'jpeg' : text.startsWith('\x89PNG\r\n\x1a\n') ? 'png' : text.startsWith('RIFF') && text.slice(8, 12) === 'WEBP' ? 'webp' : undefined
}

/**
 * Width and height a JPEG declares, read off its frame header; undefined where there is none.
 * @see ITU-T T.81, B.1.1.4 (markers) and B.2.2 (frame header)
 */
export function jpegSize(bytes: Uint8Array): { widthPx: number; heightPx: number } | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 4 || view.getUint16(0) !== 0xffd8) return undefined
  for (let at = 2; at + 9 < bytes.length;) {
    if (bytes[at] !== 0xff) return undefined
    const marker = bytes[at + 1]!
    // Fill bytes, and markers without a length.
    if (marker === 0xff) { at++; continue }
    if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)) { at += 2; continue }
    // Frame headers are C0 to CF but for C4 (Huffman tables), C8 (reserved) and CC (arithmetic conditioning).
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      const heightPx = view.getUint16(at + 5)
      const widthPx = view.getUint16(at + 7)
      return widthPx > 0 && heightPx > 0 ? { widthPx, heightPx } : undefined
    }
    if (marker === 0xda || marker === 0xd9) return undefined
    at += 2 + view.getUint16(at + 2)
  }
  return undefined
}

/** The first bytes of a file of at most MAX_PICTURE_BYTES, enough for its header. @throws MtorError CAMERA */
export async function pictureHeader(file: string): Promise<Buffer> {
  const { size } = await stat(file).catch((error: Error) => { throw new MtorError('CAMERA', `${file}: no picture came: ${error.message}`) })
  if (size === 0 || size > MAX_PICTURE_BYTES) throw new MtorError('CAMERA', `${file}: expected a picture of 1 to ${MAX_PICTURE_BYTES} bytes, got ${size}`)
  const handle = await open(file)
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(Math.min(size, HEADER_BYTES)), 0)
    return buffer.subarray(0, bytesRead)
  } finally { await handle.close() }
}

/** Size of a JPEG file. @throws MtorError CAMERA where it is none */
export async function jpegFileSize(file: string): Promise<{ widthPx: number; heightPx: number }> {
  const size = jpegSize(await pictureHeader(file))
  if (!size) throw new MtorError('CAMERA', `${file}: expected a JPEG, got something else`)
  return size
}
