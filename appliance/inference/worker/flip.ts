import { mulberry32 } from '../../contracts/random.ts'
import { MtorError } from '../../contracts/errors.ts'

/**
 * Flips bits in the weights of an ONNX file, as a fault in memory would. Only what is needed of the format is read.
 * @see https://protobuf.dev/programming-guides/encoding/ and onnx.proto3 of ONNX for the numbers of the fields
 */

/** Data of one tensor of floats: where it is in the file, and the bytes of one number. */
interface Weights { offset: number; bytes: number; width: 4 | 8 | 2 }

const FIELD = { modelGraph: 7, graphNode: 1, graphInitializer: 5, nodeAttribute: 5, attributeTensor: 5, attributeGraph: 6, tensorType: 2, tensorFloats: 4, tensorDoubles: 10, tensorRaw: 9 } as const
/** TensorProto.DataType. */
const WIDTH_OF: Readonly<Record<number, Weights['width']>> = { 1: 4, 10: 2, 11: 8 }
/** Bits of the exponent, counted from the lowest of the number: IEEE 754 binary16, binary32, binary64. */
const EXPONENT: Readonly<Record<Weights['width'], readonly [first: number, count: number]>> = { 2: [10, 5], 4: [23, 8], 8: [52, 11] }

/** Copy of `bytes` with `bits` bits of exponents of its weights changed, the same ones for the same seed. @throws MtorError MODEL_INVALID where there are no weights of floats */
export function flipWeights(bytes: Uint8Array, seed: number, bits: number): Uint8Array {
  const copy = new Uint8Array(bytes)
  const weights = findWeights(copy)
  const total = weights.reduce((sum, tensor) => sum + tensor.bytes / tensor.width, 0)
  if (total === 0) throw new MtorError('MODEL_INVALID', `no weights to flip in ${bytes.length} bytes`)
  const random = mulberry32(seed)
  const done = new Set<string>()
  for (let flipped = 0, attempts = 0; flipped < bits && attempts < bits * 100; attempts++) {
    let index = Math.floor(random() * total)
    const tensor = weights.find((candidate) => { const count = candidate.bytes / candidate.width; if (index < count) return true; index -= count; return false })!
    const [first, count] = EXPONENT[tensor.width]
    const bit = first + Math.floor(random() * count)
    const place = tensor.offset + index * tensor.width + (bit >> 3)
    const key = `${place}.${bit & 7}`
    // The same bit twice would be as if nothing had happened.
    if (done.has(key)) continue
    done.add(key)
    copy[place]! ^= 1 << (bit & 7)
    flipped++
  }
  return copy
}

/** Where the weights are: initializers, and constants in attributes of nodes, also of graphs within. */
export function findWeights(bytes: Uint8Array): Weights[] {
  const found: Weights[] = []
  const graph = (start: number, end: number): void => {
    for (const field of fields(bytes, start, end)) {
      if (field.number === FIELD.graphInitializer) tensor(field.start, field.end)
      if (field.number !== FIELD.graphNode) continue
      for (const attribute of fields(bytes, field.start, field.end)) {
        if (attribute.number !== FIELD.nodeAttribute) continue
        for (const part of fields(bytes, attribute.start, attribute.end)) {
          if (part.number === FIELD.attributeTensor) tensor(part.start, part.end)
          if (part.number === FIELD.attributeGraph) graph(part.start, part.end)
        }
      }
    }
  }
  const tensor = (start: number, end: number): void => {
    let type = 0
    let raw: { start: number; end: number } | undefined
    let packed: { start: number; end: number; width: Weights['width'] } | undefined
    for (const field of fields(bytes, start, end)) {
      if (field.number === FIELD.tensorType) type = field.value
      else if (field.wire !== LENGTH) continue
      else if (field.number === FIELD.tensorRaw) raw = field
      else if (field.number === FIELD.tensorFloats) packed = { ...field, width: 4 }
      else if (field.number === FIELD.tensorDoubles) packed = { ...field, width: 8 }
    }
    const width = WIDTH_OF[type]
    if (width !== undefined && raw) found.push({ offset: raw.start, bytes: raw.end - raw.start, width })
    else if (packed) found.push({ offset: packed.start, bytes: packed.end - packed.start, width: packed.width })
  }
  for (const field of fields(bytes, 0, bytes.length)) if (field.number === FIELD.modelGraph) graph(field.start, field.end)
  return found.filter(({ bytes: length, width }) => length >= width)
}

const VARINT = 0
const FIXED64 = 1
const LENGTH = 2
const FIXED32 = 5

/** The fields of one message, in order. `value` is that of a number (exact below 2^53); `start` and `end` are of its content. */
function* fields(bytes: Uint8Array, start: number, end: number): Generator<{ number: number; wire: number; value: number; start: number; end: number }> {
  let at = start
  const varint = (): number => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]
      if (byte === undefined || at > end || shift > 63) throw new MtorError('MODEL_INVALID', `not a protobuf message: a number at byte ${at} does not end`)
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
  }
  while (at < end) {
    const key = varint()
    const wire = key & 7
    const value = wire === VARINT || wire === LENGTH ? varint() : 0
    const length = wire === LENGTH ? value : wire === FIXED64 ? 8 : wire === FIXED32 ? 4 : 0
    if ((wire !== VARINT && length === 0 && wire !== LENGTH) || at + length > end) throw new MtorError('MODEL_INVALID', `not a protobuf message: field ${key >>> 3} at byte ${at} goes beyond its end`)
    yield { number: Math.floor(key / 8), wire, value, start: at, end: at + length }
    at += length
  }
}
