import { closeSync, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import { ModelProto } from '../../../appliance/inference/convert/onnx-schema.ts'

/** A short run of weights as it stands in memory, and what it is. */
interface Needle { what: string; bytes: Buffer }

const RUN = 8
const CHUNK_BYTES = 8 * 1024 * 1024

/**
 * Runs of 8 weights as they lie in the memory of a loaded session: biases as they are in the file, and 1 × 1 kernels both
 * as they are and in blocks of output channels, which is how the CPU provider packs them.
 */
export function weightNeedles(onnxFile: string): Needle[] {
  const model = ModelProto.decode(readFileSync(onnxFile)) as unknown as { graph: { initializer: { name: string; dims: { toNumber(): number }[]; dataType: number; rawData: Uint8Array }[] } }
  const needles: Needle[] = []
  for (const tensor of model.graph.initializer) {
    const dims = tensor.dims.map(Number)
    if (tensor.dataType !== 1 || tensor.rawData.length < 2 * RUN * 4) continue
    const values = new Float32Array(Uint8Array.from(tensor.rawData).buffer)
    const add = (what: string, run: Float32Array) => { if (run.some((v) => Math.abs(v) > 1e-6)) needles.push({ what: `${tensor.name} ${what}`, bytes: Buffer.from(run.slice().buffer) }) }
    for (let at = 0; at + RUN <= values.length; at += Math.max(RUN, Math.floor(values.length / 8))) add(`[${at}…]`, values.subarray(at, at + RUN))
    const [outputs = 0, inputs = 0, height, width] = dims
    if (dims.length !== 4 || height !== 1 || width !== 1 || outputs < RUN) continue
    for (let i = 0; i < inputs; i += Math.max(1, Math.floor(inputs / 4))) add(`block of input ${i}`, Float32Array.from({ length: RUN }, (_, o) => values[o * inputs + i]!))
  }
  return needles
}

/**
 * Flips one bit of a weight wherever the process keeps it, through /proc/<pid>/mem. `bit`: 0 to 31 of the float (30 is the top of
 * the exponent). Says how many places it was found in; 0 where the session keeps it in another order.
 * @see proc(5)
 */
export function flipWeight(pid: number, needle: Needle, element: number, bit: number): number {
  const fd = openSync(`/proc/${pid}/mem`, 'r+')
  let places = 0
  try {
    for (const { from, to } of writableRegions(pid)) {
      for (let at = from; at < to; at += CHUNK_BYTES - needle.bytes.length) {
        const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, to - at))
        try { readSync(fd, chunk, 0, chunk.length, at) } catch { break }
        for (let hit = chunk.indexOf(needle.bytes); hit >= 0; hit = chunk.indexOf(needle.bytes, hit + 1)) {
          if (hit % 4 !== 0) continue
          const byte = hit + element * 4 + (bit >> 3)
          writeSync(fd, Buffer.of(chunk[byte]! ^ (1 << (bit & 7))), 0, 1, at + byte)
          places++
        }
      }
    }
  } finally { closeSync(fd) }
  return places
}

function writableRegions(pid: number): { from: number; to: number }[] {
  return readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n').flatMap((line) => {
    const match = /^([0-9a-f]+)-([0-9a-f]+) rw-p \S+ \S+ (\d+)\s*(\S*)/.exec(line)
    if (!match || (match[4] !== '' && match[4] !== '[heap]' && !match[4]!.startsWith('[anon'))) return []
    return [{ from: parseInt(match[1]!, 16), to: parseInt(match[2]!, 16) }]
  })
}
