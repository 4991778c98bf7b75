import type { Options } from './options.ts'
import type { Pixels } from './picture.ts'

/** How a picture lies in the input of the graph; lengths in pixels. */
export interface Placement { /** Of the input. */ width: number; height: number; /** Of the picture in it. */ left: number; top: number; contentWidth: number; contentHeight: number; /** Pixels of the input for one of the picture. */ factor: number }

const toGrid = (lengthPx: number, gridPx: number) => Math.max(gridPx, Math.ceil(lengthPx / gridPx) * gridPx)

/** Where a picture goes that is scaled, keeping its shape, into a square of `sizePx` (or into the graph's fixed size), centred. */
export function place(picture: { width: number; height: number }, sizePx: number, fixed: { width?: number; height?: number }, { gridPx, letterbox }: Options): Placement {
  const square = toGrid(sizePx, gridPx)
  const limit = { width: fixed.width ?? square, height: fixed.height ?? square }
  const factor = Math.min(limit.width / picture.width, limit.height / picture.height)
  const contentWidth = Math.max(1, Math.round(picture.width * factor)), contentHeight = Math.max(1, Math.round(picture.height * factor))
  const width = fixed.width ?? (letterbox === 'fit' ? toGrid(contentWidth, gridPx) : square), height = fixed.height ?? (letterbox === 'fit' ? toGrid(contentHeight, gridPx) : square)
  return { width, height, left: (width - contentWidth) >> 1, top: (height - contentHeight) >> 1, contentWidth, contentHeight, factor }
}

/** Where pixels go that are not to be scaled: at the top left of the smallest input that holds them. */
export function placeAsIs(picture: { width: number; height: number }, fixed: { width?: number; height?: number }, { gridPx }: Options): Placement {
  return { width: fixed.width ?? toGrid(picture.width, gridPx), height: fixed.height ?? toGrid(picture.height, gridPx), left: 0, top: 0, contentWidth: picture.width, contentHeight: picture.height, factor: 1 }
}

/** The numbers the graph takes: (byte · scale − mean) / std, in its order of channels and axes. */
export function fill(input: Float32Array, { width, height, left, top, contentWidth, contentHeight }: Placement, { data }: Pixels, { scale, mean, std, padValue, channels, layout }: Options): void {
  const pixelStep = layout === 'nchw' ? 1 : 3
  for (let channel = 0; channel < 3; channel++) {
    const source = channels === 'rgb' ? channel : 2 - channel
    const byByte = Float32Array.from({ length: 256 }, (_, byte) => (byte * scale - mean[channel]!) / std[channel]!)
    const start = layout === 'nchw' ? channel * width * height : channel
    const around = (padValue * scale - mean[channel]!) / std[channel]!
    for (let i = 0, at = start; i < width * height; i++, at += pixelStep) input[at] = around
    for (let y = 0; y < contentHeight; y++) {
      let at = start + ((top + y) * width + left) * pixelStep
      for (let x = 0, from = 3 * y * contentWidth + source; x < contentWidth; x++, from += 3, at += pixelStep) input[at] = byByte[data[from]!]!
    }
  }
}
