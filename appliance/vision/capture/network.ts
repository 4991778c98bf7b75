import { open, rm } from 'node:fs/promises'
import { MtorError } from '../../contracts/errors.ts'
import { ffmpegStill, finishPicture, hasFfmpeg } from './ffmpeg.ts'
import { MAX_PICTURE_BYTES, type Camera, type CameraOptions, type Still, type StillTarget } from './port.ts'
import { abortError, fileError, redacted, within } from './program.ts'

/** Decoders start at a key frame; one more lets a stream settle. */
const SKIP_FRAMES = 1

/** What ffmpeg is told of a stream. It may open nothing but the network, whatever the stream names. @see ffmpeg-protocols(1) */
export const streamInput = (url: string, ioTimeoutMs: number): string[] => {
  const isRtsp = /^rtsps?:/i.test(url)
  return ['-protocol_whitelist', 'http,https,tcp,udp,tls,rtp,rtsp,crypto', ...(isRtsp ? ['-rtsp_transport', 'tcp', '-timeout'] : ['-rw_timeout']), String(ioTimeoutMs * 1000), '-an', '-i', url]
}

/**
 * A camera on the network: a still by HTTP, or a stream by HTTP (MJPEG, MPEG-TS …) or RTSP. What an http address gives is
 * asked each time, by the type it answers with.
 */
export class NetworkCamera implements Camera {
  readonly #url: string
  readonly #options: CameraOptions

  constructor(url: string, options: CameraOptions) {
    this.#url = url
    this.#options = options
  }

  describe(): string { return redacted(this.#url) }
  async present(): Promise<boolean> { return true }
  async stop(): Promise<void> {}

  async still(target: StillTarget, signal?: AbortSignal): Promise<Still> {
    const limit = within(this.#options.timeoutMs, signal)
    if (/^https?:/i.test(this.#url) && await this.#fetched(target, limit)) {
      const raw = `${target.file}.raw`
      try { return await finishPicture(raw, target, this.describe(), limit) } finally { await rm(raw, { force: true }) }
    }
    if (!hasFfmpeg()) throw new MtorError('CAMERA', `${this.describe()}: a stream needs ffmpeg, which is not installed`, { hint: 'Install the Debian package ffmpeg.' })
    return ffmpegStill(streamInput(this.#url, this.#options.timeoutMs), target, SKIP_FRAMES, this.describe(), limit)
  }

  /** Writes a picture beside the target; false where the address gives a stream. */
  async #fetched(target: StillTarget, signal: AbortSignal): Promise<boolean> {
    const url = new URL(this.#url)
    // fetch takes no password in an address.
    const headers: Record<string, string> = { accept: 'image/jpeg, image/*;q=0.9, */*;q=0.5' }
    if (url.username) headers.authorization = `Basic ${Buffer.from(`${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`).toString('base64')}`
    url.username = url.password = ''
    const done = new AbortController()
    try {
      const answer = await fetch(url, { headers, signal: AbortSignal.any([signal, done.signal]) })
      if (!answer.ok) throw new MtorError('CAMERA', `${this.describe()}: expected a picture, got ${answer.status} ${answer.statusText}`)
      const type = answer.headers.get('content-type')?.toLowerCase() ?? ''
      if (!type.startsWith('image/') && type !== '' && !type.startsWith('application/octet-stream')) {
        if (type.startsWith('text/')) throw new MtorError('CAMERA', `${this.describe()}: expected a picture, got ${type}`)
        return false
      }
      await this.#store(answer, `${target.file}.raw`)
      return true
    } catch (error) {
      await rm(`${target.file}.raw`, { force: true })
      if (signal.aborted) throw abortError(signal, this.describe())
      if (error instanceof MtorError) throw error
      const { cause } = error as { cause?: Error }
      throw fileError(error, 'CAMERA', `${this.describe()}${cause ? `: ${cause.message}` : ''}`)
    } finally { done.abort() }
  }

  async #store(answer: Response, file: string): Promise<void> {
    if (!answer.body) throw new MtorError('CAMERA', `${this.describe()}: the answer is empty`)
    const handle = await open(file, 'w')
    try {
      let bytes = 0
      for await (const part of answer.body) {
        bytes += part.byteLength
        if (bytes > MAX_PICTURE_BYTES) throw new MtorError('CAMERA', `${this.describe()}: expected at most ${MAX_PICTURE_BYTES} bytes, it does not end`)
        await handle.write(part)
      }
    } finally { await handle.close() }
  }
}
