import { hash } from 'node:crypto'

/** JSON with the keys of every object sorted, so that the same content always gives the same text. @see RFC 8785 (keys only) */
export function canonicalJson(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) {
    let text = '['
    for (let i = 0; i < value.length; i++) text += (i ? ',' : '') + canonicalJson(value[i])
    return text + ']'
  }
  let text = ''
  for (const key of Object.keys(value).sort()) text += `${text ? ',' : '{'}${JSON.stringify(key)}:${canonicalJson((value as Record<string, unknown>)[key])}`
  return text ? text + '}' : '{}'
}

/** The first 16 bytes of SHA-256: two contents of one id are told apart by it, and a damaged row is found by it. */
export const contentHash = (text: string): Buffer => hash('sha256', text, 'buffer').subarray(0, 16)
