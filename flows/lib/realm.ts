import type { RealmCatalogue } from '../../appliance/contracts/handlers.ts'
import type { Receipt } from '../../appliance/contracts/envelope.ts'
import { PROTOCOL_VERSION } from '../../appliance/contracts/protocol.ts'
import { topicsOf, type Topics } from '../../appliance/contracts/topics.ts'
import { Connection } from './connection.ts'
import { Handler } from './handler.ts'
import { parsed } from './json.ts'
import type { ConnectionSettings } from './settings.ts'
import { Submitter } from './submitter.ts'

/** One appliance as the nodes of a flow see it. */
export class Realm {
  readonly topics: Topics
  readonly connection: Connection
  readonly handler: Handler
  readonly submitter: Submitter
  /** What the appliance offers to choose from, once it has said. */
  catalogue: RealmCatalogue | undefined
  /** What the appliance refused of what this connection sent. */
  onRefused: ((receipt: Receipt) => void) | undefined

  constructor(settings: ConnectionSettings) {
    this.topics = topicsOf(settings.realm)
    this.connection = new Connection(settings, { topic: this.topics.handlerOffer(settings.clientId), payload: { v: PROTOCOL_VERSION, online: false } })
    this.handler = new Handler(this.connection, this.topics)
    this.submitter = new Submitter(this.connection, this.topics)
  }

  start(): void {
    this.handler.start()
    this.connection.subscribe(this.topics.catalogue, (message) => { this.catalogue = parsed(message) as RealmCatalogue | undefined ?? this.catalogue })
    this.connection.subscribe(this.topics.clientReceipt(this.connection.settings.clientId), (message) => { const receipt = parsed(message); if (receipt) this.onRefused?.(receipt as unknown as Receipt) })
    this.connection.start()
  }

  async stop(withdraw: boolean): Promise<void> {
    this.submitter.stop()
    await this.handler.stop(withdraw)
    await this.connection.stop()
  }
}

/**
 * Realms by what they connect to: config nodes with the same settings, as each imported example brings one, share a
 * connection. Two connections under one client id would throw each other out for ever.
 */
export class Realms {
  readonly #open = new Map<string, { realm: Realm; users: number }>()
  /** A connection that is being closed, so that a new one under its name waits. */
  readonly #closing = new Map<string, Promise<void>>()

  get all(): Realm[] { return [...this.#open.values()].map(({ realm }) => realm) }

  acquire(settings: ConnectionSettings): { realm: Realm; release(withdraw: boolean): Promise<void> } {
    const key = JSON.stringify([settings.url, settings.realm, settings.options])
    let entry = this.#open.get(key)
    if (!entry) {
      const realm = new Realm(settings)
      this.#open.set(key, entry = { realm, users: 0 })
      const before = this.#closing.get(key)
      if (before) void before.then(() => { if (this.#open.get(key)?.realm === realm) realm.start() }); else realm.start()
    }
    const held = entry
    held.users += 1
    let released = false
    return {
      realm: held.realm,
      release: async (withdraw) => {
        if (released) return
        released = true
        if (--held.users > 0) return
        this.#open.delete(key)
        const closed = held.realm.stop(withdraw).finally(() => { if (this.#closing.get(key) === closed) this.#closing.delete(key) })
        this.#closing.set(key, closed)
        await closed
      },
    }
  }
}
