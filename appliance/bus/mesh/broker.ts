import type { Aedes, Client } from 'aedes'
import { IntentEvent } from '../../contracts/events.ts'
import type { Hub } from '../../contracts/hub.ts'
import type { Identity } from '../../contracts/intents.ts'
import type { Topics } from '../../contracts/topics.ts'
import { validator } from '../../contracts/validate.ts'
import { toMtorError } from '../../contracts/errors.ts'
import type { Inbound, Report } from '../inbound.ts'
import type { BoundedPersistence } from '../persistence.ts'
import type { Session } from '../session.ts'
import type { Subscribers } from '../subscribers.ts'
import { markOf, marked } from './mark.ts'
import type { BrokerSide, Message, Qos } from './port.ts'
import { idOf } from './version.ts'

export interface BrokerOfOptions {
  broker: Aedes
  persistence: BoundedPersistence
  inbound: Inbound
  subscribers: Subscribers
  connected: ReadonlyMap<string, Session>
  hub: Hub
  topics: Topics
  /** Notes who owns a lasting session, or that there is none. */
  remember(client: string, owner: string | undefined): void
  stop(reason: string): void
  report: Report
}

const intentEvent = validator(IntentEvent)
/** What is handed over is numbered by itself: aedes drops what has a lower number than the last of the same broker. */
const HANDED_OVER = 'handed-over'

/** aedes as the mesh needs it. */
export class BrokerOf implements BrokerSide {
  readonly #o: BrokerOfOptions
  #handedOver = 0

  constructor(options: BrokerOfOptions) { this.#o = options }

  publish({ version, ...message }: Parameters<BrokerSide['publish']>[0], done: () => void): void {
    this.#o.broker.publish(marked({ ...message, cmd: 'publish' as const, dup: false }, { version, stays: true }), () => done())
  }

  mayRetain(topic: string): boolean { return this.#o.persistence.mayRetain(topic) }

  close(clientId: string, node: string): void {
    const session = this.#o.connected.get(clientId)
    if (!session?.client) return
    this.#o.report(session, { severity: 'info', name: 'client.moved', message: `client ${clientId} has connected to node ${node}` })
    const client = session.client as Client & { will: unknown }
    client.will = null
    void this.#o.persistence.delWill({ id: clientId })
    client.close()
  }

  async subscriptions(client: string) {
    const subs = await this.#o.persistence.subscriptionsByClient({ id: client })
    return subs.filter(({ topic }) => topic !== '$void').map(({ topic, qos }) => ({ topic, qos }))
  }

  share(client: string, owner: string, subs: { topic: string; qos: Qos }[]): void {
    this.#o.remember(client, owner)
    void this.#o.persistence.share(client, subs)
  }

  forget(client: string): void {
    this.#o.remember(client, undefined)
    void this.#o.persistence.forget(client)
  }

  queued(client: string): Message[] {
    return this.#o.persistence.queued(client).flatMap((packet) => {
      const mark = markOf(packet)
      return mark && packet.cmd === 'publish' ? [{ version: mark.version, topic: packet.topic, payload: Buffer.from(packet.payload as Buffer), qos: packet.qos }] : []
    })
  }

  unqueue(client: string, ids: ReadonlySet<string>): void { this.#o.persistence.unqueue(client, ids) }

  deliver(clientId: string, { version, topic, payload, qos }: Message): boolean {
    const id = idOf(version)
    if (this.#o.persistence.queued(clientId).some((packet) => { const mark = markOf(packet); return mark !== undefined && idOf(mark.version) === id })) return false
    const packet = marked({ cmd: 'publish' as const, topic, payload, qos, retain: false, dup: false, brokerId: HANDED_OVER, brokerCounter: ++this.#handedOver }, { version, stays: true, handed: true })
    const client = this.#o.connected.get(clientId)?.client
    if (client?.connected) client.publish(packet, () => {})
    else void this.#o.persistence.outgoingEnqueue({ clientId }, packet)
    return true
  }

  carried(topic: string, payload: Buffer, identity: Identity | undefined): void {
    const { hub, inbound, subscribers, topics, report } = this.#o
    try {
      if (identity) subscribers.tell(identity, topic, payload, true)
      if (!topic.startsWith(`${topics.root}/`)) return
      if (topic.startsWith(`${topics.root}/intent/`) && topic.endsWith('/event')) hub.intentFrom(intentEvent.assert(JSON.parse(payload.toString()), 'MALFORMED', 'intent event'))
      else inbound.carried(topic, payload)
    } catch (error) {
      report(undefined, { severity: 'warning', name: 'carried.invalid', code: toMtorError(error, 'MALFORMED').code, message: `${topic}: ${toMtorError(error).message}` })
    }
  }

  gone(client: string): void { this.#o.inbound.gone(client) }
  stop(reason: string): void { this.#o.stop(reason) }
}
