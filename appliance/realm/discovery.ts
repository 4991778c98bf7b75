import { hostname } from 'node:os'
import multicastDns, { type DnsPacket, type DnsRecord, type MulticastDns } from 'multicast-dns'
import Type, { type Static } from 'typebox'
import { NodeName } from '../contracts/envelope.ts'
import { MtorError } from '../contracts/errors.ts'
import type { SystemEventInput } from '../contracts/events.ts'
import { validator } from '../contracts/validate.ts'
import { NODE_ROLES } from './list.ts'

/** @see RFC 6763 (DNS-based service discovery), RFC 6762 (multicast DNS) */
const SERVICE = '_mtor._tcp.local'
const TTL_S = 120
const QUERY_AGAIN_MS = 700
const MAX_FOUND = 256

const Announced = Type.Object({
  realm: NodeName, node: NodeName, role: Type.Enum(NODE_ROLES),
  fingerprint: Type.String({ pattern: '^[0-9a-f]{64}$' }),
})
const announcedValidator = validator(Announced)
/** A node that says it is there. Anybody can say so: it is a hint where to join, and no proof of anything. */
export type Found = Static<typeof Announced> & { address: string; port: number }

export interface DiscoveryOptions {
  report?(event: Omit<SystemEventInput, 'component'>): void
  /** For tests: another port and one interface. */
  network?: { port: number; interface: string; bind: string }
}

/** Announces this node in the local network, or looks who else does. Off unless the configuration says otherwise. */
export class Discovery {
  readonly #options: DiscoveryOptions
  #dns: MulticastDns | undefined
  #answers: { answers: DnsRecord[]; additionals: DnsRecord[] } | undefined

  constructor(options: DiscoveryOptions = {}) { this.#options = options }

  /** Answers whoever asks for realms, from now on. A network that cannot do it is no reason not to start. */
  async announce({ realm, node, role, fingerprint, port }: Static<typeof Announced> & { port: number }): Promise<void> {
    // A label has at most 63 bytes; two realms may have a node of the same name.
    const instance = `${node.slice(0, 46)}-${fingerprint.slice(0, 16)}.${SERVICE}`
    const pointer: DnsRecord = { name: SERVICE, type: 'PTR', ttl: TTL_S, data: instance }
    const more: DnsRecord[] = [
      { name: instance, type: 'SRV', ttl: TTL_S, data: { priority: 0, weight: 0, port, target: `${hostname().split('.')[0]}.local` } },
      { name: instance, type: 'TXT', ttl: TTL_S, data: Object.entries({ realm, node, role, fingerprint }).map(([key, value]) => `${key}=${value}`) },
    ]
    const dns = this.#open()
    this.#answers = { answers: [pointer], additionals: more }
    dns.on('query', guarded(({ questions }) => {
      if (questions.some(({ name, type }) => (type === 'PTR' || type === 'ANY') && name.toLowerCase() === SERVICE)) dns.respond({ answers: [pointer], additionals: more })
      else if (questions.some(({ name }) => name.toLowerCase() === instance)) dns.respond({ answers: more })
    }))
    await new Promise<void>((resolve) => { dns.once('error', () => resolve()); dns.respond({ answers: [pointer], additionals: more }, () => resolve()) })
  }

  /** Asks, and collects who answers within that time. */
  async find(forMs: number): Promise<Found[]> {
    const found = new Map<string, Found>()
    const dns = this.#open()
    let failure: Error | undefined
    dns.on('error', (error) => { failure = error })
    dns.on('response', guarded((packet, { address }) => {
      for (const one of read(packet, address)) if (found.size < MAX_FOUND) found.set(`${one.fingerprint} ${one.node} ${one.address}`, one)
    }))
    const ask = () => dns.query([{ name: SERVICE, type: 'PTR' }])
    ask()
    const again = setTimeout(ask, Math.min(QUERY_AGAIN_MS, forMs / 2))
    await new Promise((resolve) => { setTimeout(resolve, forMs) })
    clearTimeout(again)
    await this.stop()
    if (failure && found.size === 0) throw new MtorError('INTERNAL', `multicast DNS: ${failure.message}`, { cause: failure, hint: 'Another program may hold UDP port 5353 for itself alone.' })
    return [...found.values()].sort((a, b) => a.realm.localeCompare(b.realm) || a.node.localeCompare(b.node))
  }

  async stop(): Promise<void> {
    const dns = this.#dns
    this.#dns = undefined
    if (!dns) return
    if (this.#answers) {
      const goodbye = this.#answers.answers.map((record) => ({ ...record, ttl: 0 }))
      await new Promise<void>((resolve) => { setTimeout(resolve, 200).unref(); dns.respond({ answers: goodbye }, () => resolve()) })
    }
    await new Promise<void>((resolve) => { dns.destroy(() => resolve()) })
  }

  #open(): MulticastDns {
    const dns = this.#dns = multicastDns(this.#options.network)
    dns.on('error', (error) => this.#options.report?.({ severity: 'warning', name: 'discovery.failed', code: 'INTERNAL', message: `multicast DNS: ${error.message}` }))
    // Packets that cannot be read, interfaces without multicast: of no interest to anybody.
    dns.on('warning', () => {})
    return dns
  }
}

/** What strangers send must not end the process, whatever it is. */
const guarded = (listener: (packet: DnsPacket, from: { address: string }) => void) => (packet: DnsPacket, from: { address: string }) => { try { listener(packet, from) } catch { /* Of no interest. */ } }

/** Nodes in an answer. The address is the one it came from, not one that it names. */
function* read({ answers, additionals }: DnsPacket, address: string): Generator<Found> {
  const records = [...answers, ...additionals]
  for (const { name, type, ttl, data } of records) {
    if (type !== 'PTR' || name.toLowerCase() !== SERVICE || ttl === 0 || typeof data !== 'string') continue
    const of = (wanted: string) => records.find((record) => record.type === wanted && record.name === data)?.data
    const port = (of('SRV') as { port?: unknown } | undefined)?.port
    const text = of('TXT')
    const pairs = (Array.isArray(text) ? text : []).map((line) => String(line).split('='))
    const announced = Object.fromEntries(pairs.filter((pair) => pair.length === 2)) as unknown
    if (typeof port === 'number' && port > 0 && announcedValidator.check(announced)) yield { realm: announced.realm, node: announced.node, role: announced.role, fingerprint: announced.fingerprint, address, port }
  }
}
