import type { Identity } from '../contracts/intents.ts'
import { topicMatches } from '../contracts/topics.ts'

/** What a client has published, as it was allowed to; who it is comes from its connection, never from the message. */
export interface Heard { topic: string; payload: Buffer; identity: Identity }

/** The core's own subscriptions to what clients publish: told with the identity, which a broker's subscriber never learns. */
export class Subscribers {
  readonly #all = new Set<{ filter: string; listener: (heard: Heard) => void; ofRealm: boolean }>()
  readonly #onError: (topic: string, error: unknown) => void

  /** @param onError a listener has thrown; the others are told all the same */
  constructor(onError: (topic: string, error: unknown) => void) { this.#onError = onError }

  /** @param ofRealm also what clients of other nodes publish. Returns the function that stops listening. */
  add(filter: string, listener: (heard: Heard) => void, ofRealm = false): () => void {
    const subscription = { filter, listener, ofRealm }
    this.#all.add(subscription)
    return () => { this.#all.delete(subscription) }
  }

  tell(identity: Identity, topic: string, payload: Buffer | string, isOfOtherNode = false): void {
    for (const { filter, listener, ofRealm } of this.#all) {
      if ((isOfOtherNode && !ofRealm) || !topicMatches(filter, topic)) continue
      try { listener({ topic, payload: Buffer.from(payload as Buffer), identity }) } catch (error) { this.#onError(topic, error) }
    }
  }
}
