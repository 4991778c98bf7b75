import type { Readable } from 'node:stream'

/** What looks at each MQTT frame before the broker parses it. Called on the way in, so everything here must be quick. */
export interface FrameInspector {
  /** Once for each chunk the socket gives, before its frames. */
  chunk(): void
  /**
   * A PUBLISH: its topic lies at [topicStart, topicEnd) of `buffer`; its payload begins at `payloadStart` and ends at
   * `end`, which may lie beyond what has arrived. `messageId` is 0 for QoS 0. False keeps the frame from the broker.
   */
  publish(buffer: Buffer, topicStart: number, topicEnd: number, qos: number, messageId: number, payloadStart: number, end: number): boolean
  /** A frame of another type (the upper four bits of its first byte). False keeps it from the broker. */
  other(type: number): boolean
  /** A frame of `bytes`, over the limit: nothing more of this socket reaches the broker. */
  tooLarge(bytes: number): void
  /** Not MQTT: nothing more of this socket reaches the broker. */
  malformed(what: string): void
}

const PUBLISH = 3

/**
 * Lets `inspector` see, and hold back, every MQTT frame that a socket receives.
 *
 * It stands in for the socket's own `push`, the one place through which received bytes enter a Node stream, rather
 * than being a second stream behind it: a stream more for each socket costs a tenth of the throughput, and the frames
 * are seen as they arrive (up to the socket's high-water mark) even while the broker, waiting for the journal or for
 * a frozen subscriber, does not read. The emergency stop relies on that.
 * @see MQTT 3.1.1 §2.2 for the fixed header
 */
export function tapFrames(stream: Readable, maxPacketBytes: number, inspector: FrameInspector): void {
  const push = stream.push.bind(stream)
  /** The start of a frame whose head is not complete yet. */
  let pending: Buffer | undefined
  /** Bytes still to come of the frame under way, and whether they go on to the broker. */
  let rest = 0
  let passing = true
  let closed = false

  stream.push = (chunk: Buffer | null): boolean => {
    if (chunk === null) return push(null)
    if (closed) return true
    inspector.chunk()
    const buffer = pending ? Buffer.concat([pending, chunk]) : chunk
    pending = undefined
    let more = true
    /** Bytes [from, at) are to go on to the broker. */
    let from = 0
    let at = 0
    while (at < buffer.length) {
      if (rest > 0) {
        const n = Math.min(rest, buffer.length - at)
        at += n
        rest -= n
        if (!passing) from = at
        continue
      }
      passing = true
      let head = at + 1
      let remaining = 0
      let byte = 0x80
      for (let shift = 0; byte & 0x80 && shift < 28 && head < buffer.length; shift += 7) {
        byte = buffer[head++]!
        remaining |= (byte & 0x7f) << shift
      }
      if (byte & 0x80) {
        if (head - at < 5) { pending = buffer.subarray(at); break }
        closed = true
        inspector.malformed('a remaining length of more than four bytes')
        break
      }
      const end = head + remaining
      if (end - at > maxPacketBytes) { closed = true; inspector.tooLarge(end - at); break }
      const first = buffer[at]!
      if (first >> 4 === PUBLISH) {
        const qos = (first >> 1) & 3
        if (head + 2 > buffer.length && end > buffer.length) { pending = buffer.subarray(at); break }
        const topicEnd = remaining < 2 ? Infinity : head + 2 + (buffer[head]! << 8 | buffer[head + 1]!)
        const payloadStart = qos > 0 ? topicEnd + 2 : topicEnd
        if (payloadStart > end) { closed = true; inspector.malformed('a PUBLISH shorter than its topic'); break }
        if (payloadStart > buffer.length) { pending = buffer.subarray(at); break }
        const messageId = qos > 0 ? buffer[topicEnd]! << 8 | buffer[topicEnd + 1]! : 0
        passing = inspector.publish(buffer, head + 2, topicEnd, qos, messageId, payloadStart, end)
      } else passing = inspector.other(first >> 4)
      if (!passing && at > from) more = push(buffer.subarray(from, at))
      rest = end - at
      if (!passing) from = at
    }
    if (at > from) more = push(from === 0 && at === buffer.length ? buffer : buffer.subarray(from, at))
    return more
  }
}
