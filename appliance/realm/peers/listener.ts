import type { AddressInfo, Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import { MtorError } from '../../contracts/errors.ts'
import type { Credentials } from '../membership.ts'
import { ALPN, subjectOf, tlsOptions } from './dial.ts'

/** Connections that have not shown a good certificate yet; one more, and the oldest of them goes. */
const MAX_STRANGERS = 32
const HANDSHAKE_MS = 2_000

export interface ListenerOptions {
  host: string
  port: number
  realm: string
  credentials: Credentials
  /** A node whose certificate the realm's authority has made; whether it is still good is for others to say. */
  onPeer(socket: TLSSocket, node: string, serial: string): void
  /** Somebody without a certificate who wants to join. */
  onNewcomer(socket: TLSSocket): void
  onRefused(address: string, error: MtorError): void
}

/** The one port of a node: members show their certificates in the handshake, newcomers have none and may only ask to join. */
export class Listener {
  readonly #options: ListenerOptions
  readonly #strangers = new Set<Socket>()
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined

  constructor(options: ListenerOptions) { this.#options = options }

  get port(): number { return (this.#server?.address() as AddressInfo | null)?.port ?? 0 }

  /** @throws MtorError CONFIG_INVALID when the port cannot be had */
  async start(): Promise<void> {
    const { host, port, credentials, onRefused } = this.#options
    // Newcomers come without a certificate, so that the handshake must let them through; members are told apart below.
    const server = createServer({ ...tlsOptions(credentials), requestCert: true, rejectUnauthorized: false, ALPNProtocols: [ALPN.peer, ALPN.join], handshakeTimeout: HANDSHAKE_MS, noDelay: true })
    server.on('connection', (socket: Socket) => this.#admit(socket))
    server.on('tlsClientError', (error, socket) => onRefused(socket.remoteAddress ?? '', new MtorError('NODE_UNREACHABLE', `no TLS: ${error.message}`, { cause: error })))
    server.on('secureConnection', (socket) => this.#greet(socket))
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => reject(new MtorError('CONFIG_INVALID', `cannot listen for other nodes on ${host}:${port}: ${error.message}`, { cause: error, hint: 'Another program, or another daemon, listens there; choose another peers.port.' })))
      server.listen(port, host, resolve)
    })
    server.on('error', (error) => onRefused('', new MtorError('INTERNAL', error.message, { cause: error })))
    this.#server = server
  }

  /** For connections to come. */
  renew(credentials: Credentials): void { this.#server?.setSecureContext(tlsOptions(credentials)) }

  async stop(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (!server) return
    const closed = new Promise<void>((resolve) => { server.close(() => resolve()) })
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  /** Those who have proven who they are, or have been answered, are no strangers. */
  known(socket: TLSSocket): void { for (const stranger of this.#strangers) if (stranger.remotePort === socket.remotePort && stranger.remoteAddress === socket.remoteAddress) this.#strangers.delete(stranger) }

  #admit(socket: Socket): void {
    socket.on('error', () => {})
    this.#sockets.add(socket)
    this.#strangers.add(socket)
    socket.once('close', () => { this.#sockets.delete(socket); this.#strangers.delete(socket) })
    if (this.#strangers.size <= MAX_STRANGERS) return
    const [oldest] = this.#strangers
    this.#strangers.delete(oldest!)
    oldest!.destroy()
  }

  #greet(socket: TLSSocket): void {
    socket.on('error', () => {})
    if (socket.alpnProtocol === ALPN.join) { this.#options.onNewcomer(socket); return }
    const certificate = socket.getPeerX509Certificate()
    const address = socket.remoteAddress ?? ''
    const refuse = (message: string) => { this.#options.onRefused(address, new MtorError('NOT_A_MEMBER', message)); socket.destroy() }
    if (socket.alpnProtocol !== ALPN.peer || !certificate) { refuse('a connection without a certificate'); return }
    const { node, realm, serial } = subjectOf(certificate)
    if (!socket.authorized) { refuse(`a certificate that the authority of this realm has not made: ${String(socket.authorizationError)} (${node ?? 'nobody'} of realm ${realm ?? 'none'})`); return }
    if (node === undefined || realm !== this.#options.realm) { refuse(`a certificate of realm ${realm}`); return }
    this.known(socket)
    this.#options.onPeer(socket, node, serial)
  }
}
