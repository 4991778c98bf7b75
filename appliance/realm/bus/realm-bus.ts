import type { Address } from '../../bus/listeners.ts'
import { Throttle } from '../../bus/limits.ts'
import type { Mesh } from '../../bus/mesh/index.ts'
import type { Clock, Timer } from '../../contracts/clock.ts'
import { PROTOCOL_VERSION } from '../../contracts/envelope.ts'
import type { NodeAddress, RealmNodes } from '../../contracts/realm.ts'
import type { Hub } from '../../contracts/hub.ts'
import type { Topics } from '../../contracts/topics.ts'
import type { NodeRole } from '../list.ts'
import type { Peers } from '../peers/port.ts'
import { BusLink } from './link.ts'
import { addressesFor } from './nodes.ts'

const CHANNEL = 'bus'
const TICK_MS = 500
const SPLIT_ADDRESS = /^\[?(.*?)\]?:(\d+)$/

export interface RealmBusOptions {
  mesh: Mesh
  peers: Peers
  clock: Clock
  hub: Hub
  topics: Topics
  /** The listeners of this node's broker. */
  listeners(): Address[]
  /** What the member list says of this node. */
  self(): { role: NodeRole; host: string }
  publish(topic: string, payload: unknown, options: { retain: boolean; qos: 1 }): void
  /** Of what waits for one node. */
  maxQueueBytes?: number
}

/**
 * One bus over all nodes: moves what the brokers of the realm tell each other (bus/mesh) over the links between nodes,
 * and tells clients which nodes there are. Nobody waits for another node: what it does not take is queued for it alone,
 * and the queue is bounded.
 */
export class RealmBus {
  readonly #o: RealmBusOptions
  readonly #links = new Map<string, BusLink>()
  readonly #online = new Set<string>()
  readonly #complaints: Throttle
  #off: (() => void)[] = []
  #timer: Timer | undefined
  #lastNodes = ''
  #lastAddresses = '[]'

  constructor(options: RealmBusOptions) {
    this.#o = options
    this.#complaints = new Throttle(options.clock, 0.2, 5)
  }

  /** To be started before the broker and stopped after it: so its last words reach the others. */
  start(): void {
    if (this.#timer) return
    const { mesh, peers } = this.#o
    this.#off = [
      mesh.onItem((item, to) => {
        if (to !== '*') { this.#links.get(to)?.push(item); return }
        for (const link of this.#links.values()) link.push(item)
      }),
      mesh.onRunning(() => { this.#lastNodes = ''; if (mesh.session !== undefined) queueMicrotask(() => this.#greetAll()) }),
      peers.on(CHANNEL, (from, message) => this.#link(from).take(message)),
      peers.onChange(() => this.#follow()),
    ]
    this.#follow()
    this.#tick()
  }

  stop(): void {
    for (const off of this.#off.splice(0)) off()
    this.#o.clock.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#links.clear()
    this.#online.clear()
  }

  /** What waits for each node. */
  stats(): { node: string; isUp: boolean; bytes: number; waiting: number; unacknowledged: number }[] {
    return [...this.#links].map(([node, link]) => ({ node, isUp: link.isUp, ...link.queue }))
  }

  #greetAll(): void {
    this.#follow()
    for (const node of this.#online) this.#links.get(node)?.greet()
    this.#tellNodes()
  }

  #follow(): void {
    const { mesh, peers } = this.#o
    const list = peers.list()
    for (const { node, online } of list) {
      const link = this.#link(node)
      if (!online) {
        this.#online.delete(node)
        link.down()
        mesh.lost(node)
      } else if (!this.#online.has(node)) {
        this.#online.add(node)
        // Not there until it has greeted: only then is known whether it is the same as before.
        link.greet()
      }
    }
    for (const node of [...this.#links.keys()]) {
      if (list.some((peer) => peer.node === node)) continue
      this.#links.delete(node)
      this.#online.delete(node)
      mesh.left(node)
    }
    this.#tellNodes()
  }

  #link(node: string): BusLink {
    let link = this.#links.get(node)
    if (!link) {
      const { mesh, peers, clock, hub, listeners, self, maxQueueBytes } = this.#o
      link = new BusLink({
        self: mesh.node, node, clock, maxQueueBytes: maxQueueBytes ?? 8 * 1024 * 1024,
        session: () => mesh.session, nowUs: () => mesh.nowUs, addresses: () => addressesFor(listeners(), self().host),
        send: (message) => peers.send(node, CHANNEL, message),
        snapshot: () => mesh.snapshot(),
        onMet: (timeUs, session) => { mesh.meet(timeUs); mesh.back(node, session); queueMicrotask(() => this.#tellNodes()) },
        onItem: (item, done) => mesh.take(node, item, done),
        report: (name, { code, message }, data) => {
          const leftOut = this.#complaints.pass()
          // On the next turn: the event itself goes into these queues.
          if (leftOut !== undefined) setImmediate(() => hub.system({ severity: 'warning', component: 'bus', name, code, message, data: { node, ...data, ...(leftOut > 0 ? { leftOut } : {}) } }))
        },
      })
      this.#links.set(node, link)
      mesh.lost(node)
    }
    return link
  }

  #tick(): void {
    const { mesh, clock, listeners } = this.#o
    this.#timer = clock.setTimeout(() => {
      const addresses = mesh.session === undefined ? this.#lastAddresses : JSON.stringify(listeners())
      for (const node of this.#online) {
        const link = this.#links.get(node)!
        if (!link.isUp) link.greet()
        else if (addresses !== this.#lastAddresses) link.greet(true)
      }
      if (addresses !== this.#lastAddresses) { this.#lastAddresses = addresses; this.#tellNodes() }
      for (const link of this.#links.values()) link.tick()
      this.#tick()
    }, TICK_MS)
  }

  /** To the clients of this node, whenever it has changed. */
  #tellNodes(): void {
    const { mesh, peers, hub, topics, listeners, self, publish } = this.#o
    if (mesh.session === undefined) return
    const own = self()
    const nodes: RealmNodes['nodes'] = [
      { node: mesh.node, online: true, role: own.role, addresses: addressesFor(listeners(), own.host) },
      ...peers.list().map(({ node, role, online, address }) => ({ node, online, role, addresses: this.#links.get(node)?.addresses.map((each) => reached(each, address)) ?? [] })),
    ].sort((a, b) => a.node < b.node ? -1 : 1)
    const text = JSON.stringify(nodes)
    if (text === this.#lastNodes) return
    this.#lastNodes = text
    publish(topics.realmNodes, { v: PROTOCOL_VERSION, at: hub.now(), node: mesh.node, nodes } satisfies RealmNodes, { retain: true, qos: 1 })
  }
}

/** A node that gives no host of its own is reached where we reach it. */
function reached(address: NodeAddress, peerAddress: string): NodeAddress {
  return address.host === '0.0.0.0' || address.host === '::' ? { ...address, host: SPLIT_ADDRESS.exec(peerAddress)?.[1] ?? address.host } : address
}
