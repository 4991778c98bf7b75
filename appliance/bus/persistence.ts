import AsyncPersistence from 'aedes-persistence/asyncPersistence.js'
import { Readable } from 'node:stream'
import type { PublishPacket } from 'aedes'
import { idOf, markOf, type PersistenceWatch } from './mesh/index.ts'

interface Stored extends Omit<PublishPacket, 'properties'> { brokerId?: string; brokerCounter?: number; sent?: Stored; properties?: object }
interface Who { id: string }
interface Sub { topic: string; qos: 0 | 1 | 2 }

/** Whether one packet is another on its way through the broker. */
const isOfBroker = (queued: Stored, { brokerId }: Stored) => brokerId !== undefined && queued.brokerId === brokerId
const isSame = (queued: Stored, { brokerCounter }: Stored) => brokerCounter === queued.brokerCounter || brokerCounter === queued.sent?.brokerCounter

/**
 * Sessions, queues and retained messages of the broker, in memory and bounded: aedes' own grows without limit with
 * every client that subscribed with clean=false and never came back, and keeps an entry for each client id it ever saw.
 */
export class BoundedPersistence extends AsyncPersistence {
  readonly #maxQueued: number
  readonly #maxRetained: number
  readonly #onOverflow: (clientId: string) => void
  readonly #retained = new Set<string>()
  readonly #outgoing = new Map<string, Stored[]>()
  readonly #watch: PersistenceWatch | undefined

  /** @param options.watch another node may have these sessions and messages too */
  constructor(options: { maxQueued: number; maxRetained: number; onOverflow(clientId: string): void; watch?: PersistenceWatch }) {
    super()
    this.#maxQueued = options.maxQueued
    this.#maxRetained = options.maxRetained
    this.#onOverflow = options.onOverflow
    this.#watch = options.watch
  }

  // aedes looks at the constructor of `setup` and insists on an async function.
  override async setup(broker: unknown) { await super.setup(broker) }

  /** False when `topic` would be one retained topic too many. */
  mayRetain(topic: string): boolean { return this.#retained.size < this.#maxRetained || this.#retained.has(topic) }

  override async storeRetained(packet: PublishPacket) {
    this.#watch?.retained(packet)
    if (packet.payload.length === 0) this.#retained.delete(packet.topic); else this.#retained.add(packet.topic)
    return super.storeRetained(packet)
  }

  /** Forgets a client that is not coming back. */
  async forget(clientId: string) {
    this.#outgoing.delete(clientId)
    await this.cleanSubscriptions({ id: clientId })
    await this.cleanIncoming({ id: clientId })
  }

  override async cleanSubscriptions(client: Who) {
    this.#outgoing.delete(client.id)
    return super.cleanSubscriptions(client)
  }

  override async addSubscriptions(client: Who, subs: Sub[]) {
    await super.addSubscriptions(client, subs)
    this.#watch?.subscribed(client.id)
  }

  override async removeSubscriptions(client: Who, topics: string[]) {
    await super.removeSubscriptions(client, topics)
    this.#watch?.subscribed(client.id)
  }

  /** Gives a session that another node has exactly these subscriptions; what waits in its queue stays. */
  async share(clientId: string, subs: readonly Sub[]) {
    const client = { id: clientId }
    await super.removeSubscriptions(client, (await super.subscriptionsByClient(client)).map(({ topic }) => topic))
    if (subs.length > 0) await super.addSubscriptions(client, subs.map(({ topic, qos }) => ({ topic, qos })))
  }

  /** What waits for a client and has a name in the realm. */
  queued(clientId: string): (Stored & { cmd: string })[] { return [...this.#outgoing.get(clientId) ?? []] }

  /** Drops what the client has acknowledged at another node. */
  unqueue(clientId: string, ids: ReadonlySet<string>) {
    const rest = this.#outgoing.get(clientId)?.filter((packet) => { const mark = markOf(packet); return !mark || !ids.has(idOf(mark.version)) })
    if (!rest) return
    if (rest.length > 0) this.#outgoing.set(clientId, rest); else this.#outgoing.delete(clientId)
  }

  #enqueue(clientId: string, packet: Stored) {
    if (this.#watch && !this.#watch.mayQueue(clientId, packet)) return
    let queue = this.#outgoing.get(clientId)
    if (!queue) this.#outgoing.set(clientId, queue = [])
    if (queue.length >= this.#maxQueued) { queue.shift(); this.#onOverflow(clientId) }
    const { cmd, topic, payload, qos, retain, dup, brokerId, brokerCounter } = packet
    // The counter is given anew when the packet is sent (see `inOrder`), so the packet itself is kept too.
    queue.push({ cmd, topic, payload, qos, retain, dup, brokerId, brokerCounter, messageId: undefined, sent: packet, ...(packet.properties ? { properties: packet.properties } : {}) })
  }

  override async outgoingEnqueue(sub: { clientId: string }, packet: Stored) { this.#enqueue(sub.clientId, packet) }
  /** Once for each client, however many of its subscriptions fit. */
  override async outgoingEnqueueCombi(subs: { clientId: string }[], packet: Stored) {
    for (const clientId of new Set(subs.map((sub) => sub.clientId))) this.#enqueue(clientId, packet)
  }

  /** Stores the message id under which a queued packet goes out, or (for PUBREC) replaces the packet of that id. */
  override async outgoingUpdate(client: Who, packet: Stored) {
    const queue = this.#outgoing.get(client.id)
    if (!queue) return
    const at = queue.findIndex((p) => isOfBroker(p, packet) ? isSame(p, packet) : p.messageId === packet.messageId)
    if (at < 0) return
    // Another subscription of the client wants less: nothing comes back for it.
    if (packet.cmd === 'publish' && packet.qos === 0) { this.#take(client.id, at); return }
    if (isOfBroker(queue[at]!, packet)) { queue[at]!.messageId = packet.messageId; queue[at]!.sent = undefined }
    else queue[at] = Object.assign(packet, queue[at]!.properties ? { properties: queue[at]!.properties } : {})
  }

  /**
   * A client has taken what went out under that id. Without an id it is a message that aedes does not send for a second
   * subscription of the client, as it has sent it for the first: a turn later it has its id and waits for the client, unless
   * it went out with QoS 0.
   */
  override async outgoingClearMessageId(client: Who, packet: Stored) {
    const { messageId } = packet
    if (messageId === undefined) await new Promise(setImmediate)
    const queue = this.#outgoing.get(client.id)
    const at = queue?.findIndex((p) => p.messageId === messageId && (messageId !== undefined || isOfBroker(p, packet) && isSame(p, packet))) ?? -1
    return at < 0 ? undefined : this.#take(client.id, at)
  }

  #take(clientId: string, at: number): Stored {
    const queue = this.#outgoing.get(clientId)!
    const [taken] = queue.splice(at, 1)
    if (queue.length === 0) this.#outgoing.delete(clientId)
    this.#watch?.taken(clientId, taken!)
    return taken!
  }

  override outgoingStream(client: Who) { return Readable.from([...this.#outgoing.get(client.id) ?? []]) }
}
