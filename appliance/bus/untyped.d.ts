declare module 'aedes-persistence/asyncPersistence.js' {
  import type { Readable } from 'node:stream'
  import type { PublishPacket } from 'aedes'

  /** aedes' persistence in memory, without its callback layer. */
  export default class AsyncPersistence {
    setup(broker: unknown): Promise<void>
    storeRetained(packet: PublishPacket): Promise<void>
    addSubscriptions(client: { id: string }, subs: { topic: string; qos: 0 | 1 | 2 }[]): Promise<void>
    removeSubscriptions(client: { id: string }, topics: string[]): Promise<void>
    subscriptionsByClient(client: { id: string }): Promise<{ topic: string; qos: 0 | 1 | 2 }[]>
    delWill(client: { id: string }): Promise<unknown>
    cleanSubscriptions(client: { id: string }): Promise<void>
    cleanIncoming(client: { id: string }): Promise<void>
    outgoingEnqueue(sub: { clientId: string }, packet: PublishPacket): Promise<void>
    outgoingEnqueueCombi(subs: { clientId: string }[], packet: PublishPacket): Promise<void>
    outgoingUpdate(client: { id: string }, packet: PublishPacket): Promise<void>
    outgoingClearMessageId(client: { id: string }, packet: { messageId?: number }): Promise<unknown>
    outgoingStream(client: { id: string }): Readable
  }
}
