import { randomFillSync } from 'node:crypto'

let lastMs = 0
let counter = 0

/**
 * UUID version 7: 48 bits of Unix milliseconds, 12 bits of counter within the millisecond, 62 random bits,
 * so that ids of one node sort in the order they were made. @see RFC 9562 §5.7, §6.2 method 1
 */
export function uuidv7(nowMs: number = Date.now()): string {
  const bytes = randomFillSync(Buffer.alloc(16))
  if (nowMs > lastMs) { lastMs = nowMs; counter = bytes.readUInt16BE(6) & 0x7ff } else if (++counter > 0xfff) { lastMs += 1; counter = 0 }
  bytes.writeUIntBE(lastMs, 0, 6)
  bytes.writeUInt16BE(0x7000 | counter, 6)
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** Matches a UUIDv7 in lower case. */
export const UUIDV7_PATTERN = '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'

/** The 16 bytes of a UUID. */
export const uuidBytes = (id: string): Buffer => Buffer.from(id.replaceAll('-', ''), 'hex')

/** The UUID of 16 bytes, lower case with dashes. */
export function uuidFromBytes(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
