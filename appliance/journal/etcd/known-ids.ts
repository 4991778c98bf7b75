import { MtorError } from '../../contracts/errors.ts'

/** Sixteen bytes of the id, sixteen of its content's checksum. */
export const RECORD_BYTES = 32
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** @throws MtorError MALFORMED for what is no UUID */
export function idBytes(id: string): Buffer {
  if (!UUID.test(id)) throw new MtorError('MALFORMED', `expected a UUID as id of an intent, got ${JSON.stringify(id)}`)
  return Buffer.from(id.replaceAll('-', ''), 'hex')
}

export function idOf(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

export const packIds = (ids: readonly { id: string; hash: string }[]): Buffer =>
  Buffer.concat(ids.flatMap(({ id, hash }) => [idBytes(id), Buffer.from(hash, 'base64')]))

export function* unpackIds(packed: Uint8Array): Generator<{ id: Uint8Array; hash: Uint8Array }> {
  for (let at = 0; at + RECORD_BYTES <= packed.length; at += RECORD_BYTES) yield { id: packed.subarray(at, at + 16), hash: packed.subarray(at + 16, at + RECORD_BYTES) }
}

/** 2 MiB: 16 bits for each of a million ids. With four of them set, about one new id in 400 is looked up in vain. */
const FILTER_BITS = 1 << 24
const PROBES = 4

/**
 * Which ids may have been archived: never says no to one that was. A new intent so needs no look into a file.
 * The random half of a UUIDv7 is its own hash. @see Kirsch and Mitzenmacher, Less Hashing, Same Performance, 2006
 */
export class KnownIds {
  readonly memory: SharedArrayBuffer
  readonly #words: Uint32Array

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(FILTER_BITS / 8)) {
    this.memory = memory
    this.#words = new Uint32Array(memory)
  }

  add(id: Uint8Array) { for (const bit of bitsOf(id)) this.#words[bit >>> 5]! |= 1 << (bit & 31) }

  mayHave(id: Uint8Array): boolean {
    for (const bit of bitsOf(id)) if (!(this.#words[bit >>> 5]! & (1 << (bit & 31)))) return false
    return true
  }
}

function* bitsOf(id: Uint8Array): Generator<number> {
  const view = new DataView(id.buffer, id.byteOffset, 16)
  const first = view.getUint32(8) ^ view.getUint32(0)
  const step = view.getUint32(12) | 1
  for (let i = 0; i < PROBES; i++) yield (Math.imul(step, i) + first >>> 0) % FILTER_BITS
}
