import { Agent as HttpAgent, request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { ConnectionOptions } from 'node:tls'
import type { Clock, Timer } from '../../contracts/clock.ts'
import { EtcdError, refusalOf } from './errors.ts'

/** What TLS to etcd needs, PEM. `servername`: the name in etcd's certificate where it is not the host of the address; `checkServerIdentity`: whether that certificate is good. */
export interface EtcdTls extends Pick<ConnectionOptions, 'ca' | 'cert' | 'key'> { servername?: string; checkServerIdentity?: NonNullable<ConnectionOptions['checkServerIdentity']> }

/** More requests than this to one endpoint wait for a connection. */
const MAX_SOCKETS = 16
/** A link that is slower than this is not one for consensus. */
const SLOWEST_BYTES_PER_MS = 5_000
const MAX_REPLY_BYTES = 64 * 1024 * 1024

/** One client address of etcd: its connections, how long it takes to answer, and what is known of its health. */
export class Endpoint {
  readonly url: string
  readonly #clock: Clock
  readonly #agent: HttpAgent
  readonly #send: typeof httpRequest
  readonly #at: { host: string; port: string; servername?: string }
  /** Smoothed time of an answer, ms. @see RFC 6298 §2 */
  #typicalMs = 0
  /** Set while it fails. */
  failure: { error: EtcdError; sinceMs: number; probes: number } | undefined

  constructor(url: string, clock: Clock, tls: EtcdTls | undefined) {
    const { protocol, hostname, port } = new URL(url)
    this.url = url
    this.#clock = clock
    const secure = protocol === 'https:'
    const options = { keepAlive: true, maxSockets: MAX_SOCKETS, maxFreeSockets: 4, scheduling: 'lifo' as const }
    const { servername, ...material } = tls ?? {}
    // A session that is taken up again is not looked at again.
    this.#agent = secure ? new HttpsAgent({ ...options, ...material, minVersion: 'TLSv1.2', ...(material.checkServerIdentity ? { maxCachedSessions: 0 } : {}) }) : new HttpAgent(options)
    this.#send = secure ? httpsRequest : httpRequest
    this.#at = { host: hostname.replace(/^\[|\]$/g, ''), port: port || '2379', ...(servername === undefined ? {} : { servername }) }
  }

  /** An answer to a request of this size that has not begun by then is unusual: time to ask another endpoint, ms. */
  patienceMs(bytes: number): number { return Math.max(250, 4 * this.#typicalMs) + bytes / SLOWEST_BYTES_PER_MS }

  /**
   * Posts `body` and resolves with the JSON of the reply; rejects with an EtcdError. The reply must begin within
   * `patienceMs` and be there within `timeoutMs`. With `requireLeader` a member that has none says so at once.
   */
  call(path: string, body: string, { timeoutMs, patienceMs = timeoutMs, requireLeader = true }: { timeoutMs: number; patienceMs?: number; requireLeader?: boolean }): Promise<unknown> {
    const startMs = this.#clock.monoMs()
    return new Promise((resolve, reject) => {
      let sent = false
      const request = this.#open(path, body, requireLeader, (response) => {
        let text = ''
        this.#clock.clearTimeout(timer)
        limit(startMs + timeoutMs - this.#clock.monoMs())
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          text += chunk
          if (text.length > MAX_REPLY_BYTES) request.destroy(new EtcdError('refused', `the reply to ${path} is over ${MAX_REPLY_BYTES} bytes`, { code: 'TOO_LARGE' }))
        })
        response.on('end', () => {
          this.#clock.clearTimeout(timer)
          this.#typicalMs += (this.#clock.monoMs() - startMs - this.#typicalMs) / 8
          let reply: unknown
          try { reply = JSON.parse(text) } catch { /* a page of text, not of etcd */ }
          if (response.statusCode === 200 && reply !== undefined) resolve(reply)
          else reject(refusalOf(response.statusCode ?? 0, reply))
        })
        response.on('error', failed)
      })
      const failed = (error: Error) => {
        this.#clock.clearTimeout(timer)
        reject(error instanceof EtcdError ? error : new EtcdError('unreachable', `${this.url}: ${error.message}`, { maybeDone: sent, cause: error }))
      }
      let timer: Timer | undefined
      const limit = (ms: number) => {
        timer = this.#clock.setTimeout(() => { request.destroy(new EtcdError('silent', `${this.url} did not answer ${path} within ${Math.round(this.#clock.monoMs() - startMs)} ms`, { maybeDone: true })) }, ms)
      }
      limit(Math.min(patienceMs, timeoutMs))
      request.on('socket', (socket) => { if (socket.connecting) socket.once('connect', () => { sent = true }); else sent = true })
      request.on('error', failed)
    })
  }

  /** Opens a stream of JSON lines. `onEnd` is called once, also after the returned function has closed it. */
  stream(path: string, body: string, onLine: (message: unknown) => void, onEnd: (error: EtcdError) => void): () => void {
    let ended = false
    const end = (error: unknown) => {
      if (ended) return
      ended = true
      request.destroy()
      onEnd(error instanceof EtcdError ? error : new EtcdError('unreachable', `${this.url}: ${error instanceof Error ? error.message : String(error)}`))
    }
    const request = this.#open(path, body, true, (response) => {
      let partial = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        const lines = (partial + chunk).split('\n')
        partial = lines.pop()!
        for (const line of lines) {
          if (ended || line === '') continue
          try { onLine(JSON.parse(line)) } catch (error) { end(error) }
        }
      })
      response.on('end', () => { end(response.statusCode === 200 ? 'the stream ended' : refusalOf(response.statusCode ?? 0, undefined)) })
      response.on('error', end)
      response.on('close', () => { end('the stream was closed') })
    })
    // Cut off by a network that says nothing: the kernel asks whether the other end is still there.
    request.on('socket', (socket) => { socket.setKeepAlive(true, 1_000) })
    request.on('error', end)
    return () => { end('closed') }
  }

  close() { this.#agent.destroy() }

  /** `hasleader` goes on to gRPC as metadata. @see https://github.com/etcd-io/etcd/blob/release-3.4/etcdserver/api/v3rpc/interceptor.go */
  #open(path: string, body: string, requireLeader: boolean, onResponse: (response: IncomingMessage) => void): ClientRequest {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...(requireLeader ? { 'grpc-metadata-hasleader': 'true' } : {}) }
    const request = this.#send({ ...this.#at, method: 'POST', path, agent: this.#agent, headers }, onResponse)
    request.end(body)
    return request
  }
}
