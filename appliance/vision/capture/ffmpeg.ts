import { copyFile } from 'node:fs/promises'
import { MtorError } from '../../contracts/errors.ts'
import { hasProgram } from '../../inference/child.ts'
import { jpegFileSize, pictureHeader, pictureKind } from './picture.ts'
import { THUMBNAIL_PX, type Still, type StillTarget } from './port.ts'
import { fileError, runProgram } from './program.ts'

const QUIET = ['-hide_banner', '-nostdin', '-loglevel', 'error']
const SMALL = `scale=w='min(${THUMBNAIL_PX},iw)':h='min(${THUMBNAIL_PX},ih)':force_original_aspect_ratio=decrease`
/** Qualities of ffmpeg's JPEG encoder, 2 (best) to 31. */
const STILL_QUALITY = '3'
const THUMBNAIL_QUALITY = '6'
const one = (quality: string, file: string) => ['-frames:v', '1', '-q:v', quality, '-f', 'image2', '-update', '1', '-y', `file:${file}`]

export const hasFfmpeg = (): boolean => hasProgram('ffmpeg')

/**
 * The command line that takes one picture of an input, with its thumbnail. The first `skip` frames are let pass: a camera
 * that has just been opened is still finding its exposure.
 * @see ffmpeg(1); ffmpeg-filters(1), select and scale
 */
export const stillArguments = (input: readonly string[], target: StillTarget, skip: number): string[] => [
  ...QUIET, ...input,
  '-filter_complex', `[0:v:0]select='gte(n,${skip})',split=2[still][other];[other]${SMALL}[small]`,
  '-map', '[still]', ...one(STILL_QUALITY, target.file), '-map', '[small]', ...one(THUMBNAIL_QUALITY, target.thumbnail),
]

/** A picture of anything ffmpeg can open. @throws MtorError CAMERA, DISK_FULL, CANCELLED */
export async function ffmpegStill(input: readonly string[], target: StillTarget, skip: number, from: string, signal: AbortSignal): Promise<Still> {
  await runProgram('ffmpeg', stillArguments(input, target, skip), signal)
  return { ...await jpegFileSize(target.file), thumbnail: true, from }
}

/**
 * A picture that is in a file, as the target. A JPEG stays as it is, byte for byte; a PNG or WebP becomes one. The kind is
 * told by its first bytes and given to ffmpeg, which by itself would open lists that name other files, too.
 * A picture that cannot be decoded to its end is refused, where there is an ffmpeg to try.
 * @throws MtorError CAMERA, DISK_FULL, CANCELLED
 */
export async function finishPicture(source: string, target: StillTarget, from: string, signal: AbortSignal): Promise<Still> {
  const kind = pictureKind(await pictureHeader(source))
  if (!kind) throw new MtorError('CAMERA', `${from}: expected a JPEG, PNG or WebP, got something else`)
  const thumbnail = hasFfmpeg()
  if (!thumbnail && kind !== 'jpeg') throw new MtorError('CAMERA', `${from}: a ${kind.toUpperCase()} must be made a JPEG, and there is no ffmpeg here`, { hint: 'Install the Debian package ffmpeg, or give JPEG.' })
  const input = ['-xerror', '-err_detect', 'explode', '-protocol_whitelist', 'file', '-f', `${kind}_pipe`, '-i', `file:${source}`]
  if (kind !== 'jpeg') return { ...await ffmpegStill(input, target, 0, from, signal) }
  if (thumbnail) await runProgram('ffmpeg', [...QUIET, ...input, '-vf', SMALL, ...one(THUMBNAIL_QUALITY, target.thumbnail)], signal)
  if (source !== target.file) await copyFile(source, target.file).catch((error: unknown) => { throw fileError(error, 'CAMERA', `could not copy ${source}`) })
  return { ...await jpegFileSize(target.file), thumbnail, from }
}
