import type { Identity } from '../contracts/intents.ts'
import { topicMatches } from '../contracts/topics.ts'

/** What a client has published, as it was allowed to; who it is comes from its connection, never from the message. */
export interface Heard { topic: string; payload: Buffer; identity: Identity }

/** The core's own subscriptions to what clients publish: told with the identity, which a broker's subscriber never learns. */
export class Subscribers {
  readonly #all = new Set<{ filter: string; listener: (heard: Heard) => void }>()
  readonly #onError: (topic: string, error: unknown) => void

  /** @param onError a listener has thrown; the others are told all the same */
  constructor(onError: (topic: string, error: unknown) => void) { this.#onError = onError }

  /** Returns the function that stops listening. */
  add(filter: string, listener: (heard: Heard) => void): () => void {
    const subscription = { filter, listener }
    this.#all.add(subscription)
    return () => { this.#all.delete(subscription) }
  }

  tell(identity: Identity, topic: string, payload: Buffer | string): void {
    for (const { filter, listener } of this.#all) {
      if (!topicMatches(filter, topic)) continue
      try { listener({ topic, payload: Buffer.from(payload as Buffer), identity }) } catch (error) { this.#onError(topic, error) }
    }
  }
}
