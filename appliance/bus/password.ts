import { randomBytes, scrypt, timingSafeEqual, type ScryptOptions } from 'node:crypto'
import { MtorError } from '../contracts/errors.ts'
import { bcryptMatches } from './bcrypt-thread.ts'

/** Cost of new hashes: 16 MiB and some 50 ms on a small board. @see RFC 7914 §2 */
const COST = { N: 16_384, r: 8, p: 1 }
const SALT_BYTES = 16
const HASH_BYTES = 32
const MAX_PASSWORD_BYTES = 1024

const derive = (password: string | Uint8Array, salt: Buffer, bytes: number, cost: typeof COST) => new Promise<Buffer>((resolve, reject) => {
  const options: ScryptOptions = { ...cost, maxmem: 256 * cost.N * cost.r }
  scrypt(password, salt, bytes, options, (error, key) => { if (error) reject(error); else resolve(key) })
})

interface Parsed { cost: typeof COST; salt: Buffer; hash: Buffer }

/** Hashes that other tools make (htpasswd -B, node-red admin hash-pw). @see https://www.openwall.com/crypt/ */
const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/
const isBcrypt = (stored: string) => stored.startsWith('$2')
/** Each step doubles the time: 14 takes a second or two. */
const MAX_BCRYPT_COST = 14

/** @throws MtorError CONFIG_INVALID for what is neither `scrypt$N$r$p$salt$hash` nor a bcrypt hash, or costs too much */
export function checkPasswordHash(stored: string): void {
  if (!isBcrypt(stored)) { parsePasswordHash(stored); return }
  const cost = Number(BCRYPT.exec(stored)?.[1])
  if (!(cost >= 4 && cost <= MAX_BCRYPT_COST)) throw new MtorError('CONFIG_INVALID', `expected a bcrypt hash of cost 4 to ${MAX_BCRYPT_COST}: $2b$, two digits, $ and 53 characters`, { hint: 'Make a hash with: mtor config hash-password' })
}

/**
 * Reads `scrypt$N$r$p$salt$hash` (salt and hash in base64).
 * @throws MtorError CONFIG_INVALID when it is not of that form or its cost is out of bounds
 */
export function parsePasswordHash(stored: string): Parsed {
  const match = /^scrypt\$(\d{1,7})\$(\d{1,2})\$(\d{1,2})\$([A-Za-z0-9+/=]{11,128})\$([A-Za-z0-9+/=]{22,128})$/.exec(stored)
  const [N, r, p] = [Number(match?.[1]), Number(match?.[2]), Number(match?.[3])]
  if (!match || N < 2 || N > 1 << 18 || (N & (N - 1)) !== 0 || r < 1 || r > 32 || p < 1 || p > 16) {
    throw new MtorError('CONFIG_INVALID', 'expected a password hash of the form scrypt$N$r$p$salt$hash, N a power of two up to 262144', { hint: 'Make one with: mtor config hash-password' })
  }
  return { cost: { N, r, p }, salt: Buffer.from(match[4]!, 'base64'), hash: Buffer.from(match[5]!, 'base64') }
}

/** Hashes a password for `bus.clients[].passwordHash`. */
export async function hashPassword(password: string | Uint8Array, cost: Partial<typeof COST> = {}): Promise<string> {
  if (Buffer.byteLength(password) === 0 || Buffer.byteLength(password) > MAX_PASSWORD_BYTES) {
    throw new MtorError('USAGE', `expected a password of 1 to ${MAX_PASSWORD_BYTES} bytes, got ${Buffer.byteLength(password)}`)
  }
  const full = { ...COST, ...cost }
  const salt = randomBytes(SALT_BYTES)
  const hash = await derive(password, salt, HASH_BYTES, full)
  return `scrypt$${full.N}$${full.r}$${full.p}$${salt.toString('base64')}$${hash.toString('base64')}`
}

/** True when `password` is the one `stored` was made of. Runs off the event loop; compares in constant time. */
export async function verifyPassword(password: string | Uint8Array, stored: string): Promise<boolean> {
  if (isBcrypt(stored)) {
    checkPasswordHash(stored)
    return bcryptMatches(Buffer.from(password).toString('utf8'), stored)
  }
  const { cost, salt, hash } = parsePasswordHash(stored)
  if (Buffer.byteLength(password) > MAX_PASSWORD_BYTES) return false
  return timingSafeEqual(await derive(password, salt, hash.length, cost), hash)
}
