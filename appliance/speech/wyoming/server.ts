import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { isLoopback } from '../../bus/certificate.ts'
import { Throttle } from '../../bus/limits.ts'
import type { Clock, Timer } from '../../contracts/clock.ts'
import type { WyomingReport } from '../messages.ts'
import { encodeEvent } from './codec.ts'
import { Session, type SessionOptions } from './session.ts'

/** A port that is taken is tried again after this. */
const RETRY_MS = 5_000

export interface ServerOptions extends SessionOptions {
  host: string
  port: number
  maxConnections: number
  clock: Clock
}

/** The port of Wyoming: TCP, a session for each client. */
export class WyomingServer {
  readonly #o: ServerOptions
  readonly #sessions = new Map<Socket, Promise<void>>()
  readonly #refusals: Throttle
  #server: Server | undefined
  #retry: Timer | undefined
  #failed = false
  #stopped = true

  constructor(options: ServerOptions) {
    this.#o = options
    this.#refusals = new Throttle(options.clock, 0.2, 5)
  }

  /** Listens, now or as soon as the port is free. */
  start(): void {
    if (!this.#stopped) return
    this.#stopped = false
    const { host } = this.#o
    // Told before the port is open: nobody can be there earlier than the warning.
    if (!isLoopback(host)) this.#o.report({ severity: 'warning', name: 'wyoming.open', message: `Wyoming on ${host} is open to the network, and the protocol knows neither passwords nor encryption: whoever reaches the port may use it and hear what is sent` })
    this.#listen()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#o.clock.clearTimeout(this.#retry)
    const server = this.#server
    this.#server = undefined
    const closed = server?.listening ? new Promise<void>((resolve) => { server.close(() => resolve()) }) : undefined
    for (const socket of this.#sessions.keys()) socket.destroy()
    await Promise.all([closed, ...this.#sessions.values()])
  }

  #listen() {
    const { host, port, report, clock } = this.#o
    const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 }, (socket) => this.#admit(socket))
    this.#server = server
    server.once('error', (error: NodeJS.ErrnoException) => {
      server.close()
      if (this.#stopped) return
      // Once: it may be so for long.
      if (!this.#failed) report({ severity: 'error', name: 'wyoming.failed', code: 'CONFIG_INVALID', message: `${host}:${port}: ${error.message}; tried again every ${RETRY_MS / 1_000} s` })
      this.#failed = true
      this.#retry = clock.setTimeout(() => this.#listen(), RETRY_MS)
    })
    server.listen(port, host, () => {
      this.#failed = false
      const address = server.address() as AddressInfo
      report({ severity: 'info', name: 'wyoming.listening', message: `tcp://${host}:${address.port}`, data: { host, port: address.port } })
    })
  }

  #admit(socket: Socket) {
    socket.on('error', () => { /* the session sees the end of it */ })
    const { maxConnections, report } = this.#o
    if (this.#sessions.size >= maxConnections) {
      const held = this.#refusals.pass()
      if (held !== undefined) report({ severity: 'warning', name: 'wyoming.refused', code: 'BUSY', message: `more than ${maxConnections} connections`, data: { address: socket.remoteAddress ?? '', alsoRefused: held } })
      socket.end(encodeEvent({ type: 'error', data: { text: `more than ${maxConnections} connections`, code: 'BUSY' } }), () => socket.destroy())
      return
    }
    const throttled = (event: WyomingReport) => {
      const held = event.name === 'wyoming.refused' ? this.#refusals.pass() : 0
      if (held !== undefined) report(event)
    }
    this.#sessions.set(socket, new Session(socket, { ...this.#o, report: throttled }).run().finally(() => this.#sessions.delete(socket)))
  }
}
