import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import sharp, { type OverlayOptions } from 'sharp'
import { MtorError } from '../contracts/errors.ts'
import type { Detection } from '../inference/port.ts'
import { upright, type Picture } from './detect/picture.ts'
import { drawText } from './read/font.ts'

/** A larger picture is made smaller: it is there to be looked at. */
const MAX_SIDE_PX = 1920
/** Colours that are told apart on most backgrounds; a label always has the same. */
const COLOURS = ['#ffd400', '#00c8ff', '#ff4fd8', '#5dff3b', '#ff8c1a', '#b388ff', '#ff3b3b', '#00ffc3']

function colour(label: string): string {
  let sum = 0
  for (const sign of label) sum = (31 * sum + sign.codePointAt(0)!) >>> 0
  return COLOURS[sum % COLOURS.length]!
}

/** Name and score in per cent, black on the colour of the label. In a font of our own: boards have none. */
async function caption({ label, score }: Detection, heightPx: number, mostPx: number) {
  const { data, widthPx, heightPx: drawnPx } = drawText(`${label.toUpperCase().replace(/[^A-Z0-9 ]/g, ' ').slice(0, 20)} ${Math.round(100 * score)}`)
  const paint = [1, 3, 5].map((at) => Number.parseInt(colour(label).slice(at, at + 2), 16))
  const pixels = new Uint8Array(3 * data.length)
  for (let i = 0; i < data.length; i++) for (let channel = 0; channel < 3; channel++) pixels[3 * i + channel] = data[i]! > 127 ? paint[channel]! : 0
  // Most of the wide margin is cut off.
  const cut = Math.round(drawnPx / 6)
  const size = { width: widthPx - 2 * cut, height: drawnPx - 2 * cut }
  return await sharp(pixels, { raw: { width: widthPx, height: drawnPx, channels: 3 } }).extract({ left: cut, top: cut, ...size })
    .resize({ height: heightPx, width: Math.min(mostPx, Math.max(1, Math.round(size.width * heightPx / size.height))), fit: 'fill' }).png().toBuffer({ resolveWithObject: true })
}

/**
 * Writes a JPEG of the picture with a box around each detection and its name and score (in per cent) beside it; boxes are in
 * pixels of the picture. Native code: only in a worker or another child. @throws MtorError IMAGE_INVALID, DISK_FULL
 */
export async function annotate(picture: Picture, detections: readonly Detection[], file: string): Promise<void> {
  const factor = Math.min(1, MAX_SIDE_PX / Math.max(picture.width, picture.height))
  const width = Math.max(1, Math.round(picture.width * factor)), height = Math.max(1, Math.round(picture.height * factor))
  const linePx = Math.max(2, Math.round(Math.max(width, height) / 320))
  const textPx = Math.min(Math.max(12, Math.round(Math.max(width, height) / 36)), height)
  const boxes = detections.map(({ label, box }) => `<rect x="${box.x * factor}" y="${box.y * factor}" width="${box.width * factor}" height="${box.height * factor}" fill="none" stroke="${colour(label)}" stroke-width="${linePx}"/>`)
  const overlays: OverlayOptions[] = [{ input: Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${boxes.join('')}</svg>`) }]
  // The likeliest last: its name lies on top.
  for (const detection of [...detections].reverse()) {
    const label = await caption(detection, textPx, width)
    const left = detection.box.x * factor, top = detection.box.y * factor
    const y = top >= label.info.height ? top - label.info.height : top
    overlays.push({ input: label.data, left: Math.round(Math.min(Math.max(0, left), width - label.info.width)), top: Math.round(Math.min(Math.max(0, y), height - label.info.height)) })
  }
  const jpeg = await upright(picture).resize(width, height, { fit: 'fill' }).flatten({ background: '#000' }).toColourspace('srgb').composite(overlays).jpeg({ quality: 85 }).toBuffer()
  try {
    await mkdir(dirname(file), { recursive: true })
    // Of its own: a voter or a hedge may draw the same picture at the same time.
    const part = `${file}.${process.pid}.part`
    await writeFile(part, jpeg)
    await rename(part, file)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new MtorError(code === 'ENOSPC' || code === 'EDQUOT' ? 'DISK_FULL' : 'IMAGE_INVALID', `annotated picture ${file} cannot be written: ${message}`, { cause: error })
  }
}
