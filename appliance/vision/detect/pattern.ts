import { MtorError } from '../../contracts/errors.ts'
import { mulberry32 } from '../../contracts/random.ts'
import type { TestPattern } from '../../inference/port.ts'
import type { Pixels } from './picture.ts'

const MAX_SIDE_PX = 4096
const MAX_VIEWS = 64

/**
 * Draws a known answer's pictures: a gradient, discs, bars, checks, rings and stripes in all colours and sizes, with noise
 * over it. A unit of a network that is silent on a picture hides its weights from it, so each further view has a contrast and
 * a tint of its own: a few small views wake more units than one picture of their area. Every machine draws the same bytes:
 * each value is whole or the result of one rounding of IEEE 754.
 */
export function drawPattern({ seed, widthPx, heightPx, views = 1 }: TestPattern): Pixels[] {
  if (![widthPx, heightPx].every((side) => Number.isInteger(side) && side >= 1 && side <= MAX_SIDE_PX)) throw new MtorError('MODEL_INVALID', `a test pattern has sides of 1 to ${MAX_SIDE_PX} pixels, got ${widthPx} × ${heightPx}`)
  if (!Number.isInteger(views) || views < 1 || views > MAX_VIEWS) throw new MtorError('MODEL_INVALID', `a test pattern has 1 to ${MAX_VIEWS} views, got ${views}`)
  return Array.from({ length: views }, (_, view) => drawView(mulberry32(seed * MAX_VIEWS + view), widthPx, heightPx, view > 0))
}

function drawView(random: () => number, widthPx: number, heightPx: number, tinted: boolean): Pixels {
  const contrast = tinted ? 0.15 + 1.2 * random() * random() : 1
  const tint = [0, 1, 2].map(() => tinted ? 20 + 215 * random() : 128)
  const data = new Uint8ClampedArray(3 * widthPx * heightPx)
  for (let y = 0, at = 0; y < heightPx; y++) {
    for (let x = 0; x < widthPx; x++) {
      data[at++] = 255 * x / widthPx
      data[at++] = 255 * y / heightPx
      data[at++] = 255 - 255 * (x + y) / (widthPx + heightPx)
    }
  }
  const shapes = 12 + Math.floor(widthPx * heightPx / 2048)
  for (let shape = 0; shape < shapes; shape++) drawShape(data, widthPx, heightPx, shape, random)
  for (let i = 0; i < data.length; i++) data[i] = (data[i]! + (random() - 0.5) * 64 - 128) * contrast + tint[i % 3]!
  return { data: new Uint8Array(data.buffer), width: widthPx, height: heightPx }
}

/** 0 disc, 1 bar, 2 checks, 3 ring, 4 stripes. */
function drawShape(data: Uint8ClampedArray, width: number, height: number, kind: number, random: () => number): void {
  const side = Math.min(width, height)
  const radius = Math.max(2, Math.floor(side / 2 * random() * random()) + 2)
  const centreX = Math.floor(random() * width), centreY = Math.floor(random() * height)
  const colour = [random(), random(), random()].map((value) => Math.floor(256 * value))
  const other = colour.map((value) => 255 - value)
  const period = 1 + Math.floor(random() * 6)
  for (let y = Math.max(0, centreY - radius); y < Math.min(height, centreY + radius); y++) {
    for (let x = Math.max(0, centreX - radius); x < Math.min(width, centreX + radius); x++) {
      const dx = x - centreX, dy = y - centreY, squared = dx * dx + dy * dy
      const within = squared < radius * radius
      let ink: number[] | undefined
      switch (kind % 5) {
        case 0: ink = within ? colour : undefined; break
        case 1: ink = Math.abs(dy) * 3 < radius ? colour : undefined; break
        case 2: ink = (Math.floor(x / period) + Math.floor(y / period)) % 2 === 0 ? colour : other; break
        case 3: ink = within && squared * 2 > radius * radius ? colour : undefined; break
        default: ink = within ? (Math.floor((x + 2 * y) / period) % 2 === 0 ? colour : other) : undefined
      }
      if (ink) for (let channel = 0; channel < 3; channel++) data[3 * (y * width + x) + channel] = ink[channel]!
    }
  }
}
