import type { Identity } from '../../contracts/intents.ts'
import type { ClientEntry } from './clients.ts'
import type { Version } from './version.ts'

export type Qos = 0 | 1 | 2
export interface Message { version: Version; topic: string; payload: Buffer; qos: Qos }
/** Who published it, where that was a client. */
export interface Publish extends Message { kind: 'publish'; retain: boolean; identity?: Identity }
/** A message that waits for a client with a lasting session, handed over to where it is connected now. */
export interface Queued extends Message { kind: 'queued'; client: string }
export interface AcknowledgedIds { kind: 'acknowledged'; client: string; ids: string[] }
export interface SharedClient { kind: 'client'; entry: ClientEntry }
/** What nodes tell each other about their buses. */
export type Item = Publish | Queued | AcknowledgedIds | SharedClient

/** What the mesh needs of the broker of this node. */
export interface BrokerSide {
  publish(message: Omit<Message, 'version'> & { retain: boolean; version: Version }, done: () => void): void
  /** False where that would be one retained topic too many. */
  mayRetain(topic: string): boolean
  /** Hangs up on a client that has connected at another node; its will is not published, since it lives. */
  close(client: string, node: string): void
  subscriptions(client: string): Promise<ClientEntry['subs']>
  /** Knows a lasting session from now on, with exactly these subscriptions. */
  share(client: string, owner: string, subs: ClientEntry['subs']): void
  forget(client: string): void
  queued(client: string): Message[]
  unqueue(client: string, ids: ReadonlySet<string>): void
  /** Delivers, or queues, a message for one client; false where it waits for it already. */
  deliver(client: string, message: Message): boolean
  /** What another node's clients or the appliance there have said: offers, claims and work of handlers, intent events, and what dialects hear. */
  carried(topic: string, payload: Buffer, identity: Identity | undefined): void
  /** A client of another node has gone. */
  gone(client: string): void
  stop(reason: string): void
}

/** What persistence asks and tells. */
export interface PersistenceWatch {
  retained(packet: object): void
  /** False: the client has it from elsewhere. */
  mayQueue(client: string, packet: object): boolean
  taken(client: string, packet: object): void
  subscribed(client: string): void
}
