import { MtorError } from '../../contracts/errors.ts'
import { mulberry32 } from '../../contracts/random.ts'
import type { TestPattern } from '../../inference/port.ts'
import type { Pixels } from './picture.ts'

const MAX_SIDE_PX = 4096

/**
 * Draws a known answer's picture: a gradient, discs, bars, checks and rings in all colours and sizes, with coarse and fine
 * noise over it, so that nearly every filter of a network has something to answer to. Only whole-number and IEEE-exact
 * arithmetic: every machine draws the same bytes.
 */
export function drawPattern({ seed, widthPx, heightPx }: TestPattern): Pixels {
  if (![widthPx, heightPx].every((side) => Number.isInteger(side) && side >= 1 && side <= MAX_SIDE_PX)) throw new MtorError('MODEL_INVALID', `a test pattern has sides of 1 to ${MAX_SIDE_PX} pixels, got ${widthPx} × ${heightPx}`)
  const random = mulberry32(seed)
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
  for (let i = 0; i < data.length; i++) data[i] = data[i]! + (random() - 0.5) * 64
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
