import type { Code } from '../../contracts/codes.ts'
import { MtorError } from '../../contracts/errors.ts'
import { LastWords, spawnTied } from '../../inference/child.ts'

/** The kernel's words for a full disk or quota, as programs print them. @see errno(3) */
const FULL = /no space left on device|disk quota exceeded/i

/** A URL's user and password, which no message may carry. */
export const redacted = (text: string): string => text.replaceAll(/(\w+:\/\/)[^\s/@]+@/g, '$1***@')

/** An error of writing a file: DISK_FULL where that is why, else `code`. */
export function fileError(error: unknown, code: Code, what: string): MtorError {
  if (error instanceof MtorError) return error
  const { code: errno, message } = error as NodeJS.ErrnoException
  return new MtorError(errno === 'ENOSPC' || errno === 'EDQUOT' ? 'DISK_FULL' : code, `${what}: ${message}`, { cause: error })
}

/**
 * Runs a helper program to its end and kills it when `signal` is aborted: a camera may never give a picture.
 * @throws MtorError CAMERA with its last words (DEADLINE's abort says how long it had), DISK_FULL, CANCELLED
 */
export function runProgram(program: string, args: readonly string[], signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(abortError(signal, program))
    const child = spawnTied(program, args)
    const words = new LastWords(child)
    child.stdin!.on('error', () => {})
    child.stdin!.end()
    child.stdout!.resume()
    const kill = () => { child.kill('SIGKILL') }
    signal.addEventListener('abort', kill, { once: true })
    const settle = (failure?: string) => {
      signal.removeEventListener('abort', kill)
      if (failure === undefined) resolve()
      else if (signal.aborted) reject(abortError(signal, `${program}${words.toString() && `: ${redacted(words.toString())}`}`))
      else reject(new MtorError(FULL.test(failure) ? 'DISK_FULL' : 'CAMERA', `${program}: ${redacted(failure)}`))
    }
    child.once('error', (error) => settle(error.message))
    child.once('close', (code, killedBy) => settle(code === 0 ? undefined : words.toString() || `ended with ${killedBy ?? code}`))
  })
}

/** What an abort means: the camera took too long, or nobody wants the picture any more. */
export function abortError(signal: AbortSignal, what: string): MtorError {
  if (signal.reason instanceof MtorError) return signal.reason
  return signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError' ? new MtorError('CAMERA', `${what}: no picture in time, so it was ended`) : new MtorError('CANCELLED', `${what}: cut off`)
}

/** `signal`, or the time is up. */
export const within = (timeoutMs: number, signal?: AbortSignal): AbortSignal => signal ? AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]) : AbortSignal.timeout(timeoutMs)
