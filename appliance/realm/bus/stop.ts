import { randomBytes } from 'node:crypto'
import Type, { type Static } from 'typebox'
import type { Clock, Timer } from '../../contracts/clock.ts'
import { NodeName } from '../../contracts/envelope.ts'
import type { Hub } from '../../contracts/hub.ts'
import { validator } from '../../contracts/validate.ts'
import type { EmergencyStop } from '../../guard/emergency-stop.ts'
import type { Peers } from '../peers/port.ts'

const CHANNEL = 'stop'
/** Said again until it was answered, or for so long. */
const REPEAT_MS = 50
const GIVE_UP_MS = 2_000
const REMEMBERED = 1_000
const MAX_REASON = 300

const Order = Type.Object({ id: Type.String({ maxLength: 128 }), node: NodeName, reason: Type.String({ maxLength: 1_000 }) })
type Order = Static<typeof Order>
const Answer = Type.Object({ done: Type.String({ maxLength: 128 }) })
const order = validator(Order), answer = validator(Answer)

interface Pending { order: Order; to: string; sinceMs: number; timer?: Timer }

export interface RealmStopOptions {
  stop: EmergencyStop
  peers: Peers
  clock: Clock
  hub: Hub
  /** A stop of another node was carried out here: tells the clients of this one. */
  onHeard?(node: string, reason: string): void
}

/**
 * A stop at one node is a stop at all of them: straight from stop path to stop path over the links between nodes, before
 * everything else there, with no broker, no journal and no consensus in between. Every node passes it on once, so that
 * it also gets to where only a third node can reach.
 */
export class RealmStop {
  readonly #o: RealmStopOptions
  readonly #seen = new Set<string>()
  readonly #pending = new Map<string, Pending>()
  readonly #run = randomBytes(6).toString('hex')
  #count = 0
  #off: (() => void) | undefined
  #isAdded = false
  /** The order that is being carried out just now: what it triggers here is the same stop, not a new one. */
  #current: { order: Order; from: string } | undefined

  constructor(options: RealmStopOptions) { this.#o = options }

  start(): void {
    if (this.#off) return
    const { stop, peers } = this.#o
    this.#off = peers.on(CHANNEL, (from, message) => this.#take(from, message))
    if (this.#isAdded) return
    this.#isAdded = true
    stop.addRelay((reason) => this.#spread(reason))
  }

  stop(): void {
    this.#off?.()
    this.#off = undefined
    for (const { timer } of this.#pending.values()) this.#o.clock.clearTimeout(timer)
    this.#pending.clear()
  }

  #spread(reason: string): void {
    if (!this.#off) return
    const { peers, clock } = this.#o
    const told = this.#current?.order ?? { id: `${peers.self}.${this.#run}.${++this.#count}`, node: peers.self, reason: reason.slice(0, MAX_REASON) }
    this.#remember(told.id)
    for (const { node } of peers.list()) {
      if (node === told.node || node === this.#current?.from) continue
      const pending: Pending = { order: told, to: node, sinceMs: clock.monoMs() }
      this.#pending.set(`${told.id} ${node}`, pending)
      this.#say(pending)
    }
  }

  #say(pending: Pending): void {
    const { peers, clock, hub } = this.#o
    const { order: { id, node, reason }, to, sinceMs } = pending
    if (clock.monoMs() - sinceMs >= GIVE_UP_MS) {
      this.#pending.delete(`${id} ${to}`)
      const isOnline = peers.list().some((peer) => peer.node === to && peer.online)
      hub.system({ severity: isOnline ? 'critical' : 'warning', component: 'guard', name: 'stop.unconfirmed', code: 'NODE_UNREACHABLE', message: `${to} has not confirmed the stop within ${GIVE_UP_MS} ms`, data: { node: to, reason } })
      return
    }
    pending.timer = clock.setTimeout(() => this.#say(pending), REPEAT_MS)
    peers.send(to, CHANNEL, { id, node, reason })
  }

  #take(from: string, message: unknown): void {
    const { clock, hub } = this.#o
    if (answer.check(message)) {
      const key = `${message.done} ${from}`
      const pending = this.#pending.get(key)
      if (!pending) return
      this.#pending.delete(key)
      clock.clearTimeout(pending.timer)
      hub.system({ severity: 'info', component: 'guard', name: 'stop.confirmed', message: `${from} has stopped`, data: { node: from, ms: Math.round((clock.monoMs() - pending.sinceMs) * 100) / 100 } })
      return
    }
    const heard = order.assert(message, 'MALFORMED', 'stop')
    if (heard.node !== this.#o.peers.self && !this.#seen.has(heard.id)) this.#obey(from, heard)
    this.#o.peers.send(from, CHANNEL, { done: heard.id })
  }

  #obey(from: string, heard: Order): void {
    this.#remember(heard.id)
    this.#current = { order: heard, from }
    try { this.#o.stop.trigger(`${heard.reason}, at node ${heard.node}`) } finally { this.#current = undefined }
    this.#o.onHeard?.(heard.node, heard.reason)
  }

  #remember(id: string): void {
    this.#seen.add(id)
    const [oldest] = this.#seen.size > REMEMBERED ? this.#seen : []
    if (oldest !== undefined) this.#seen.delete(oldest)
  }
}
