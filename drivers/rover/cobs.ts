/** The byte that separates frames; never occurs inside one. */
export const DELIMITER = 0x00

/**
 * Consistent Overhead Byte Stuffing: the same bytes without any zero, at most one byte longer per 254.
 * @see Cheshire & Baker, IEEE/ACM Transactions on Networking 7(2), 1999, doi:10.1109/90.769765
 */
export function cobsEncode(bytes: Uint8Array): Uint8Array {
  const out: number[] = [0]
  let codeAt = 0
  let code = 1
  for (const [index, byte] of bytes.entries()) {
    if (byte !== 0) { out.push(byte); code++ }
    // A run of 254 needs no zero after it; at the very end no further block is begun.
    if (byte === 0 || (code === 0xff && index < bytes.length - 1)) { out[codeAt] = code; codeAt = out.push(0) - 1; code = 1 }
  }
  out[codeAt] = code
  return Uint8Array.from(out)
}

/** The bytes that were encoded, or undefined where `bytes` is no COBS block (holds a zero, or a count points past the end). */
export function cobsDecode(bytes: Uint8Array): Uint8Array | undefined {
  const out: number[] = []
  for (let at = 0; at < bytes.length;) {
    const code = bytes[at]!
    const end = at + code
    if (code === 0 || end > bytes.length) return undefined
    for (let i = at + 1; i < end; i++) {
      if (bytes[i] === 0) return undefined
      out.push(bytes[i]!)
    }
    if (code < 0xff && end < bytes.length) out.push(0)
    at = end
  }
  return Uint8Array.from(out)
}
