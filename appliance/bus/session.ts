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

/** What aedes' clients have and its types do not tell. */
type Pausable = Client & { pause(): void; resume(): void }

const SESSION = Symbol('session')
/** Verdicts kept for each client; a client with more topics than that only pays for the look-up again. */
const CACHED_VERDICTS = 1000
/** Bytes waiting to be written to a client that floods and does not read: beyond this it is cut off. */
const MAX_UNREAD_BYTES = 1024 * 1024

/** Messages of one client that are on their way, in bytes and with so much for each: beyond this it is not read from. */
const MAX_UNDER_WAY_BYTES = 256 * 1024
const MESSAGE_BYTES = 512

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
  #underWayBytes = 0
  #paused = false
  #gathering = false
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

  /**
   * Counts a message that the broker has begun to carry, and stops reading while there is too much of it. aedes means
   * to do so by itself but reads on with every chunk that arrives: beside a frozen subscriber, 230 MB in half a second.
   * QoS 2 is not counted: a repeated message ends elsewhere, and aedes has a window for it.
   */
  took(packet: { qos: number; payload: Buffer | string }) {
    if (packet.qos === 2) return
    this.#underWayBytes += packet.payload.length + MESSAGE_BYTES
    if (this.#underWayBytes <= MAX_UNDER_WAY_BYTES || this.#paused) return
    this.#paused = true
    ;(this.client as Pausable).pause()
  }

  /** The message has been handed to everyone (or its payload, alone, is no longer held). */
  landed(packet: { qos: number; payload: Buffer | string }, overheadBytes = MESSAGE_BYTES) {
    if (packet.qos === 2) return
    this.#underWayBytes -= packet.payload.length + overheadBytes
    if (!this.#paused || this.#underWayBytes > MAX_UNDER_WAY_BYTES / 2) return
    this.#paused = false
    if (!this.client!.closed) (this.client as Pausable).resume()
  }

  /**
   * Gathers what is delivered to this client in one turn of the event loop into one write. aedes defers each delivery
   * with setImmediate and would make a system call of each, a third of all its time; two turns from here they are written.
   */
  gather() {
    if (this.#gathering) return
    this.#gathering = true
    this.connection.stream.cork()
    setImmediate(this.#nextTurn)
  }
  readonly #nextTurn = () => { setImmediate(this.#release) }
  readonly #release = () => {
    this.#gathering = false
    this.connection.stream.uncork()
  }

  /** Writes to the socket beside the broker: whole packets only. */
  write(packet: Buffer) {
    const { stream } = this.connection
    if (stream.destroyed || stream.writableEnded) return
    stream.write(packet)
    if (stream.writableLength > MAX_UNREAD_BYTES) stream.destroy()
  }
}
