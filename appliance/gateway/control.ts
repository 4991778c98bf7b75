import { once } from 'node:events'
import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { dirname } from 'node:path'
import { MtorError, toMtorError } from '../contracts/errors.ts'

/** What a route gets and may answer: one value, or lines as they come. */
export interface ControlRequest {
  params: Record<string, string>
  query: URLSearchParams
  body: unknown
  /** Aborted when the caller hangs up. */
  signal: AbortSignal
}
export type ControlRoute = (request: ControlRequest) => Promise<unknown> | AsyncIterable<unknown>

const MAX_BODY_BYTES = 256 * 1024

/**
 * The local control interface: HTTP over a UNIX socket, JSON in and out; a route that yields values answers in lines
 * of JSON (application/x-ndjson) as they come. Whoever may open the socket is an operator of this box.
 */
export class ControlServer {
  readonly path: string
  readonly #routes: { method: string; parts: string[]; run: ControlRoute }[]
  #server: Server | undefined

  /** @param routes keys such as "GET /intents/:id" */
  constructor(path: string, routes: Record<string, ControlRoute>) {
    this.path = path
    this.#routes = Object.entries(routes).map(([key, run]) => { const [method, route] = key.split(' ') as [string, string]; return { method, parts: route.split('/'), run } })
  }

  async start(): Promise<void> {
    mkdirSync(dirname(this.path), { recursive: true })
    rmSync(this.path, { force: true })
    const server = createServer((request, response) => { void this.#serve(request, response) })
    server.requestTimeout = 0
    this.#server = server
    await new Promise<void>((resolve, reject) => { server.once('error', reject); server.listen(this.path, () => resolve()) })
    chmodSync(this.path, 0o660)
  }

  async stop(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (!server) return
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    server.closeAllConnections()
    await closed
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController()
    response.on('close', () => gone.abort(new MtorError('CANCELLED', 'the caller hung up')))
    // A caller that hangs up while lines are being written is no fault of ours.
    response.on('error', () => {})
    try {
      const url = new URL(request.url ?? '/', 'http://localhost')
      const found = this.#find(request.method ?? 'GET', url.pathname)
      if (!found) throw new MtorError('NOT_FOUND', `no route ${request.method} ${url.pathname}`)
      const answer = found.run({ params: found.params, query: url.searchParams, body: await readBody(request), signal: gone.signal })
      if (Symbol.asyncIterator in answer) {
        response.writeHead(200, { 'content-type': 'application/x-ndjson' })
        response.flushHeaders()
        // A caller that does not read holds up its own lines only, and none of them pile up here.
        try { for await (const line of answer) if (!response.write(`${JSON.stringify(line)}\n`)) await once(response, 'drain', { signal: gone.signal }) } catch (error) { if (!gone.signal.aborted) response.write(`${JSON.stringify({ error: toMtorError(error) })}\n`) }
        response.end()
        return
      }
      const value = await answer
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value ?? null))
    } catch (thrown) {
      const error = toMtorError(thrown)
      if (!response.headersSent) response.writeHead(error.code === 'NOT_FOUND' ? 404 : error.code === 'INTERNAL' ? 500 : 400, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ error }))
    }
  }

  #find(method: string, path: string) {
    const given = path.split('/')
    for (const route of this.#routes) {
      if (route.method !== method || route.parts.length !== given.length) continue
      const params: Record<string, string> = {}
      if (route.parts.every((part, i) => { if (part.startsWith(':')) { params[part.slice(1)] = decodeURIComponent(given[i]!); return true } return part === given[i] })) return { run: route.run, params }
    }
    return undefined
  }
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) throw new MtorError('TOO_LARGE', `body larger than ${MAX_BODY_BYTES} bytes`)
    chunks.push(chunk)
  }
  if (size === 0) return undefined
  try { return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown } catch (error) { throw new MtorError('MALFORMED', `body is not JSON: ${(error as Error).message}`) }
}
