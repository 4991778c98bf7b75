import { join } from 'node:path'
import sharp from 'sharp'
import { MtorError } from '../../contracts/errors.ts'
import type { Box, TextLine, TextPattern } from '../../inference/port.ts'
import type { LoadedTask, TaskModule } from '../../inference/task.ts'
import { LAYOUT, TesseractEngine } from './engine.ts'
import { drawText } from './font.ts'
import { readScore, textLines } from './lines.ts'

const MAX_PIXELS = 50_000_000
/**
 * Capitals of 15 to 60 px are read well; much larger ones are taken for drawings. A small picture is enlarged, a large one
 * reduced, longer side in pixels; what is near and large is found by a look at half the size.
 */
const LEAST_SIDE_PX = 900
const MOST_SIDE_PX = 2000
const MOST_ENLARGED = 2
/** Lines this sure in the mean, with this many sure signs in all, need no second look. */
const SURE = 0.8
const ENOUGH = 5
/** Standard deviation in pixels that makes strokes of our dots. */
const DOT_BLUR = 3

interface Grey { data: Uint8Array; widthPx: number; heightPx: number }

/** An upright grey picture of a file in the size to be read, and by how much it was enlarged. */
async function load(file: string): Promise<Grey & { scale: number; fullWidthPx: number; fullHeightPx: number }> {
  try {
    const { autoOrient: { width, height } } = await sharp(file, { limitInputPixels: MAX_PIXELS, failOn: 'error' }).metadata()
    const side = Math.max(width, height)
    const scale = side < LEAST_SIDE_PX ? Math.min(MOST_ENLARGED, LEAST_SIDE_PX / side) : side > MOST_SIDE_PX ? MOST_SIDE_PX / side : 1
    const { data, info } = await sharp(file, { limitInputPixels: MAX_PIXELS, failOn: 'error' }).autoOrient().flatten({ background: '#fff' })
      .resize({ width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)), fit: 'fill', kernel: 'cubic' }).greyscale().raw().toBuffer({ resolveWithObject: true })
    return { data, widthPx: info.width, heightPx: info.height, scale, fullWidthPx: width, fullHeightPx: height }
  } catch (error) { throw new MtorError('IMAGE_INVALID', `${file}: ${(error as Error).message}`, { cause: error }) }
}

const halved = async ({ data, widthPx, heightPx }: Grey): Promise<Grey> => {
  const { data: small, info } = await sharp(data, { raw: { width: widthPx, height: heightPx, channels: 1 } }).resize({ width: Math.max(1, widthPx >> 1), height: Math.max(1, heightPx >> 1), fit: 'fill' }).greyscale().raw().toBuffer({ resolveWithObject: true })
  return { data: small, widthPx: info.width, heightPx: info.height }
}

/** Half a turn: of rows of single bytes that is the other way round. */
const upsideDown = ({ data, ...size }: Grey): Grey => ({ data: Uint8Array.from(data).reverse(), ...size })

const moved = (move: (box: Box) => Box) => ({ box, ...line }: TextLine): TextLine => ({ ...line, box: move(box) })

class Reader implements LoadedTask<'read'> {
  readonly #engine: TesseractEngine
  constructor(engine: TesseractEngine) { this.#engine = engine }

  async run({ image }: { image: string | TextPattern }) {
    if (typeof image !== 'string') {
      const { data, widthPx, heightPx } = drawText(image.text)
      // Tesseract has learned round strokes, not dots.
      const smooth = await sharp(data, { raw: { width: widthPx, height: heightPx, channels: 1 } }).blur(DOT_BLUR).greyscale().raw().toBuffer()
      return this.#output(textLines(this.#engine.read(smooth, widthPx, heightPx, LAYOUT.page)))
    }
    const { scale, fullWidthPx, fullHeightPx, ...grey } = await load(image)
    const lines = (await this.#best(grey)).map(({ text, confidence, box }) => {
      const x = Math.max(0, Math.round(box.x / scale))
      const y = Math.max(0, Math.round(box.y / scale))
      return { text, confidence, box: { x, y, width: Math.min(fullWidthPx - x, Math.round(box.width / scale)), height: Math.min(fullHeightPx - y, Math.round(box.height / scale)) } }
    })
    return this.#output(lines)
  }

  /** Looks at the whole as a page, then for single words as on signs in a landscape, then at half the size, also upside down; the first sure reading, else the richest. */
  async #best(grey: Grey): Promise<TextLine[]> {
    let best: TextLine[] = []
    const half = await halved(grey)
    const doubled = moved(({ x, y, width, height }) => ({ x: x * 2, y: y * 2, width: width * 2, height: height * 2 }))
    const turned = moved(({ x, y, width, height }) => ({ x: half.widthPx - x - width, y: half.heightPx - y - height, width, height }))
    const looks = [
      () => this.#read(grey, LAYOUT.page),
      () => this.#read(grey, LAYOUT.sparse),
      () => this.#read(half, LAYOUT.page).map(doubled),
      () => this.#read(upsideDown(half), LAYOUT.page).map(turned).map(doubled),
    ]
    for (const look of looks) {
      const lines = look()
      if (readScore(lines) > readScore(best)) best = lines
      if (readScore(best) >= ENOUGH && best.reduce((sum, line) => sum + line.confidence, 0) / best.length >= SURE) break
    }
    return best
  }

  #read(grey: Grey, layout: (typeof LAYOUT)[keyof typeof LAYOUT]): TextLine[] { return textLines(this.#engine.read(grey.data, grey.widthPx, grey.heightPx, layout)) }

  #output(lines: TextLine[]) { return { text: lines.map((line) => line.text).join('\n'), lines } }

  async close(): Promise<void> { this.#engine.close() }
}

/** Reads printed text with Tesseract in WebAssembly. The model's file is trained data, plain or gzipped. */
export const task: TaskModule<'read'> = {
  usesOnnx: false,
  async load({ model: { folder, manifest } }) {
    const file = manifest.files.find(({ path }) => /\.traineddata(\.gz)?$/.test(path))
    if (!file) throw new MtorError('MODEL_INVALID', `${manifest.name}: expected a file *.traineddata or *.traineddata.gz, got ${manifest.files.map(({ path }) => path).join(', ')}`)
    return new Reader(await TesseractEngine.load(join(folder, file.path)))
  },
}
