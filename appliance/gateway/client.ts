import { request, type IncomingMessage } from 'node:http'
import { createInterface } from 'node:readline'
import { isCode } from '../contracts/codes.ts'
import { MtorError, toMtorError } from '../contracts/errors.ts'

/** The CLI's side of the control interface. @throws MtorError NOT_RUNNING when nobody listens */
export class ControlClient {
  readonly #path: string
  constructor(socketPath: string) { this.#path = socketPath }

  async call(method: 'GET' | 'POST' | 'DELETE', route: string, body?: unknown): Promise<unknown> {
    const response = await this.#send(method, route, body)
    const chunks: Buffer[] = []
    try { for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk) } catch (error) { throw this.#brokenOff(error) }
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8') || 'null')
    if (response.statusCode !== 200) throw remoteError(value)
    return value
  }

  /** Lines as they come, until the daemon ends them or the signal aborts. */
  async *lines(method: 'GET' | 'POST', route: string, body?: unknown, signal?: AbortSignal): AsyncGenerator<Record<string, unknown>> {
    const response = await this.#send(method, route, body, signal)
    try {
      for await (const line of createInterface({ input: response, crlfDelay: Infinity })) {
        if (!line) continue
        const value = JSON.parse(line) as Record<string, unknown>
        if (value.error) throw remoteError(value)
        yield value
      }
    } catch (error) { if (signal?.aborted) return; throw error instanceof MtorError ? error : this.#brokenOff(error) } finally { response.destroy() }
  }

  #send(method: string, route: string, body: unknown, signal?: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const payload = body === undefined ? undefined : JSON.stringify(body)
      const sent = request({ socketPath: this.#path, method, path: route, ...(signal ? { signal } : {}), headers: payload === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) } }, resolve)
      sent.on('error', (error: NodeJS.ErrnoException) => reject(this.#refused(error)))
      sent.end(payload)
    })
  }

  #refused(error: NodeJS.ErrnoException): MtorError {
    switch (error.code) {
      case 'ENOENT': case 'ECONNREFUSED': case 'ENOTSOCK': return new MtorError('NOT_RUNNING', `nobody listens on ${this.#path}`, { cause: error })
      case 'EACCES': case 'EPERM': return new MtorError('UNAUTHORISED', `you may not open ${this.#path}`, { cause: error, hint: 'Run it as the user of the daemon, or as a member of that user\'s group.' })
      case 'ECONNRESET': case 'EPIPE': return this.#brokenOff(error)
      default: return toMtorError(error)
    }
  }

  /** What was asked for may have been done all the same. */
  #brokenOff(cause: unknown): MtorError { return new MtorError('NOT_RUNNING', 'the daemon ended before it had answered', { cause, hint: 'Once it runs again, see what became of it with: mtor journal' }) }
}

function remoteError(value: unknown): MtorError {
  const error = (value as { error?: { code?: unknown; message?: unknown; hint?: unknown } } | null)?.error
  return new MtorError(isCode(error?.code) ? error.code : 'INTERNAL', typeof error?.message === 'string' ? error.message : 'the daemon gave no reason', typeof error?.hint === 'string' ? { hint: error.hint } : {})
}
