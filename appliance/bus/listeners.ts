import { createServer as createHttpServer, type IncomingMessage, type Server as HttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { createServer, isIP, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { createWebSocketStream, WebSocketServer } from 'ws'
import type { BusConfig, ListenerConfig } from '../config/schema.ts'
import type { Clock } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'
import type { SystemEventInput } from '../contracts/events.ts'
import { isLoopback, tlsMaterial } from './certificate.ts'
import type { Connection } from './session.ts'

const SOCKET_OPTIONS = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 }
/** CONNACK "server unavailable": all that can be said before a client said anything. @see MQTT 3.1.1 §3.2.2.3 */
const CONNACK_UNAVAILABLE = Buffer.from([0x20, 0x02, 0x00, 0x03])
/** A WebSocket message may carry several MQTT packets. */
const WEBSOCKET_SLACK_BYTES = 65_536

export interface Address { kind: 'tcp' | 'ws'; host: string; port: number; tls: boolean }
export interface ListenersOptions {
  config: BusConfig; stateDir: string; node: string; clock: Clock
  onConnection(connection: Connection): void
  report(event: Omit<SystemEventInput, 'component'>): void
}

/** The sockets of the bus: MQTT over TCP and over WebSocket, each with or without TLS, all under one limit of connections. */
export class Listeners {
  readonly #options: ListenersOptions
  #servers: Server[] = []
  #addresses: Address[] = []
  readonly #sockets = new Set<Socket>()

  constructor(options: ListenersOptions) { this.#options = options }

  get connections() { return this.#sockets.size }
  addresses(): Address[] { return [...this.#addresses] }

  async start(): Promise<void> {
    for (const listener of this.#options.config.listeners) await this.#open(listener)
  }

  /** No new connections; those there are stay until `stop`. */
  close() { for (const server of this.#servers) server.close() }

  async stop(): Promise<void> {
    const servers = this.#servers
    this.#servers = []
    this.#addresses = []
    const closed = servers.map((server) => new Promise<void>((resolve) => { if (server.listening) server.close(() => resolve()); else resolve() }))
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all(closed)
  }

  async #open(listener: ListenerConfig) {
    const { config, stateDir, node, report } = this.#options
    const material = await tlsMaterial(listener, stateDir, node)
    const tls = material !== undefined
    if (!tls && !isLoopback(listener.host)) {
      report({ severity: 'warning', name: 'listener.plain', message: `${listener.kind} listener ${listener.host}:${listener.port} is open to the network without TLS: passwords and intents can be read and changed on the way` })
    }
    const secure = tls ? { ...material, requestCert: material.ca !== undefined, rejectUnauthorized: false, minVersion: 'TLSv1.2' as const, handshakeTimeout: config.limits.connectTimeoutMs } : {}
    const server: Server = listener.kind === 'tcp'
      ? tls ? createTlsServer({ ...SOCKET_OPTIONS, ...secure }) : createServer(SOCKET_OPTIONS)
      : tls ? createHttpsServer({ ...SOCKET_OPTIONS, ...secure }) : createHttpServer(SOCKET_OPTIONS)
    server.on('connection', (socket: Socket) => this.#admit(socket, listener.kind === 'tcp' && !tls))
    server.on('tlsClientError', (error: Error) => report({ severity: 'info', name: 'tls.failed', message: error.message }))
    const ready = tls ? 'secureConnection' : 'connection'
    if (listener.kind === 'tcp') {
      server.on(ready, (socket: Socket) => { if (!socket.destroyed && !socket.writableEnded) this.#handOver(socket, socket, 'mqtt', this.#timer(socket)) })
    } else {
      const timers = new WeakMap<Duplex, () => void>()
      server.on(ready, (socket: Socket) => { if (!socket.destroyed) timers.set(socket, this.#timer(socket)) })
      this.#serveWebSocket(server as HttpServer, listener, (socket) => timers.get(socket) ?? (() => {}))
    }
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => reject(new MtorError('CONFIG_INVALID', `listener ${listener.kind} ${listener.host}:${listener.port}: ${error.message}`,
        { cause: error, hint: error.code === 'EADDRINUSE' ? 'Another program, or another daemon, listens there. Stop it or choose another port.' : 'Check host and port in bus.listeners.' })))
      server.listen(listener.port, listener.host, resolve)
    })
    server.on('error', (error) => report({ severity: 'error', name: 'listener.failed', code: 'INTERNAL', message: error.message }))
    this.#servers.push(server)
    this.#addresses.push({ kind: listener.kind, host: listener.host, port: (server.address() as AddressInfo).port, tls })
  }

  /** Counts a socket, or turns it away when there are too many. */
  #admit(socket: Socket, plainMqtt: boolean) {
    socket.on('error', () => {})
    const { limits } = this.#options.config
    if (this.#sockets.size >= limits.maxConnections) {
      this.#options.report({ severity: 'warning', name: 'connection.refused', code: 'BUSY', message: `more than ${limits.maxConnections} connections`, data: { address: socket.remoteAddress ?? '' } })
      if (plainMqtt) socket.end(CONNACK_UNAVAILABLE, () => socket.destroy()); else socket.destroy()
      return
    }
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
  }

  /** Closes a socket whose client did not become known in time; returns what stops the clock. */
  #timer(socket: Socket): () => void {
    const { clock, config, report } = this.#options
    const timer = clock.setTimeout(() => {
      report({ severity: 'info', name: 'connection.late', message: `no CONNECT within ${config.limits.connectTimeoutMs} ms`, data: { address: socket.remoteAddress ?? '' } })
      socket.destroy()
    }, config.limits.connectTimeoutMs)
    const settled = () => clock.clearTimeout(timer)
    socket.once('close', settled)
    return settled
  }

  #handOver(stream: Duplex, socket: Socket, kind: Connection['kind'], settled: () => void, request?: IncomingMessage) {
    const address = socket.remoteAddress ?? ''
    const peer = (socket as TLSSocket).authorized ? (socket as TLSSocket).getPeerCertificate() : undefined
    const name = peer?.subject?.CN as string | string[] | undefined
    this.#options.onConnection({
      stream, kind, address, loopback: isLoopback(address), settled,
      ...(typeof name === 'string' ? { certificateName: name } : {}), ...(request ? { request } : {}),
    })
  }

  #serveWebSocket(server: HttpServer, listener: ListenerConfig, settledOf: (socket: Duplex) => () => void) {
    const sockets = new WebSocketServer({
      noServer: true, perMessageDeflate: false, maxPayload: this.#options.config.limits.maxPacketBytes + WEBSOCKET_SLACK_BYTES,
      handleProtocols: (offered) => ['mqtt', 'mqttv3.1'].find((protocol) => offered.has(protocol)) ?? false,
    })
    server.on('request', (_request, response) => { response.writeHead(426, { 'content-type': 'text/plain', connection: 'close' }).end('MQTT over WebSocket only\n') })
    server.on('upgrade', (request, socket: Socket, head) => {
      if (!originAllowed(request, isLoopback(listener.host))) {
        this.#options.report({ severity: 'warning', name: 'origin.refused', code: 'UNAUTHORISED', message: `a page of ${String(request.headers.origin).slice(0, 100)} tried to connect` })
        socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n')
        return
      }
      sockets.handleUpgrade(request, socket, head, (webSocket) => {
        webSocket.on('error', (error: Error & { code?: string }) => {
          if (error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') this.#options.report({ severity: 'warning', name: 'client.refused', code: 'TOO_LARGE', message: 'a WebSocket message over the limit (answered with close code 1009)', data: { address: request.socket.remoteAddress ?? '' } })
        })
        const writev = (chunks: { chunk: Buffer }[], callback: (error?: Error | null) => void) => webSocket.send(Buffer.concat(chunks.map((c) => c.chunk)), callback)
        const stream = createWebSocketStream(webSocket, { writev } as Parameters<typeof createWebSocketStream>[1])
        this.#handOver(stream, socket, 'websocket', settledOf(socket), request)
      })
    })
  }
}

/**
 * Browsers let any page open a WebSocket to any host, this machine included, and tell only by `Origin`: a page may
 * connect only to the host it came from, and on loopback only under a name that no one else can give to it.
 */
function originAllowed(request: IncomingMessage, loopback: boolean): boolean {
  const { origin, host } = request.headers
  if (origin === undefined) return true
  const from = URL.canParse(origin) ? new URL(origin).hostname : undefined
  const to = URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : undefined
  if (from === undefined || from !== to) return false
  const bare = to.replace(/^\[|\]$/g, '')
  return !loopback || bare === 'localhost' || isIP(bare) !== 0
}
