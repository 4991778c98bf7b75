import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { gunzipSync } from 'node:zlib'
import { MtorError } from '../../contracts/errors.ts'
import type { Box } from '../../inference/port.ts'

/** Of the C++ interface of Tesseract 5, what is used. @see tesseract/baseapi.h; tesseract.js-core, GetJSONText */
interface BaseApi {
  /** 0 when the language was loaded. */
  Init(folder: string, language: string, engine: number): number
  SetVariable(name: string, value: string): void
  /** Reads /input; 0 when that worked. */
  SetImageFile(exifOrientation: number, angleRadians: number): number
  Recognize(monitor: null): number
  GetJSONText(): string
  Clear(): void
  End(): void
}
interface Core { FS: { writeFile(path: string, data: Uint8Array): void }; TessBaseAPI: new () => BaseApi }
interface Page { blocks: { paragraphs: { lines: { words: { text: string; confidence: number; bbox: { x0: number; y0: number; x1: number; y1: number } }[] }[] }[] }[] }

/** A word with how sure Tesseract is of it, 0 to 1. */
export interface ReadWord { text: string; confidence: number; box: Box }

/** How the page is cut up. @see tesseract(1), --psm */
export const LAYOUT = { page: '3', sparse: '11' } as const
/** Neural engine only. @see tesseract(1), --oem */
const LSTM_ONLY = 1

/** The build for what this processor can do; each is a WebAssembly module of its own. */
async function loadCore(): Promise<Core> {
  // tesseract.js itself would put a thread of its own between us and the engine; its parts are used without it.
  const ours = createRequire(import.meta.url)
  const its = createRequire(ours.resolve('tesseract.js'))
  const { relaxedSimd, simd } = its('wasm-feature-detect') as { relaxedSimd(): Promise<boolean>; simd(): Promise<boolean> }
  const build = await relaxedSimd() ? 'relaxedsimd-lstm' : await simd() ? 'simd-lstm' : 'lstm'
  const start = its(`tesseract.js-core/tesseract-core-${build}`) as (module: object) => Promise<Core>
  // What it prints are remarks about single lines; what fails is returned.
  return start({ print() {}, printErr() {} })
}

/** Tesseract's neural text recogniser in this process; a call blocks it. */
export class TesseractEngine {
  readonly #core: Core
  readonly #api: BaseApi

  private constructor(core: Core, api: BaseApi) {
    this.#core = core
    this.#api = api
  }

  /** @throws MtorError MODEL_INVALID where the file is no trained data that this engine takes */
  static async load(trainedData: string): Promise<TesseractEngine> {
    const core = await loadCore()
    const raw = await readFile(trainedData)
    core.FS.writeFile('/model.traineddata', trainedData.endsWith('.gz') ? gunzipSync(raw) : raw)
    const api = new core.TessBaseAPI()
    if (api.Init('/', 'model', LSTM_ONLY) !== 0) throw new MtorError('MODEL_INVALID', `${trainedData}: Tesseract cannot load it; expected trained data with an LSTM`)
    return new TesseractEngine(core, api)
  }

  /** The words of a grey picture, line by line, however unsure. */
  read(grey: Uint8Array, widthPx: number, heightPx: number, layout: (typeof LAYOUT)[keyof typeof LAYOUT]): ReadWord[][] {
    const api = this.#api
    // A portable grey map: no time is lost on compressing and expanding. @see pgm(5)
    this.#core.FS.writeFile('/input', Buffer.concat([Buffer.from(`P5\n${widthPx} ${heightPx}\n255\n`), grey]))
    api.SetVariable('tessedit_pageseg_mode', layout)
    // Pictures of cameras have none; left out, it is guessed with a remark.
    api.SetVariable('user_defined_dpi', '150')
    try {
      if (api.SetImageFile(1, 0) !== 0) throw new MtorError('IMAGE_INVALID', `Tesseract does not take a picture of ${widthPx} × ${heightPx}`)
      if (api.Recognize(null) !== 0) throw new MtorError('INTERNAL', 'Tesseract failed to recognise')
      const { blocks } = JSON.parse(api.GetJSONText()) as Page
      return blocks.flatMap((block) => block.paragraphs.flatMap((paragraph) => paragraph.lines.map((line) => line.words.map(({ text, confidence, bbox: { x0, y0, x1, y1 } }) => ({ text, confidence: confidence / 100, box: { x: x0, y: y0, width: x1 - x0, height: y1 - y0 } })))))
    } finally { api.Clear() }
  }

  close(): void { this.#api.End() }
}
