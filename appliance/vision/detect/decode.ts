import { MtorError } from '../../contracts/errors.ts'
import type { Candidate } from './boxes.ts'
import type { Options } from './options.ts'

export interface RawOutput { type: 'float32'; dims: readonly number[]; data: Float32Array }
export type RawOutputs = Record<string, RawOutput>

const invalid = (message: string) => new MtorError('MODEL_INVALID', message)

function output(outputs: RawOutputs, name: string | undefined, what: string): RawOutput {
  const found = name === undefined ? undefined : outputs[name]
  if (!found) throw invalid(`the graph has no output ${name ?? '(options name none)'} for ${what}; it has: ${Object.keys(outputs).join(', ')}`)
  return found
}

/** Boxes at least as likely as `minScore`, in pixels of the input of `width` × `height`; overlapping ones are all there. */
export function decode(outputs: RawOutputs, size: { width: number; height: number }, options: Options, minScore: number): Candidate[] {
  return options.decoder === 'centernet' ? centernet(outputs, options, minScore) : yolo(outputs, size, options, minScore)
}

/**
 * An object is where the heat map of its class has a peak among its eight neighbours; at that place the second output has
 * the distances to the left, top, right and bottom of its box.
 * @see X. Zhou et al., "Objects as Points", 2019, section 3; here with four distances instead of an offset and a size
 */
function centernet(outputs: RawOutputs, options: Options, minScore: number): Candidate[] {
  const heat = output(outputs, options.heat, 'heat maps'), sides = output(outputs, options.sides, 'the sides of boxes')
  const [, classes = 0, height = 0, width = 0] = heat.dims
  const plane = height * width
  if (classes !== options.labels.length) throw invalid(`heat maps are for ${classes} classes, the labels for ${options.labels.length}`)
  if (sides.dims.join() !== `1,4,${height},${width}`) throw invalid(`sides of boxes have the shape ${sides.dims.join(' × ')}; expected 1 × 4 × ${height} × ${width}`)
  const { data } = heat
  const found: Candidate[] = []
  for (let label = 0, at = 0; label < classes; label++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++, at++) {
        const score = data[at]!
        // Written so that NaN is no object.
        if (!(score >= minScore) || !isPeak(data, at, x, y, width, height)) continue
        const place = y * width + x
        const left = sides.data[place]!, top = sides.data[plane + place]!, right = sides.data[2 * plane + place]!, bottom = sides.data[3 * plane + place]!
        found.push({ label, score, box: { x: x * options.stridePx - left, y: y * options.stridePx - top, width: left + right, height: top + bottom } })
      }
    }
  }
  return found
}

function isPeak(data: Float32Array, at: number, x: number, y: number, width: number, height: number): boolean {
  const score = data[at]!
  for (let dy = y > 0 ? -1 : 0; dy <= (y < height - 1 ? 1 : 0); dy++) {
    for (let dx = x > 0 ? -1 : 0; dx <= (x < width - 1 ? 1 : 0); dx++) if (data[at + dy * width + dx]! > score) return false
  }
  return true
}

/**
 * Rows of centre x, centre y, width, height, and a score for each class; [1, 4 + classes, n] (YOLOv8 and later) or
 * [1, n, 5 + classes] with the likelihood of any object in the fifth place (YOLOv5, YOLOX).
 */
function yolo(outputs: RawOutputs, size: { width: number; height: number }, options: Options, minScore: number): Candidate[] {
  const { dims, data } = output(outputs, options.boxes ?? Object.keys(outputs)[0], 'boxes')
  const classes = options.labels.length
  const columns = [4 + classes, 5 + classes]
  const turned = columns.includes(dims[1]!) && !columns.includes(dims[2]!)
  const [rows, width] = turned ? [dims[2]!, dims[1]!] : [dims[1]!, dims[2]!]
  if (dims.length !== 3 || dims[0] !== 1 || !columns.includes(width)) throw invalid(`boxes have the shape ${dims.join(' × ')}; expected 1 × ${columns.join(' or ')} × n, or 1 × n × ${columns.join(' or ')}`)
  const value = turned ? (row: number, column: number) => data[column * rows + row]! : (row: number, column: number) => data[row * width + column]!
  const first = width - classes
  const cells = options.grid ? gridCells(options.grid, size, rows) : undefined
  const found: Candidate[] = []
  for (let row = 0; row < rows; row++) {
    const objectness = first === 5 ? value(row, 4) : 1
    if (!(objectness >= minScore)) continue
    let label = 0
    for (let other = 1; other < classes; other++) if (value(row, first + other) > value(row, first + label)) label = other
    const score = objectness * value(row, first + label)
    if (!(score >= minScore)) continue
    const [x, y, w, h] = [value(row, 0), value(row, 1), value(row, 2), value(row, 3)]
    const cell = cells?.[row]
    const box = cell ? { x: (x + cell.x) * cell.stride, y: (y + cell.y) * cell.stride, width: Math.exp(w) * cell.stride, height: Math.exp(h) * cell.stride } : { x, y, width: w, height: h }
    found.push({ label, score, box: { ...box, x: box.x - box.width / 2, y: box.y - box.height / 2 } })
  }
  return found
}

/** Which cell of which grid each row belongs to: grids one after another, each row by row. */
function gridCells(strides: readonly number[], size: { width: number; height: number }, rows: number): { x: number; y: number; stride: number }[] {
  const cells: { x: number; y: number; stride: number }[] = []
  for (const stride of strides) {
    for (let y = 0; y < Math.floor(size.height / stride); y++) for (let x = 0; x < Math.floor(size.width / stride); x++) cells.push({ x, y, stride })
  }
  if (cells.length !== rows) throw invalid(`grids of ${strides.join(', ')} pixels have ${cells.length} cells in ${size.width} × ${size.height}, the output ${rows} rows`)
  return cells
}
