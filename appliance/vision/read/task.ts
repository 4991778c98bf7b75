import { join } from 'node:path'
import sharp from 'sharp'
import { MtorError } from '../../contracts/errors.ts'
import type { TextLine, TextPattern } from '../../inference/port.ts'
import type { LoadedTask, TaskModule } from '../../inference/task.ts'
import { LAYOUT, TesseractEngine } from './engine.ts'
import { drawText } from './font.ts'
import { readScore, textLines } from './lines.ts'

const MAX_PIXELS = 50_000_000
/** Capitals of 20 px and more are read well: a small picture is enlarged, a large one reduced, longer side in pixels. */
const LEAST_SIDE_PX = 1200
const MOST_SIDE_PX = 2400
const MOST_ENLARGED = 3
/** Lines this sure in the mean need no second look. */
const SURE = 0.8
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

/** Half a turn: of rows of single bytes that is the other way round. */
const upsideDown = ({ data, ...size }: Grey): Grey => ({ data: Uint8Array.from(data).reverse(), ...size })

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
    const lines = this.#best(grey).map(({ text, confidence, box }) => {
      const x = Math.max(0, Math.round(box.x / scale))
      const y = Math.max(0, Math.round(box.y / scale))
      return { text, confidence, box: { x, y, width: Math.min(fullWidthPx - x, Math.round(box.width / scale)), height: Math.min(fullHeightPx - y, Math.round(box.height / scale)) } }
    })
    return this.#output(lines)
  }

  /** Looks at the whole as a page, then for single words as on signs in a landscape, then upside down; the first sure reading, else the richest. */
  #best(grey: Grey): TextLine[] {
    let best: TextLine[] = []
    const turned = () => this.#read(upsideDown(grey), LAYOUT.page).map(({ box, ...line }) => ({ ...line, box: { ...box, x: grey.widthPx - box.x - box.width, y: grey.heightPx - box.y - box.height } }))
    for (const look of [() => this.#read(grey, LAYOUT.page), () => this.#read(grey, LAYOUT.sparse), turned]) {
      const lines = look()
      if (readScore(lines) > readScore(best)) best = lines
      if (best.length > 0 && best.reduce((sum, line) => sum + line.confidence, 0) / best.length >= SURE) break
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
