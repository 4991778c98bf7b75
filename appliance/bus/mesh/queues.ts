import type { Clock, Timer } from '../../contracts/clock.ts'
import type { Item, Message } from './port.ts'
import { idOf, type Version } from './version.ts'

/** Acknowledgements are told together, after this at the latest. */
const TELL_AFTER_MS = 20
const TELL_AT = 200
/** What a client had not acknowledged this long after it came to another node is handed over: the news of it is on its way till then. */
const HAND_OVER_AFTER_MS = 300
/** Of each client, this many messages are remembered; no queue of a client is longer. */
const REMEMBERED = 2_000

/**
 * Every node queues for every lasting session, so that none of it is lost with a node. What a client acknowledges at one
 * need not be kept at another; and the news of that may come before the message, which took another link.
 */
export class Queues {
  readonly #clock: Clock
  readonly #tell: (item: Item, to?: string) => void
  readonly #acknowledged = new Map<string, Set<string>>()
  /** By client of this node, what another node has handed over to it. */
  readonly #handed = new Map<string, Set<string>>()
  readonly #untold = new Map<string, string[]>()
  readonly #timers = new Set<Timer>()
  #telling: Timer | undefined

  constructor(clock: Clock, tell: (item: Item, to?: string) => void) {
    this.#clock = clock
    this.#tell = tell
  }

  /** A client of this node has a message. */
  acknowledge(client: string, version: Version): void {
    const id = idOf(version)
    remember(this.#acknowledged, client, id)
    let ids = this.#untold.get(client)
    if (!ids) this.#untold.set(client, ids = [])
    ids.push(id)
    if (ids.length >= TELL_AT) this.#flush()
    else this.#telling ??= this.#clock.setTimeout(() => this.#flush(), TELL_AFTER_MS)
  }

  acknowledgedElsewhere(client: string, ids: readonly string[]): void { for (const id of ids) remember(this.#acknowledged, client, id) }
  isAcknowledged(client: string, version: Version): boolean { return this.#acknowledged.get(client)?.has(idOf(version)) ?? false }
  /** A message was given to a client of this node as another node had kept it: it may come itself yet, which is one too many then. */
  handed(client: string, version: Version): void { remember(this.#handed, client, idOf(version)) }
  isHanded(client: string, version: Version): boolean { return this.#handed.get(client)?.has(idOf(version)) ?? false }
  /** All that is remembered, for a node that may have missed the news of it. */
  remembered(): Item[] { return [...this.#acknowledged].map(([client, ids]) => ({ kind: 'acknowledged', client, ids: [...ids] })) }
  forget(client: string): void { this.#acknowledged.delete(client); this.#handed.delete(client) }

  /** Gives to `node`, where the client is now, what still waits for it here a moment later. */
  handOver(client: string, node: string, waiting: () => Message[]): void {
    const timer = this.#clock.setTimeout(() => {
      this.#timers.delete(timer)
      for (const message of waiting()) this.#tell({ kind: 'queued', client, ...message }, node)
    }, HAND_OVER_AFTER_MS)
    this.#timers.add(timer)
  }

  clear(): void {
    for (const timer of [this.#telling, ...this.#timers]) this.#clock.clearTimeout(timer)
    this.#telling = undefined
    this.#timers.clear()
    this.#untold.clear()
    this.#acknowledged.clear()
    this.#handed.clear()
  }

  #flush(): void {
    this.#clock.clearTimeout(this.#telling)
    this.#telling = undefined
    for (const [client, ids] of this.#untold) this.#tell({ kind: 'acknowledged', client, ids })
    this.#untold.clear()
  }
}

function remember(of: Map<string, Set<string>>, client: string, id: string): void {
  let ids = of.get(client)
  if (!ids) of.set(client, ids = new Set())
  ids.add(id)
  if (ids.size <= REMEMBERED) return
  const [oldest] = ids
  ids.delete(oldest!)
}
