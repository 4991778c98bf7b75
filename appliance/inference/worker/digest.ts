import { createHash } from 'node:crypto'

/** What a digest takes of a tensor: onnxruntime's Tensor and our PlainTensor both have it. */
export interface RawTensor { readonly type: string; readonly dims: readonly number[]; readonly data: unknown }

/** SHA-256 of the raw outputs of a graph, in the order of their names: name, type, shape and every bit of the data. */
export function digestTensors(tensors: Readonly<Record<string, RawTensor>>): string {
  const digest = createHash('sha256')
  for (const name of Object.keys(tensors).sort()) {
    const { type, dims, data } = tensors[name]!
    digest.update(JSON.stringify([name, type, dims]))
    digest.update(ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : JSON.stringify(data))
  }
  return digest.digest('hex')
}
