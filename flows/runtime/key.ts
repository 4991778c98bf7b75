import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { keepFile } from './files.ts'
import type { Credentials } from './flow.ts'

const KEY_BYTES = 32
const FILES = ['credential.key', 'credential.key.copy'] as const

const lineOf = (key: string) => `${key} ${createHash('sha256').update(key).digest('hex').slice(0, 16)}\n`

async function read(file: string): Promise<string | 'missing' | 'damaged'> {
  let text: string
  try { text = await readFile(file, 'utf8') } catch (error) { if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'missing'; throw error }
  const key = /^([0-9a-f]{64}) /.exec(text)?.[1]
  return key !== undefined && text === lineOf(key) ? key : 'damaged'
}

export interface KeyFound { key: string; /** How it came here: as it was, mended from its copy, or new since it was lost. */ how: 'there' | 'mended' | 'made'; aside: string[] }

/**
 * The key of this node with which credentials of flows are encrypted: made on first use, kept twice with a checksum, readable
 * by its owner only. A damaged file is set aside and mended from the other.
 */
export async function credentialKey(dir: string): Promise<KeyFound> {
  const files = FILES.map((name) => join(dir, name))
  const found = await Promise.all(files.map(read))
  const key = found.find((state) => state !== 'missing' && state !== 'damaged') ?? randomBytes(KEY_BYTES).toString('hex')
  const aside: string[] = []
  for (const [index, file] of files.entries()) {
    if (found[index] === key) continue
    if (found[index] === 'damaged') { aside.push(`${file}.damaged`); await rename(file, `${file}.damaged`) }
    await keepFile(file, lineOf(key))
  }
  const wasThere = found.includes(key)
  return { key, how: !wasThere ? 'made' : found.every((state) => state === key) ? 'there' : 'mended', aside }
}

const ALGORITHM = 'aes-256-ctr'
const secretOf = (key: string) => createHash('sha256').update(key).digest()

/**
 * Credentials as Node-RED keeps them under that key.
 * @see Node-RED, runtime/lib/nodes/credentials.js: aes-256-ctr with the SHA-256 of the secret; 16 bytes of initial vector in hex, then base64
 */
export function seal(credentials: Credentials, key: string): Credentials {
  const vector = randomBytes(16)
  const cipher = createCipheriv(ALGORITHM, secretOf(key), vector)
  return { $: vector.toString('hex') + cipher.update(JSON.stringify(credentials), 'utf8', 'base64') + cipher.final('base64') }
}

/** Whether Node-RED will be able to read these credentials with that key. */
export function decryptable(credentials: Credentials, key: string): boolean {
  const sealed = credentials['$']
  if (sealed === undefined) return true
  if (typeof sealed !== 'string') return false
  try {
    const decipher = createDecipheriv(ALGORITHM, secretOf(key), Buffer.from(sealed.slice(0, 32), 'hex'))
    JSON.parse(decipher.update(sealed.slice(32), 'base64', 'utf8') + decipher.final('utf8'))
    return true
  } catch { return false }
}
