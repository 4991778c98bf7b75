import { MtorError } from '../../contracts/errors.ts'

/** The version of the published definitions that this was written and tested against. */
export const WYOMING_VERSION = '1.10.2'

/** What is taken at the most, in bytes. A second of 48 kHz stereo is 192,000. */
export const WYOMING_LIMITS = { headerBytes: 65_536, dataBytes: 65_536, payloadBytes: 1_048_576 } as const

/** One message of Wyoming, in either direction. */
export interface WyomingEvent { type: string; data: Record<string, unknown>; payload?: Buffer }

interface Header { type: string; data: Record<string, unknown>; dataBytes: number; payloadBytes: number }

const NEWLINE = 10

/**
 * Bytes in, events out: a line of JSON, then as many bytes of JSON and of payload as it says. What is over a limit or
 * cannot be read throws, and then the stream is lost: there is no way to find the next line.
 * @see the `wyoming` package of PyPI, event.py
 */
export class EventReader {
  /** Grows by doubling: single bytes cost no more than themselves. */
  #buffer: Buffer = Buffer.alloc(0)
  #held = 0
  /** Of the event whose body is still to come. */
  #header: Header | undefined

  /** @throws MtorError MALFORMED, TOO_LARGE */
  *push(bytes: Buffer): Generator<WyomingEvent> {
    let rest = bytes
    for (;;) {
      if (!this.#header) {
        const end = rest.indexOf(NEWLINE)
        if (this.#held + (end < 0 ? rest.length : end) > WYOMING_LIMITS.headerBytes) throw new MtorError('TOO_LARGE', `a header has more than ${WYOMING_LIMITS.headerBytes} bytes`, { hint: 'Send details and sound behind the header.' })
        if (end < 0) return this.#hold(rest)
        this.#header = parseHeader(this.#take(rest.subarray(0, end)))
        rest = rest.subarray(end + 1)
      }
      const header = this.#header
      const missing = header.dataBytes + header.payloadBytes - this.#held
      if (rest.length < missing) return this.#hold(rest)
      const body = this.#take(rest.subarray(0, missing))
      rest = rest.subarray(missing)
      this.#header = undefined
      const more = header.dataBytes > 0 ? parseObject(body.subarray(0, header.dataBytes), 'the data') : undefined
      yield { type: header.type, data: more ? { ...header.data, ...more } : header.data, ...(header.payloadBytes > 0 ? { payload: body.subarray(header.dataBytes) } : {}) }
    }
  }

  #hold(bytes: Buffer): void {
    const size = this.#held + bytes.length
    if (size > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(size, 2 * this.#buffer.length))
      this.#buffer.copy(larger, 0, 0, this.#held)
      this.#buffer = larger
    }
    bytes.copy(this.#buffer, this.#held)
    this.#held = size
  }

  #take(last: Buffer): Buffer {
    if (this.#held === 0) return last
    this.#hold(last)
    const all = this.#buffer.subarray(0, this.#held)
    this.#buffer = Buffer.alloc(0)
    this.#held = 0
    return all
  }
}

function parseObject(bytes: Buffer, what: string): Record<string, unknown> {
  let value: unknown
  try { value = JSON.parse(bytes.toString('utf8')) } catch (error) { throw new MtorError('MALFORMED', `${what} of an event is no JSON`, { cause: error, hint: 'Speak the Wyoming protocol on this port.' }) }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new MtorError('MALFORMED', `${what} of an event: expected a JSON object`, { hint: 'Speak the Wyoming protocol on this port.' })
  return value as Record<string, unknown>
}

function parseHeader(line: Buffer): Header {
  const { type, data, data_length: dataLength, payload_length: payloadLength } = parseObject(line, 'the header')
  if (typeof type !== 'string' || type === '' || type.length > 64) throw new MtorError('MALFORMED', 'an event has no type of 1 to 64 characters')
  if (data !== undefined && data !== null && (typeof data !== 'object' || Array.isArray(data))) throw new MtorError('MALFORMED', `${type}: data: expected an object`)
  return { type, data: (data ?? {}) as Record<string, unknown>, dataBytes: lengthOf(dataLength, `${type}: data_length`, WYOMING_LIMITS.dataBytes), payloadBytes: lengthOf(payloadLength, `${type}: payload_length`, WYOMING_LIMITS.payloadBytes) }
}

function lengthOf(value: unknown, what: string, most: number): number {
  if (value === undefined || value === null) return 0
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw new MtorError('MALFORMED', `${what}: expected a number of bytes`)
  if ((value as number) > most) throw new MtorError('TOO_LARGE', `${what}: at most ${most} bytes, got ${String(value)}`, { hint: 'Send sound in smaller pieces.' })
  return value as number
}

/** An event as bytes. */
export function encodeEvent({ type, data, payload }: WyomingEvent): Buffer {
  const body = Object.keys(data).length > 0 ? Buffer.from(JSON.stringify(data)) : undefined
  const header = { type, version: WYOMING_VERSION, ...(body ? { data_length: body.length } : {}), ...(payload?.length ? { payload_length: payload.length } : {}) }
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), ...(body ? [body] : []), ...(payload ? [payload] : [])])
}
