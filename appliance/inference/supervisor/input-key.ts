import { createHash, type Hash } from 'node:crypto'
import { stat } from 'node:fs/promises'

/** Where inputs name a file. */
const FILE_FIELDS = ['image', 'file'] as const

/** Sum of what an input carries or names, bytes: a measure of the work in it. Files that are not there count nothing. */
export async function inputBytes(input: Record<string, unknown>): Promise<number> {
  let bytes = 0
  for (const field of FILE_FIELDS) {
    const path = input[field]
    if (typeof path === 'string') bytes += await stat(path).then(({ size }) => size, () => 0)
  }
  const feeds = input.feeds
  if (typeof feeds === 'object' && feeds !== null) for (const tensor of Object.values(feeds)) if (ArrayBuffer.isView((tensor as { data?: unknown })?.data)) bytes += (tensor as { data: ArrayBufferView }).data.byteLength
  return bytes
}

/**
 * SHA-256 over task, model, version and input, whatever the order of its keys. Of a file its path, size and time of change count,
 * so that another picture under the same name is another input.
 */
export async function inputKey(task: string, model: string, version: string, input: Record<string, unknown>): Promise<string> {
  const hash = createHash('sha256')
  add(hash, [task, model, version, input])
  for (const field of FILE_FIELDS) {
    const path = input[field]
    if (typeof path === 'string') add(hash, await stat(path).then(({ size, mtimeMs }) => [size, mtimeMs], () => 'missing'))
  }
  return hash.digest('hex')
}

function add(hash: Hash, value: unknown): void {
  if (ArrayBuffer.isView(value)) {
    hash.update(`${value.constructor.name} ${value.byteLength};`)
    hash.update(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
  } else if (Array.isArray(value)) {
    hash.update(`[${value.length}`)
    for (const item of value) add(hash, item)
  } else if (typeof value === 'object' && value !== null) {
    hash.update('{')
    for (const [key, item] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) { add(hash, key); add(hash, item) }
    hash.update('}')
  } else {
    const text = String(value)
    hash.update(`${typeof value} ${text.length} ${text};`)
  }
}
