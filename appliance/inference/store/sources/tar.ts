import { MtorError } from '../../../contracts/errors.ts'
import { memberName, writeMember, type Pick } from './members.ts'

const BLOCK_BYTES = 512
/** Of a long name or a list of attributes; far more than any real one. */
const MAX_HEADER_BYTES = 1 << 20

interface Header { name: string; type: string; bytes: number }

/**
 * Takes the wanted members out of a tar stream (ustar with prefixes, GNU long names, pax paths and sizes) without keeping
 * more than a block of it; resolves with the paths written. Links are never followed or made.
 * `strip`: leading folders dropped from each name before it is picked (npm packs everything in one folder).
 * @see POSIX.1-2017, pax, "ustar Interchange Format" and "pax Header"
 * @throws MtorError MODEL_INVALID: no tar, cut off, a name that leads out, or a wanted member that is not a plain file
 */
export async function readTar(stream: AsyncIterable<Uint8Array>, archive: string, pick: Pick, into: string, options: { strip?: number; signal?: AbortSignal } = {}): Promise<string[]> {
  const input = new Blocks(stream, archive, options.signal)
  const written: string[] = []
  let longName: string | undefined
  let pax: Record<string, string> = {}
  for (;;) {
    const block = await input.take(BLOCK_BYTES)
    // Two blocks of zeros end a tar; some writers give one, or none.
    if (block === undefined || block.every((byte) => byte === 0)) return written
    const header = parse(block, archive)
    if (header.type === 'L') { longName = text(await input.small(header.bytes)); continue }
    if (header.type === 'K') { await input.skip(header.bytes); continue }
    if (header.type === 'x') { pax = paxRecords(await input.small(header.bytes)); continue }
    if (header.type === 'g') { await input.skip(header.bytes); continue }
    const raw = pax['path'] ?? longName ?? header.name
    const bytes = pax['size'] === undefined ? header.bytes : Number(pax['size'])
    if (!Number.isSafeInteger(bytes) || bytes < 0) throw new MtorError('MODEL_INVALID', `${archive}: ${raw} has no size`)
    longName = undefined
    pax = {}
    const name = memberName(raw, archive).split('/').slice(options.strip ?? 0).join('/')
    const path = name === '' ? undefined : pick(name)
    if (path === undefined || header.type === '5') { await input.skip(bytes); continue }
    if (header.type !== '0' && header.type !== '\0' && header.type !== '7') throw new MtorError('MODEL_INVALID', `${archive}: ${name} is a link or something else that is not a plain file`)
    await writeMember(input.content(bytes), into, path, options.signal)
    await input.drop(padding(bytes))
    written.push(path)
  }
}

const padding = (bytes: number) => (BLOCK_BYTES - bytes % BLOCK_BYTES) % BLOCK_BYTES
const text = (bytes: Uint8Array) => { const end = bytes.indexOf(0); return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('utf8') }

function number(field: Uint8Array): number {
  // Base-256 of GNU for what octal digits cannot hold.
  if (field[0]! & 0x80) return field.slice(1).reduce((sum, byte) => sum * 256 + byte, field[0]! & 0x7f)
  return parseInt(text(field).trim() || '0', 8)
}

function parse(block: Uint8Array, archive: string): Header {
  const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0)
  if (number(block.subarray(148, 156)) !== sum) throw new MtorError('MODEL_INVALID', `${archive}: it is no tar, or it is damaged (checksum of a header)`)
  const prefix = text(block.subarray(257, 262)) === 'ustar' && block[262] === 0 ? text(block.subarray(345, 500)) : ''
  const name = text(block.subarray(0, 100))
  return { name: prefix ? `${prefix}/${name}` : name, type: String.fromCharCode(block[156]!), bytes: number(block.subarray(124, 136)) }
}

/** "length key=value\n", the length counting itself. */
function paxRecords(bytes: Buffer): Record<string, string> {
  const records: Record<string, string> = {}
  for (let at = 0; at < bytes.length;) {
    const length = parseInt(bytes.subarray(at, at + 20).toString('latin1'), 10)
    if (!(length > 0)) break
    const record = bytes.subarray(at, at + length - 1).toString('utf8')
    const [, key, value] = /^\d+ ([^=]+)=([\s\S]*)$/.exec(record) ?? []
    if (key !== undefined && value !== undefined) records[key] = value
    at += length
  }
  return records
}

/** Exact amounts from a stream of chunks. */
class Blocks {
  readonly #chunks: AsyncIterator<Uint8Array>
  readonly #archive: string
  #rest: Uint8Array = new Uint8Array(0)

  readonly #signal: AbortSignal | undefined

  constructor(stream: AsyncIterable<Uint8Array>, archive: string, signal?: AbortSignal) {
    this.#chunks = stream[Symbol.asyncIterator]()
    this.#archive = archive
    this.#signal = signal
  }

  async #more(): Promise<boolean> {
    while (this.#rest.length === 0) {
      this.#signal?.throwIfAborted()
      const { value, done } = await this.#chunks.next()
      if (done) return false
      this.#rest = value
    }
    return true
  }

  async *content(bytes: number): AsyncGenerator<Uint8Array> {
    for (let left = bytes; left > 0;) {
      if (!await this.#more()) throw new MtorError('MODEL_INVALID', `${this.#archive}: it is cut off`)
      const part = this.#rest.subarray(0, left)
      this.#rest = this.#rest.subarray(part.length)
      left -= part.length
      yield part
    }
  }

  /** undefined at the end of the stream. */
  async take(bytes: number): Promise<Buffer | undefined> {
    if (!await this.#more()) return undefined
    const parts: Uint8Array[] = []
    for await (const part of this.content(bytes)) parts.push(part)
    return Buffer.concat(parts)
  }

  async drop(bytes: number): Promise<void> { for await (const part of this.content(bytes)) void part }

  /** A member's content with what fills its last block. */
  async skip(bytes: number): Promise<void> { await this.drop(bytes + padding(bytes)) }

  async small(bytes: number): Promise<Buffer> {
    if (bytes > MAX_HEADER_BYTES) throw new MtorError('MODEL_INVALID', `${this.#archive}: a name of ${bytes} bytes`)
    const content = await this.take(bytes) ?? Buffer.alloc(0)
    await this.drop(padding(bytes))
    return content
  }
}
