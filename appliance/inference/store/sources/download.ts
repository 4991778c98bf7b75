import { createHash } from 'node:crypto'
import { open, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MtorError, toMtorError } from '../../../contracts/errors.ts'
import { diskError, writeWhole } from '../disk.ts'
import type { FetchContext } from './context.ts'

/** No byte for this long: the connection is given up and made anew. */
const SILENCE_MS = 30_000
const TRIES = 5
const FIRST_WAIT_MS = 250

/** What tells that the rest belongs to the beginning. @see RFC 9110, 8.8 (validators), 13.1.5 (If-Range) */
interface Part { url: string; validator?: string }

/** Where the beginning of a download lies. */
const partOf = (url: string, partsDir: string) => join(partsDir, `${createHash('sha256').update(url).digest('hex').slice(0, 24)}.part`)

/** Nobody will go on with this download. */
export async function forgetDownload(url: string, partsDir: string): Promise<void> {
  for (const ending of ['', '.json']) await rm(`${partOf(url, partsDir)}${ending}`, { force: true })
}

/**
 * Fetches a URL into a file of `partsDir` and goes on where it was cut off, within this call and from one to the next.
 * A server that gives neither ETag nor Last-Modified, or no ranges, is asked for the whole again.
 * @returns the path of the finished file; whoever asked moves or removes it
 * @throws MtorError DOWNLOAD_FAILED, DISK_FULL, CANCELLED
 */
export async function download(url: string, context: FetchContext): Promise<string> {
  const part = partOf(url, context.partsDir)
  for (let attempt = 1, waitMs = FIRST_WAIT_MS; ; attempt++, waitMs *= 2) {
    const before = await sizeOf(part)
    try { await attemptOnce(url, part, context); await rm(`${part}.json`, { force: true }); return part } catch (thrown) {
      if (context.signal?.aborted) throw new MtorError('CANCELLED', `${url}: cancelled`)
      const error = diskError(thrown, url)
      // What broke off in the middle is worth another try at once; what never came as well, but not for ever.
      if (error.code !== 'DOWNLOAD_FAILED' && error.code !== 'INTERNAL') throw error
      if (error.data?.['final'] === true || attempt >= TRIES) throw new MtorError('DOWNLOAD_FAILED', error.message, { cause: thrown })
      if (await sizeOf(part) > before) { attempt = 0; waitMs = FIRST_WAIT_MS }
      await sleep(waitMs, undefined, { signal: context.signal }).catch(() => {})
    }
  }
}

const sizeOf = async (path: string) => (await stat(path).catch(() => undefined))?.size ?? 0

async function attemptOnce(url: string, part: string, { signal, progress }: FetchContext): Promise<void> {
  let haveBytes = await sizeOf(part)
  const known = haveBytes === 0 ? undefined : await readFile(`${part}.json`, 'utf8').then((text) => JSON.parse(text) as Part).catch(() => undefined)
  if (known?.url !== url || known.validator === undefined) haveBytes = 0
  const silence = new AbortController()
  const timer = setTimeout(() => silence.abort(new MtorError('DOWNLOAD_FAILED', `${url}: nothing came for ${SILENCE_MS / 1000} s`)), SILENCE_MS)
  try {
    const response = await fetch(url, {
      // Packed on the way, a range would be one of the packed bytes.
      headers: { 'accept-encoding': 'identity', ...(haveBytes > 0 ? { range: `bytes=${haveBytes}-`, 'if-range': known!.validator! } : {}) },
      signal: signal ? AbortSignal.any([signal, silence.signal]) : silence.signal,
    })
    timer.refresh()
    if (response.status === 416) { await response.body?.cancel(); await rm(part, { force: true }); throw new MtorError('DOWNLOAD_FAILED', `${url}: the beginning that is here does not fit; it is fetched anew`) }
    if (!response.ok) { await response.body?.cancel(); throw new MtorError('DOWNLOAD_FAILED', `${url}: HTTP ${response.status} ${response.statusText}`, { data: { final: response.status < 500 && response.status !== 408 && response.status !== 429 } }) }
    const resumed = response.status === 206
    if (resumed && !response.headers.get('content-range')?.startsWith(`bytes ${haveBytes}-`)) { await response.body?.cancel(); await rm(part, { force: true }); throw new MtorError('DOWNLOAD_FAILED', `${url}: another range came than was asked for`) }
    if (!resumed) haveBytes = 0
    // A weak validator does not promise the same bytes.
    const etag = response.headers.get('etag')
    const validator = etag !== null && !etag.startsWith('W/') ? etag : response.headers.get('last-modified') ?? undefined
    await writeWhole(`${part}.json`, JSON.stringify({ url, validator } satisfies Part))
    const length = response.headers.get('content-length')
    const totalBytes = length === null ? undefined : haveBytes + Number(length)
    const file = await open(part, resumed ? 'r+' : 'w', 0o600)
    try {
      let at = haveBytes
      progress({ phase: 'fetch', doneBytes: at, totalBytes })
      for await (const chunk of response.body ?? []) {
        timer.refresh()
        await file.write(chunk, 0, chunk.length, at)
        at += chunk.length
        progress({ phase: 'fetch', doneBytes: at, totalBytes })
      }
      await file.truncate(at)
      await file.sync()
      if (totalBytes !== undefined && at !== totalBytes) throw new MtorError('DOWNLOAD_FAILED', `${url}: ${at} of ${totalBytes} bytes came`)
    } finally { await file.close() }
  } catch (thrown) {
    if (silence.signal.aborted) throw silence.signal.reason
    // fetch says only "fetch failed" or "terminated"; why is in its cause.
    if (thrown instanceof TypeError) throw new MtorError('DOWNLOAD_FAILED', `${url}: ${toMtorError(thrown.cause ?? thrown).message || thrown.message}`, { cause: thrown })
    throw thrown
  } finally { clearTimeout(timer) }
}
