import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Client } from 'aedes'
import type { Clock } from '../contracts/clock.ts'
import type { Identity } from '../contracts/intents.ts'
import { Throttle, TokenBucket } from './limits.ts'
import type { Permissions, Verdict } from './permissions.ts'
import type { BusConfig } from '../config/schema.ts'

/** A connection as a listener hands it over. */
export interface Connection {
  stream: Duplex
  kind: 'mqtt' | 'websocket'
  address: string
  /** True when the other end is on this machine. */
  loopback: boolean
  /** The common name of a client certificate that our authority signed. */
  certificateName?: string
  request?: IncomingMessage
  /** To be called once the client is who it says: until then the connection is on a timer. */
  settled: () => void
}

const SESSION = Symbol('session')
/** Verdicts kept for each client; a client with more topics than that only pays for the look-up again. */
const CACHED_VERDICTS = 1000
/** Bytes waiting to be written to a client that floods and does not read: beyond this it is cut off. */
const MAX_UNREAD_BYTES = 1024 * 1024

/** Everything the bus knows about one connection. */
export class Session {
  readonly connection: Connection
  client: Client | undefined
  clientId = ''
  /** Set once authenticated. */
  identity: Identity | undefined
  /** Empty client id with clean=false: refused at authentication, where MQTT has a return code for it. */
  refusedId: string | undefined
  clean = true
  /** The name it authenticated with; empty for a client without one. */
  owner = ''
  readonly bucket: TokenBucket
  /** One event a second for each client, five at once. */
  readonly events: Throttle
  /** Individual answers to messages that were too fast. */
  readonly replies: Throttle
  /** Stops that were carried out at the socket and will pass the broker's own hook later. */
  stopsAhead = 0
  /** Messages dropped since the last collective TOO_FAST answer. */
  dropped = 0
  droppedTimer: ReturnType<Clock['setTimeout']> | undefined
  readonly #permissions: Permissions
  readonly #verdicts = new Map<string, Verdict>()

  constructor(connection: Connection, permissions: Permissions, limits: BusConfig['limits'], clock: Clock) {
    this.connection = connection
    this.#permissions = permissions
    this.bucket = new TokenBucket(limits.messagesPerSecond, limits.burst, clock.monoMs())
    this.events = new Throttle(clock, 1, 5)
    this.replies = new Throttle(clock, 100, 100)
  }

  static of(client: Client | null): Session | undefined { return (client as (Client & { [SESSION]?: Session }) | null)?.[SESSION] }
  attach(client: Client) { this.client = client; (client as Client & { [SESSION]?: Session })[SESSION] = this }

  /** What becomes of a message this client publishes on `topic`. */
  verdict(topic: string): Verdict {
    let verdict = this.#verdicts.get(topic)
    if (!verdict) {
      verdict = this.identity ? this.#permissions.publish({ role: this.identity.role, name: this.identity.client, clientId: this.clientId }, topic) : { code: 'UNAUTHORISED' as const }
      if (this.#verdicts.size >= CACHED_VERDICTS) this.#verdicts.clear()
      this.#verdicts.set(topic, verdict)
    }
    return verdict
  }

  /** Writes to the socket beside the broker: whole packets only. */
  write(packet: Buffer) {
    const { stream } = this.connection
    if (stream.destroyed || stream.writableEnded) return
    stream.write(packet)
    if (stream.writableLength > MAX_UNREAD_BYTES) stream.destroy()
  }
}
