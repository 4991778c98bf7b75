import { randomBytes } from 'node:crypto'
import type { Clock } from '../../contracts/clock.ts'
import { PROTOCOL_VERSION } from '../../contracts/envelope.ts'
import type { Identity } from '../../contracts/intents.ts'
import { topicsOf, type Topics } from '../../contracts/topics.ts'
import { carries } from './carries.ts'
import { Clients, type ClientEntry } from './clients.ts'
import { markOf, marked, type Mark } from './mark.ts'
import type { BrokerSide, Item, PersistenceWatch, Publish, Qos } from './port.ts'
import { Queues } from './queues.ts'
import { RetainedVersions } from './retained.ts'
import { VersionClock, type Version } from './version.ts'

export { ClientEntry } from './clients.ts'
export { markOf, marked } from './mark.ts'
export type { BrokerSide, Item, Message, PersistenceWatch, Publish, Queued } from './port.ts'
export { idOf, MAX_TIME_US, type Version } from './version.ts'

interface Packet { topic: string; payload: Buffer | string; qos: Qos; retain: boolean; clientId?: string }
export interface Connected { client: string; owner: string; clean: boolean; will?: { topic: string; payload: Buffer; qos: Qos; retain: boolean } | undefined }

/**
 * The bus's side of one bus over all nodes of a realm: what of it is for the others, and what becomes here of what they
 * tell. Each message is carried once, by the node where it was published. Whoever moves the items between nodes is
 * beyond this (realm/bus): in order, none twice.
 */
export class Mesh implements PersistenceWatch {
  readonly node: string
  readonly #versions: VersionClock
  readonly #topics: Topics
  readonly #listeners = new Set<(item: Item, to: string | '*') => void>()
  readonly #watchers = new Set<() => void>()
  /** Nodes that are not there, as seen from here. */
  readonly #lost = new Set<string>()
  readonly #changedSubscriptions = new Set<string>()
  readonly #queues: Queues
  #retained = new RetainedVersions()
  #clients = new Clients()
  #broker: BrokerSide | undefined
  #session = ''
  #hasMet = false
  #identityOf: (client: string) => Identity | undefined = () => undefined

  constructor({ node, realm, clock }: { node: string; realm: string; clock: Clock }) {
    this.node = node
    this.#versions = new VersionClock(clock, node)
    this.#topics = topicsOf(realm)
    this.#queues = new Queues(clock, (item, to) => this.#tell(item, to))
  }

