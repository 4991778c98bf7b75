import { open } from 'node:fs/promises'
import sharp from 'sharp'
import { MtorError } from '../../contracts/errors.ts'

export const MAX_PIXELS = 50_000_000
/** A file larger than this is no photograph of at most 50 megapixels. */
const MAX_BYTES = 100 * 2 ** 20

/** How files of the kinds that are taken begin. @see https://en.wikipedia.org/wiki/List_of_file_signatures */
const isKnown = (bytes: Buffer): boolean => bytes.subarray(0, 3).equals(Buffer.from('ffd8ff', 'hex')) || bytes.subarray(0, 8).equals(Buffer.from('89504e470d0a1a0a', 'hex'))
  || (bytes.toString('latin1', 0, 4) === 'RIFF' && bytes.toString('latin1', 8, 12) === 'WEBP')

/** RGB bytes, row by row. */
export interface Pixels { data: Uint8Array; width: number; height: number }
/** A picture file, upright; sizes in pixels. */
export interface Picture { bytes: Buffer; width: number; height: number }

const invalid = (file: string, reason: string, cause?: unknown) => new MtorError('IMAGE_INVALID', `${file} ${reason}`, { cause })

/** Opens a JPEG, PNG or WebP; its size is that after turning it upright (EXIF). @throws MtorError IMAGE_INVALID */
export async function openPicture(file: string): Promise<Picture> {
  const bytes = await readWhole(file)
  if (bytes.length === 0) throw invalid(file, 'is empty')
  if (!isKnown(bytes)) throw invalid(file, 'is no JPEG, PNG or WebP')
  try {
    const { autoOrient: { width, height } } = await sharp(bytes, { limitInputPixels: false }).metadata()
    if (width * height > MAX_PIXELS) throw invalid(file, `has ${(width * height / 1e6).toFixed(0)} megapixels; ${MAX_PIXELS / 1e6} at most`)
    return { bytes, width, height }
  } catch (error) { throw error instanceof MtorError ? error : invalid(file, `cannot be read: ${(error as Error).message}`, error) }
}

async function readWhole(file: string): Promise<Buffer> {
  try {
    const handle = await open(file)
    try {
      const stat = await handle.stat()
      if (!stat.isFile()) throw invalid(file, 'is no file')
      if (stat.size > MAX_BYTES) throw invalid(file, `has ${(stat.size / 2 ** 20).toFixed(0)} MiB; ${MAX_BYTES / 2 ** 20} at most`)
      return await handle.readFile()
    } finally { await handle.close() }
  } catch (error) { throw error instanceof MtorError ? error : invalid(file, `cannot be read: ${(error as Error).message}`, error) }
}

/** A pipeline on the upright picture. */
export const upright = ({ bytes }: Picture) => sharp(bytes, { limitInputPixels: MAX_PIXELS, failOn: 'error' }).autoOrient()

/** The picture as RGB of this size, upright; what is transparent becomes black. @throws MtorError IMAGE_INVALID */
export async function pixels(picture: Picture, width: number, height: number, file: string): Promise<Pixels> {
  try {
    const { data, info } = await upright(picture).resize(width, height, { fit: 'fill' }).flatten({ background: '#000' }).toColourspace('srgb').raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })
    if (info.channels !== 3) throw invalid(file, `has ${info.channels} channels of colour; 3 were expected`)
    return { data, width, height }
  } catch (error) { throw error instanceof MtorError ? error : invalid(file, `cannot be decoded: ${(error as Error).message}`, error) }
}
