import type { Bus } from '../../bus/index.ts'
import { Mesh } from '../../bus/mesh/index.ts'
import type { Clock } from '../../contracts/clock.ts'
import type { Hub } from '../../contracts/hub.ts'
import { topicsOf, type Topics } from '../../contracts/topics.ts'
import type { EmergencyStop } from '../../guard/emergency-stop.ts'
import type { Membership } from '../membership.ts'
import type { Peers } from '../peers/port.ts'
import { RealmBus } from './realm-bus.ts'
import { RealmStop } from './stop.ts'

export interface OneBusOptions { membership: Membership; peers: Peers; clock: Clock; hub: Hub; stop: EmergencyStop; maxQueueBytes?: number }

/**
 * What a node of a realm has beside its own bus and stop path. Stops of other nodes are carried out from `start` on,
 * long before there is a bus; the bus joins before it starts. To be stopped after the bus.
 */
export class OneBus {
  /** For the bus. */
  readonly mesh: Mesh
  readonly #o: OneBusOptions
  readonly #topics: Topics
  readonly #stops: RealmStop
  #bus: Bus | undefined
  #realmBus: RealmBus | undefined

  constructor(options: OneBusOptions) {
    const { membership: { node, realm }, peers, clock, hub, stop } = options
    this.#o = options
    this.#topics = topicsOf(realm)
    this.mesh = new Mesh({ node, realm, clock })
    this.#stops = new RealmStop({ stop, peers, clock, hub, onHeard: (from, reason) => this.#bus?.publish(this.#topics.stop, { node: from, reason }) })
  }

  start(): void { this.#stops.start() }

  join(bus: Bus): void {
    const { membership, peers, clock, hub, maxQueueBytes } = this.#o
    this.#bus = bus
    this.#realmBus = new RealmBus({
      mesh: this.mesh, peers, clock, hub, topics: this.#topics, listeners: () => bus.addresses(),
      self: () => ({ role: membership.role, host: membership.self?.host ?? '127.0.0.1' }),
      publish: (topic, payload, how) => bus.publish(topic, payload, how), ...(maxQueueBytes === undefined ? {} : { maxQueueBytes }),
    })
    this.#realmBus.start()
  }

  /** What waits for each of the other nodes. */
  stats(): ReturnType<RealmBus['stats']> { return this.#realmBus?.stats() ?? [] }

  /** Stopping twice is fine. */
  stop(): void {
    this.#stops.stop()
    this.#realmBus?.stop()
  }
}