  /** The broker has started, with nothing retained and no sessions. */
  attach(broker: BrokerSide, identityOf: (client: string) => Identity | undefined): void {
    this.#retained = new RetainedVersions()
    this.#clients = new Clients()
    this.#hasMet = false
    this.#session = randomBytes(8).toString('hex')
    this.#broker = broker
    this.#identityOf = identityOf
    for (const node of this.#lost) this.#coverState(node)
    for (const watcher of this.#watchers) watcher()
  }

  detach(): void {
    this.#broker = undefined
    this.#queues.clear()
    for (const watcher of this.#watchers) watcher()
  }

  /** Of this start of the broker; undefined while it does not run. */
  get session(): string | undefined { return this.#broker && this.#session }
  /** The time of this node, to be told to whoever is met. */
  get nowUs(): number { return this.#versions.nowUs }
  /** Called when the broker has started or stops; returns what stops it. */
  onRunning(watcher: () => void): () => void { this.#watchers.add(watcher); return () => { this.#watchers.delete(watcher) } }
  /** Hears what is for the other nodes; returns what stops it. */
  onItem(listener: (item: Item, to: string | '*') => void): () => void { this.#listeners.add(listener); return () => { this.#listeners.delete(listener) } }

  // What the bus tells.

  /** The broker gives a packet to its subscribers. */
  emitted(packet: object): void {
    const { topic, payload, qos, retain, clientId } = packet as Packet
    if (!this.#broker || this.#listeners.size === 0 || !carries(this.#topics, topic)) return
    const { version, stays } = this.#stamp(packet)
    if (stays) return
    const identity = clientId === undefined ? undefined : this.#identityOf(clientId)
    this.#tell({ kind: 'publish', version, topic, payload: Buffer.isBuffer(payload) ? payload : Buffer.from(payload), qos, retain, ...(identity ? { identity } : {}) })
  }

  retained(packet: object): void {
    const { topic, payload, qos } = packet as Packet
    if (!carries(this.#topics, topic)) return
    const { version, stays } = this.#stamp(packet)
    if (!stays) this.#retained.write(topic, { version, payload: Buffer.from(payload as Buffer), qos })
  }

  mayQueue(client: string, packet: object): boolean {
    return !carries(this.#topics, (packet as Packet).topic) || this.#isMissing(client, this.#stamp(packet))
  }

  /** False: the client has it from elsewhere, or it waits for it as another node has handed it over. */
  mayForward(client: string, packet: object): boolean {
    const mark = markOf(packet)
    return mark === undefined || this.#isMissing(client, mark)
  }

  taken(client: string, packet: object): void {
    const mark = markOf(packet)
    if (mark && this.#clients.get(client)?.clean === false) this.#queues.acknowledge(client, mark.version)
  }

  subscribed(client: string): void {
    if (this.#changedSubscriptions.size === 0) setImmediate(() => { void this.#tellSubscriptions() })
    this.#changedSubscriptions.add(client)
  }

  connected({ client, owner, clean, will }: Connected): void {
    const before = this.#clients.get(client)
    this.#share({
      client, version: this.#versions.next(), node: this.node, session: this.#session, online: true, clean, owner, subs: clean || before?.clean !== false ? [] : before.subs,
      ...(will ? { will: { ...will, payload: will.payload.toString('base64') } } : {}),
    })
    if (!clean) this.subscribed(client)
  }

  disconnected(client: string): void {
    const entry = this.#clients.get(client)
    if (entry?.node !== this.node || !entry.online) return
    const { will: _, ...rest } = entry
    this.#share({ ...rest, version: this.#versions.next(), online: false, ...(entry.clean ? { gone: true } : {}) })
  }

  /** This node keeps too many sessions: nobody keeps this one any more. */
  evicted(client: string): void {
    const entry = this.#clients.get(client)
    this.#queues.forget(client)
    if (entry) this.#share({ ...entry, version: this.#versions.next(), online: false, gone: true })
  }

  /** The name of whoever has this client id at another node, or has a lasting session under it. */
  ownerOf(client: string): string | undefined {
    const entry = this.#clients.get(client)
    return entry && (!entry.clean || this.isElsewhere(client)) ? entry.owner : undefined
  }

  /** Connected at another node that is there. */
  isElsewhere(client: string): boolean {
    const entry = this.#clients.get(client)
    return entry !== undefined && entry.online && entry.node !== this.node && !this.#lost.has(entry.node)
  }

  /** What is known of a client's session, wherever it is. */
  client(client: string): Readonly<ClientEntry> | undefined { return this.#clients.get(client) }

  // What other nodes tell.

  /** Another node's time. The first time, what was said here so far is made newer than what the others remember. */
  meet(nowUs: number): void {
    const isBehind = !this.#hasMet && this.#versions.isBehind(nowUs)
    this.#hasMet = true
    this.#versions.seen(nowUs)
    if (!isBehind) return
    this.#retained.restamp(this.node, () => this.#versions.next())
    for (const entry of this.#clients.onlineAt(this.node)) this.#clients.set({ ...entry, version: this.#versions.next() })
  }

  /** A node is not there (any more). */
  lost(node: string): void {
    if (this.#lost.has(node)) return
    this.#lost.add(node)
    if (!this.#broker) return
    this.#coverState(node)
    for (const entry of this.#clients.onlineAt(node)) this.#mourn(entry, true)
  }

  /** A node is there. Of another session, its broker was started anew: who was connected there is not any more. */
  back(node: string, session: string): void {
    const wasLost = this.#lost.delete(node)
    const broker = this.#broker
    if (!broker) return
    for (const { topic, payload, qos } of this.#retained.uncover(node, session)) this.#publishHere(topic, payload, qos, true)
    this.#retained.settle(node)
    for (const entry of this.#clients.onlineAt(node)) {
      if (entry.session !== session) { this.#disconnect(entry); continue }
      // A handler without a will was gone, but has nothing that was uncovered.
      const topic = this.#topics.handlerOffer(entry.client)
      const offer = this.#retained.visible(topic)
      if (wasLost && offer && offer.length > 0) broker.carried(topic, offer, undefined)
    }
  }

  /** A node that is no member any more will not come back. */
  left(node: string): void {
    this.lost(node)
    this.#lost.delete(node)
    this.#retained.settle(node)
    for (const entry of this.#clients.onlineAt(node)) this.#disconnect(entry)
  }

  /** `done` when its subscribers here have it. */
  take(from: string, item: Item, done: () => void): void {
    if (!this.#broker) { done(); return }
    switch (item.kind) {
      case 'publish': this.#takePublish(item, done); return
      case 'client': this.#takeClient(item.entry); break
      case 'acknowledged': {
        this.#queues.acknowledgedElsewhere(item.client, item.ids)
        this.#broker.unqueue(item.client, new Set(item.ids))
        break
      }
      case 'queued': {
        const { client, ...message } = item
        const isOwed = from !== this.node && !this.#queues.isAcknowledged(client, item.version) && this.#clients.get(client)?.clean === false
        if (isOwed && this.#broker.deliver(client, message)) this.#queues.handed(client, item.version)
      }
    }
    done()
  }

  /** What a node must know that knows nothing: sessions, to go before everything else, and what is retained. */
  snapshot(): { clients: Item[]; retained: Item[] } {
    // What others answer for, they tell themselves.
    const clients = this.#clients.all().filter((entry) => entry.node === this.node || this.#lost.has(entry.node) || !entry.online)
    return {
      clients: [...clients.map((entry) => ({ kind: 'client' as const, entry })), ...this.#queues.remembered()],
      retained: [...this.#retained.all()].map(({ topic, version, payload, qos }) => ({ kind: 'publish', version, topic, payload, qos, retain: true })),
    }
  }

  /** What was last retained on a topic, at whichever node; empty where it was deleted. */
  last(topic: string): { version: Version; payload: Buffer } | undefined { return this.#retained.last(topic) }

  /** The same at all nodes that agree on what is retained. */
  digest(): string { return this.#retained.digest() }

  #takePublish({ version, topic, payload, qos, retain, identity }: Publish, done: () => void): void {
    this.#versions.seen(version.t)
    if (!carries(this.#topics, topic)) { done(); return }
    if (retain && !this.#broker!.mayRetain(topic)) retain = false
    if (retain && !this.#retained.offer(topic, { version, payload, qos })) { done(); return }
    this.#broker!.publish({ topic, payload, qos, retain, version }, done)
    this.#carried(topic, payload, identity)
  }

  #takeClient(entry: ClientEntry): void {
    const broker = this.#broker!
    const { client, version, node, online, clean, owner, subs, gone } = entry
    this.#versions.seen(version.t)
    const before = this.#clients.get(client)
    const isHere = before !== undefined && before.online && before.node === this.node
    if (isHere && (!online || node === this.node)) { this.#share({ ...before, version: this.#versions.next() }); return }
    if (!this.#clients.offer(entry)) return
    if (isHere) broker.close(client, node)
    if (gone || clean) { this.#queues.forget(client); broker.forget(client) } else broker.share(client, owner, subs)
    if (!online) { if (before?.online && !isHere) broker.gone(client); return }
    if (this.#lost.has(node)) this.#mourn(entry, false)
    else if (!clean && node !== this.node) this.#handOver(client, node)
  }

  /** A client that was connected at a node that is lost: its will is done. `isNews`: the node was there a moment ago. */
  #mourn({ client, node, session, version, will }: ClientEntry, isNews: boolean): void {
    const broker = this.#broker!
    if (will?.topic === this.#topics.stop) {
      if (isNews) broker.stop(`will of MQTT client ${client} of node ${node}, which is lost`)
    } else if (will) {
      const payload = Buffer.from(will.payload, 'base64')
      if (will.retain ? this.#retained.cover(will.topic, { node, session, payload, version: { t: version.t + 1, n: node } }) : isNews) this.#publishHere(will.topic, payload, will.qos, will.retain)
    }
    broker.gone(client)
  }

  /** All nodes conclude so by themselves: nothing is told, the version stays. */
  #disconnect({ will: _, ...entry }: ClientEntry): void {
    this.#clients.set({ ...entry, online: false, ...(entry.clean ? { gone: true } : {}) })
    this.#broker?.gone(entry.client)
  }

  /** Each node says for its own clients that another is lost, as it sees it itself. */
  #coverState(node: string): void {
    const topic = this.#topics.nodeState(node)
    const payload = Buffer.from(JSON.stringify({ v: PROTOCOL_VERSION, node, online: false }))
    if (this.#retained.cover(topic, { node, session: undefined, payload, version: { t: 1, n: node } })) this.#publishHere(topic, payload, 1, true)
  }

  #publishHere(topic: string, payload: Buffer, qos: Qos, retain: boolean): void {
    this.#broker!.publish({ topic, payload, qos, retain, version: this.#versions.next() }, () => {})
    this.#carried(topic, payload, undefined)
  }

  /** A handler's offer counts while the handler is there: what is retained may be of one that is not. */
  #carried(topic: string, payload: Buffer, identity: Identity | undefined): void {
    const handler = /\/handler\/([^/]+)\/offer$/.exec(topic)?.[1]
    if (handler !== undefined && payload.length > 0 && !this.isElsewhere(handler)) return
    this.#broker!.carried(topic, payload, identity)
  }

  #isMissing(client: string, { version, handed }: Mark): boolean {
    return !this.#queues.isAcknowledged(client, version) && (handed === true || !this.#queues.isHanded(client, version))
  }

  #handOver(client: string, node: string): void {
    this.#queues.handOver(client, node, () => {
      const entry = this.#clients.get(client)
      return entry?.node === node && entry.online && !this.#lost.has(node) ? this.#broker?.queued(client) ?? [] : []
    })
  }

  #share(entry: ClientEntry): void {
    this.#clients.set(entry)
    this.#tell({ kind: 'client', entry })
  }

  async #tellSubscriptions(): Promise<void> {
    const clients = [...this.#changedSubscriptions]
    this.#changedSubscriptions.clear()
    for (const client of clients) {
      const subs = await this.#broker?.subscriptions(client)
      const entry = this.#clients.get(client)
      if (!subs || entry?.node !== this.node || entry.clean || JSON.stringify(entry.subs) === JSON.stringify(subs)) continue
      this.#share({ ...entry, version: this.#versions.next(), subs })
    }
  }

  #tell(item: Item, to: string | '*' = '*'): void { for (const listener of this.#listeners) listener(item, to) }

  #stamp(packet: object): Mark {
    const there = markOf(packet)
    if (there) return there
    const mark: Mark = { version: this.#versions.next() }
    marked(packet, mark)
    return mark
  }
}
