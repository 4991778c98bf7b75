import { MtorError } from '../../contracts/errors.ts'

/** Nothing longer is on its way at once, so that a stop waits for this much at the most. */
export const MAX_FRAME_BYTES = 64 * 1024
const LENGTH_BYTES = 4

/** A JSON header with a type `t`, what may follow it as it is, and how long both were on the wire. */
export interface Frame { header: Record<string, unknown> & { t: string }; binary: Buffer; wireBytes: number }

const NOTHING = Buffer.alloc(0)

/** length of the rest (4 bytes, big endian), length of the header (4 bytes), header (JSON, UTF-8), binary. */
export function encodeFrame(header: Frame['header'], binary: Uint8Array = NOTHING): Buffer {
  const text = Buffer.from(JSON.stringify(header))
  const frame = Buffer.allocUnsafe(2 * LENGTH_BYTES + text.length + binary.length)
  frame.writeUInt32BE(LENGTH_BYTES + text.length + binary.length, 0)
  frame.writeUInt32BE(text.length, LENGTH_BYTES)
  text.copy(frame, 2 * LENGTH_BYTES)
  frame.set(binary, 2 * LENGTH_BYTES + text.length)
  return frame
}

/** What `encodeFrame` made. @throws MtorError MALFORMED, TOO_LARGE */
export function decodeFrame(frame: Buffer): Frame {
  const reader = new FrameReader(frame.length)
  const [first, ...more] = [...reader.read(frame)]
  if (!first || more.length > 0 || reader.pendingBytes > 0) throw new MtorError('MALFORMED', 'not exactly one frame')
  return first
}

/** Cuts a stream of bytes into frames, one at a time, so that the limit may change between two. After it has thrown, the stream is of no use any more. */
export class FrameReader {
  maxBytes: number
  #rest: Buffer = NOTHING

  constructor(maxBytes = MAX_FRAME_BYTES) { this.maxBytes = maxBytes }

  get pendingBytes() { return this.#rest.length }

  /** @throws MtorError MALFORMED, TOO_LARGE */
  *read(chunk: Buffer): Generator<Frame> {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    // While its consumer looks at one frame, the rest is kept here.
    while ((this.#rest = bytes).length >= LENGTH_BYTES) {
      const length = bytes.readUInt32BE(0)
      if (LENGTH_BYTES + length > this.maxBytes) throw new MtorError('TOO_LARGE', `a frame of ${length} bytes, at most ${this.maxBytes - LENGTH_BYTES}`)
      if (length < LENGTH_BYTES) throw new MtorError('MALFORMED', `a frame of ${length} bytes`)
      if (bytes.length < LENGTH_BYTES + length) break
      const body = bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + length)
      bytes = this.#rest = bytes.subarray(LENGTH_BYTES + length)
      yield decodeBody(body)
    }
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function decodeBody(body: Buffer): Frame {
  const headerLength = body.readUInt32BE(0)
  if (headerLength > body.length - LENGTH_BYTES) throw new MtorError('MALFORMED', `a header of ${headerLength} bytes in a frame of ${body.length}`)
  let header: unknown
  try { header = JSON.parse(utf8.decode(body.subarray(LENGTH_BYTES, LENGTH_BYTES + headerLength))) } catch (error) { throw new MtorError('MALFORMED', 'a header that is not JSON', { cause: error }) }
  if (typeof header !== 'object' || header === null || typeof (header as { t?: unknown }).t !== 'string') throw new MtorError('MALFORMED', 'a header without a type')
  return { header: header as Frame['header'], binary: body.subarray(LENGTH_BYTES + headerLength), wireBytes: LENGTH_BYTES + body.length }
}

/** A message goes as JSON; an object's own `bytes`, if they are bytes, go behind it as they are. */
export function splitMessage(message: unknown): { m: unknown; b?: true; binary: Uint8Array } {
  const bytes = typeof message === 'object' && message !== null ? (message as { bytes?: unknown }).bytes : undefined
  if (!(bytes instanceof Uint8Array)) return { m: message, binary: NOTHING }
  const { bytes: _, ...rest } = message as Record<string, unknown>
  return { m: rest, b: true, binary: bytes }
}

/** The message that was split. @throws MtorError MALFORMED */
export function joinMessage({ header, binary }: Pick<Frame, 'header' | 'binary'>): unknown {
  if (header.b === undefined) {
    if (binary.length > 0) throw new MtorError('MALFORMED', 'bytes that nothing announced')
    return header.m
  }
  if (header.b !== true || typeof header.m !== 'object' || header.m === null || Array.isArray(header.m)) throw new MtorError('MALFORMED', 'bytes that belong to no object')
  return { ...header.m, bytes: binary }
}
