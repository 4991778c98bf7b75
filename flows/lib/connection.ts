import type { Socket } from 'node:net'
import mqtt, { type MqttClient } from 'mqtt'
import { MtorError } from '../../appliance/contracts/errors.ts'
import { topicMatches } from '../../appliance/contracts/topics.ts'
import type { ConnectionSettings } from './settings.ts'

export interface Received { topic: string; payload: Buffer; retained: boolean }
type Listener = (message: Received) => void
const CLOSE_MS = 1500
const ACK_MS = 10_000
/** What the appliance takes at the most unless configured otherwise (bus.limits.maxPacketBytes); beyond that it hangs up. */
const MAX_BYTES = 65_000

/**
 * One MQTT connection that many nodes share. It subscribes again by itself after every break; the broker keeps the
 * session meanwhile, so that an answer which falls into a short break is not lost.
 */
export class Connection {
  readonly settings: ConnectionSettings
  readonly #will: { topic: string; payload: string }
  readonly #filters = new Map<string, Set<Listener>>()
  readonly #states = new Set<() => void>()
  #client: MqttClient | undefined
  /** Message ids that the broker has not acknowledged. */
  readonly #underWay = new Set<number>()
  #ready = false
  #trouble: string | undefined

  constructor(settings: ConnectionSettings, will: { topic: string; payload: unknown }) {
    this.settings = settings
    this.#will = { topic: will.topic, payload: JSON.stringify(will.payload) }
  }

  /** True once connected and subscribed to all that was asked for. */
  get ready() { return this.#ready }
  /** Why it is not connected, as far as that is known. */
  get trouble() { return this.#trouble }

  /** Called at every change of `ready` and `trouble`. */
  onState(listener: () => void): () => void {
    this.#states.add(listener)
    return () => { this.#states.delete(listener) }
  }

  start(): void {
    if (this.#client) return
    const { url, options } = this.settings
    const client = this.#client = mqtt.connect(url, {
      ...options, protocolVersion: 4, clean: false, resubscribe: false, queueQoSZero: false, reconnectOnConnackError: true, connectTimeout: 10_000,
      will: { topic: this.#will.topic, payload: Buffer.from(this.#will.payload), qos: 1, retain: false },
    })
    client.on('connect', () => { void this.#connected(client) })
    client.on('close', () => {
      // What is sent again after a break is for those who sent it to decide, not for the client's own store.
      for (const id of [...this.#underWay]) client.removeOutgoingMessage(id)
      this.#change(false, this.#trouble)
    })
    client.on('error', (error) => { this.#change(this.#ready, error.message || String((error as { code?: unknown }).code)) })
    client.on('message', (topic, payload, { retain }) => { this.#heard({ topic, payload, retained: retain }) })
  }

  async #connected(client: MqttClient): Promise<void> {
    // Else Nagle's algorithm and the delayed acknowledgement make every small exchange take 40 ms.
    ;(client.stream as Partial<Socket>).setNoDelay?.(true)
    const filters = [...this.#filters.keys()]
    try {
      if (filters.length > 0) await this.#subscribe(client, filters)
      if (client.connected) this.#change(true, undefined)
    } catch (error) {
      // A broken connection comes back by itself; a refused filter has been told.
      if (client.connected) this.#change(true, (error as Error).message)
    }
  }

  async #subscribe(client: MqttClient, filters: string[]): Promise<void> {
    const granted = await client.subscribeAsync(filters, { qos: 1 })
    const refused = granted.filter(({ qos }) => qos === 128).map(({ topic }) => topic)
    if (refused.length > 0) throw new MtorError('UNAUTHORISED', `the appliance does not let this identity subscribe to ${refused.join(', ')}`)
  }

  #change(ready: boolean, trouble: string | undefined): void {
    if (ready === this.#ready && trouble === this.#trouble) return
    this.#ready = ready
    this.#trouble = trouble
    for (const listener of [...this.#states]) listener()
  }

  #heard(message: Received): void {
    let wanted = false
    for (const [filter, listeners] of this.#filters) {
      if (!topicMatches(filter, message.topic)) continue
      wanted = true
      for (const listener of [...listeners]) listener(message)
    }
    // Left over in the session from an earlier life of this process.
    if (!wanted) this.#client?.unsubscribe(message.topic, () => {})
  }

  /**
   * Listens from now on. A retained message comes again for everybody who listens to the filter whenever somebody joins.
   * @returns `there`: resolves once the broker has it (at once while there is no connection: it follows with that)
   */
  subscribe(filter: string, listener: Listener): { there: Promise<void>; off: () => void } {
    const listeners = this.#filters.get(filter) ?? new Set()
    this.#filters.set(filter, listeners.add(listener))
    const there = this.#ready ? this.#subscribe(this.#client!, [filter]) : Promise.resolve()
    there.catch(() => {})
    return {
      there,
      off: () => {
        if (!listeners.delete(listener) || listeners.size > 0) return
        this.#filters.delete(filter)
        if (this.#ready) this.#client!.unsubscribe(filter, () => {})
      },
    }
  }

  /** Resolves once the appliance has acknowledged it. @throws MtorError NOT_RUNNING without a connection, or where it ends before; TOO_LARGE */
  async publish(topic: string, payload: unknown, options: { retain?: boolean } = {}): Promise<void> {
    const text = encoded(payload)
    const client = this.#client
    if (!client?.connected) throw new MtorError('NOT_RUNNING', `no connection to ${this.settings.url}${this.#trouble ? `: ${this.#trouble}` : ''}`)
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new MtorError('NOT_RUNNING', `${this.settings.url} did not acknowledge ${topic} within ${ACK_MS} ms`)), ACK_MS)
      client.publish(topic, text, { qos: 1, retain: options.retain ?? false }, (error) => {
        clearTimeout(late)
        this.#underWay.delete(id)
        if (error) reject(new MtorError('NOT_RUNNING', error.message, { cause: error })); else resolve()
      })
      const id = client.getLastMessageId()
      this.#underWay.add(id)
    })
  }

  /** Says goodbye; without a network within a second or two all the same. */
  async stop(): Promise<void> {
    const client = this.#client
    if (!client) return
    this.#client = undefined
    this.#filters.clear()
    this.#change(false, undefined)
    await new Promise<void>((resolve) => {
      const late = setTimeout(() => { client.end(true); resolve() }, CLOSE_MS)
      client.end(!client.connected, {}, () => { clearTimeout(late); resolve() })
    })
  }
}

/** As it goes over the wire. @throws MtorError TOO_LARGE */
export function encoded(payload: unknown): string {
  const text = payload === undefined ? '' : JSON.stringify(payload)
  const bytes = Buffer.byteLength(text)
  if (bytes > MAX_BYTES) throw new MtorError('TOO_LARGE', `a message of ${bytes} bytes: the appliance takes ${MAX_BYTES}; send a reference instead, such as the name of a file`)
  return text
}
