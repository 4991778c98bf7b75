/** Of each client, this many messages are remembered; no queue of a client is longer. */
const REMEMBERED = 2_000

/**
 * Which messages a client has acknowledged, at whatever node. What is acknowledged at one need not be queued at another;
 * and the news of it may come before the message, which took another link.
 */
export class Acknowledged {
  readonly #clients = new Map<string, Set<string>>()

  add(client: string, id: string): void {
    let ids = this.#clients.get(client)
    if (!ids) this.#clients.set(client, ids = new Set())
    ids.add(id)
    if (ids.size <= REMEMBERED) return
    const [oldest] = ids
    ids.delete(oldest!)
  }

  has(client: string, id: string): boolean { return this.#clients.get(client)?.has(id) ?? false }
  forget(client: string): void { this.#clients.delete(client) }
}
