import { randomBytes } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { Clock, Timer } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import type { SystemEventInput } from '../../contracts/events.ts'
import type { Hub } from '../../contracts/hub.ts'
import type { Membership } from '../membership.ts'
import { dial } from './dial.ts'
import { encodeFrame, joinMessage, splitMessage, type Frame } from './frames.ts'
import { mismatch, OWN_NUMBERS, type Versions } from '../upgrade/versions.ts'
import type { Hello } from './hello.ts'
import { Link } from './link.ts'
import { Listener } from './listener.ts'
import type { Priority } from './outbox.ts'
import { Peer } from './peer.ts'
import type { PeerInfo, Peers } from './port.ts'
import type { Handler, RequestOptions } from './requests.ts'

export { PEER_PROTOCOL } from './hello.ts'
export type { PeerInfo, Peers } from './port.ts'

/** What goes before what, on every link. A channel that is not named here has priority 2. */
export const CHANNEL_PRIORITY: Readonly<Record<string, Priority>> = { stop: 0, ear: 1, realm: 1, inference: 3 }
const USUAL_PRIORITY: Priority = 2
/** How long the others may take to hear that we stop. */
const GOODBYE_MS = 100
const CHANNEL = /^[a-z][a-z0-9.-]{0,63}$/

export interface TlsPeersOptions {
  membership: Membership
  clock: Clock
  hub: Hub
  host: string
  port: number
  version: string
  heartbeatMs: number
  offlineAfterMs: number
  maxMessageBytes?: number
  /** Of each priority, for each node. */
  maxQueueBytes?: number
  /** Of this node, where they are to be others than this release's: for tests. */
  protocol?: number
  schema?: number
  envelope?: number
  random?(): number
  /** Where a node is dialled, if not where the member list says. */
  addressOf?(node: string): { host: string; port: number } | undefined
  onNewcomer(socket: TLSSocket): void
}

/** The port over TLS 1.3, each side showing a certificate of the realm's authority. */
export class TlsPeers implements Peers {
  readonly self: string
  /** Of this process; others see by it that this node was started anew. */
  readonly instance = randomBytes(8).toString('hex')
  readonly #options: Required<Omit<TlsPeersOptions, 'addressOf'>> & Pick<TlsPeersOptions, 'addressOf'>
  readonly #listener: Listener
  readonly #peers = new Map<string, Peer>()
  readonly #links = new Set<Link>()
  readonly #listeners = new Map<string, Set<(from: string, message: unknown) => void>>()
  readonly #handlers = new Map<string, Handler>()
  readonly #watchers = new Set<() => void>()
  #running = false
  #off: (() => void) | undefined
  #isTelling = false

  constructor(options: TlsPeersOptions) {
    this.#options = { maxMessageBytes: 8 * 1024 * 1024, maxQueueBytes: 4 * 1024 * 1024, ...OWN_NUMBERS, random: Math.random, ...options }
    const { membership, host, port } = options
    this.self = membership.node
    this.#listener = new Listener({
      host, port, realm: membership.realm, credentials: membership.credentials,
      onPeer: (socket, node, serial) => { this.#begin(socket, { node, serial, dialler: node }) },
      onNewcomer: (socket) => options.onNewcomer(socket),
      onRefused: (address, error) => this.#report({ ...(error.code === 'NOT_A_MEMBER' ? { severity: 'warning', name: 'link.refused' } : { severity: 'debug', name: 'handshake.failed' }), code: error.code, message: error.message, data: { address } }),
    })
  }

  /** What it says of itself. */
  get versions(): Versions {
    const { version, protocol, schema, envelope } = this.#options
    return { software: version, protocol, schema, envelope }
  }

  get port(): number { return this.#listener.port }

  /** @throws MtorError CONFIG_INVALID when the port cannot be had */
  async start(): Promise<void> {
    await this.#listener.start()
    this.#running = true
    this.#off = this.#options.membership.onChange(() => this.#follow())
    this.#follow()
  }

  async stop(): Promise<void> {
    if (!this.#running) return
    this.#running = false
    this.#off?.()
    const links = [...this.#links]
    for (const peer of this.#peers.values()) peer.stop({ reason: 'stopped', byPeer: false })
    for (const link of links) link.close({ reason: 'stopped', byPeer: false })
    this.#peers.clear()
    // The goodbyes have a moment to get out.
    const { clock } = this.#options
    let timer: Timer | undefined
    if (links.length > 0) await Promise.race([Promise.all(links.map(({ ended }) => ended)), new Promise<void>((resolve) => { timer = clock.setTimeout(resolve, GOODBYE_MS) })])
    clock.clearTimeout(timer)
    await this.#listener.stop()
  }

  list(): PeerInfo[] {
    return this.#options.membership.list.members.filter(({ node }) => node !== this.self).map(({ node, role, host, port }) => {
      const peer = this.#peers.get(node)
      const link = peer?.link
      const { rttMs, offsetMs, peerClock } = link?.pulse ?? {}
      return {
        node, role, address: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
        online: link !== undefined, version: peer?.version, ...(peer?.versions ? { versions: peer.versions } : {}), instance: peer?.instance, lastHeardMs: peer?.lastHeardMs ?? Infinity,
        protocol: link?.hello ? Math.min(link.hello.protocol, this.#options.protocol) : undefined,
        ...(rttMs === undefined ? {} : { rttMs }),
        ...(peerClock === undefined ? {} : { clock: { ...peerClock, ...(offsetMs === undefined ? {} : { offsetMs }) } }),
        ...(link || peer?.offline === undefined ? {} : { offline: peer.offline }),
      }
    })
  }

  send(to: string | '*', channel: string, message: unknown): void {
    const frame = this.#encode('msg', channel, message)
    for (const peer of to === '*' ? this.#peers.values() : [this.#peers.get(to)]) peer?.send(priorityOf(channel), frame)
  }

  async request(to: string, channel: string, message: unknown, options: RequestOptions): Promise<unknown> {
    const peer = this.#peers.get(to)
    if (!peer?.link) throw new MtorError('NODE_UNREACHABLE', peer ? `${to} is offline (${peer.offline})` : `there is no other node ${to}`)
    return peer.asking.ask(to, options,
      (i) => peer.send(priorityOf(channel), this.#encode('req', channel, message, i)),
      (i) => { peer.send(priorityOf(channel), encodeFrame({ t: 'cancel', i })) })
  }

  on(channel: string, listener: (from: string, message: unknown) => void): () => void {
    const listeners = this.#listeners.get(checked(channel)) ?? new Set()
    this.#listeners.set(channel, listeners)
    // One that is given twice listens twice.
    const own: typeof listener = (from, message) => listener(from, message)
    listeners.add(own)
    return () => { listeners.delete(own) }
  }

  serve(channel: string, handler: Handler): () => void {
    if (this.#handlers.has(checked(channel))) throw new MtorError('INTERNAL', `channel ${channel} has a handler already`)
    this.#handlers.set(channel, handler)
    return () => { if (this.#handlers.get(channel) === handler) this.#handlers.delete(channel) }
  }

  onChange(listener: () => void): () => void { this.#watchers.add(listener); return () => { this.#watchers.delete(listener) } }

  /** A newcomer that has been answered does not count among strangers any more. */
  known(socket: TLSSocket): void { this.#listener.known(socket) }

  /** The member list has changed, or this node's certificate: who is out goes at once. */
  #follow(): void {
    const { membership } = this.#options
    this.#listener.renew(membership.credentials)
    for (const link of [...this.#links]) {
      const refusal = link.hello ? membership.refusal(link.node, link.serial) : undefined
      if (refusal) link.close({ reason: 'refused', error: refusal, byPeer: false })
    }
    for (const [node, peer] of [...this.#peers]) {
      if (membership.member(node)) continue
      this.#peers.delete(node)
      peer.stop({ reason: 'refused', error: new MtorError('NOT_A_MEMBER', `${node} is not in the member list any more`), byPeer: false })
    }
    for (const { node } of membership.list.members) if (node !== this.self) this.#peerOf(node).wake()
    this.#changed()
  }

  #peerOf(node: string): Peer {
    let peer = this.#peers.get(node)
    if (!peer) {
      const { membership, clock, random } = this.#options
      peer = new Peer({
        self: this.self, node, clock, random,
        dial: (signal) => this.#dial(node, signal),
        wanted: () => this.#running && membership.member(node) !== undefined && membership.ownRefusal === undefined,
        report: (event) => this.#report(event),
        onChange: () => this.#changed(),
      })
      this.#peers.set(node, peer)
    }
    return peer
  }

  async #dial(node: string, signal: AbortSignal): Promise<Link> {
    const { membership, addressOf, offlineAfterMs, clock } = this.#options
    const { host, port } = addressOf?.(node) ?? membership.member(node)!
    const { socket, serial } = await dial({ host, port, node, realm: membership.realm, credentials: membership.credentials, timeoutMs: Math.max(1_000, 2 * offlineAfterMs), clock, signal })
    return this.#begin(socket, { node, serial, dialler: this.self })
  }

  #begin(socket: TLSSocket, { node, serial, dialler }: { node: string; serial: string; dialler: string }): Link {
    const { membership, clock, heartbeatMs, offlineAfterMs, maxMessageBytes, maxQueueBytes } = this.#options
    const link: Link = new Link({
      socket, node, serial, dialler, self: this.self, clock, heartbeatMs, offlineAfterMs, maxMessageBytes, maxQueueBytes,
      hello: () => this.#hello(link),
      onHello: (_, hello) => this.#judge(link, hello),
      onUp: () => {
        const peer = this.#peerOf(node)
        // Of a newcomer that told us itself that it is a member, they are not known yet.
        peer.versions = versionsOf(link.hello!)
        peer.offer(link)
        // What it did not know when it greeted.
        if (link.hello!.list.text !== membership.signed.text) link.send(priorityOf('realm'), this.#encode('msg', 'realm', { op: 'list', list: membership.signed }))
      },
      onFrame: (_, frame) => this.#take(link, frame),
      list: () => membership.signed,
      // What is not signed by the authority says nothing.
      onList: (list) => { try { membership.adopt(list) } catch { /* The refusal itself is reported. */ } },
      onClose: (_, closing) => {
        this.#links.delete(link)
        const peer = this.#peers.get(node)
        if (peer) peer.closed(link, closing)
        else if (closing.error) this.#report({ severity: 'warning', name: 'link.refused', code: closing.error.code, message: closing.error.message, data: { node, byPeer: closing.byPeer } })
      },
    })
    if (!this.#running) { socket.destroy(); throw new MtorError('CANCELLED', 'stopped') }
    this.#links.add(link)
    link.start()
    return link
  }

  #hello(link: Link): Hello {
    const { membership, protocol, schema, envelope, version } = this.#options
    const lost = this.#peers.get(link.node)?.lost
    return { t: 'hello', realm: membership.realm, node: this.self, protocol, version, schema, envelope, role: membership.role, instance: this.instance, link: link.id, ...(lost === undefined ? {} : { lost }), list: membership.signed }
  }

  /** @throws MtorError NOT_A_MEMBER, VERSION_MISMATCH */
  #judge(link: Link, hello: Hello): void {
    const { membership } = this.#options
    if (hello.realm !== membership.realm) throw new MtorError('NOT_A_MEMBER', `${hello.node} is of realm ${hello.realm}`)
    if (hello.node !== link.node || hello.node === this.self) throw new MtorError('NOT_A_MEMBER', `it calls itself ${hello.node}, its certificate says ${link.node}`)
    const theirs = versionsOf(hello)
    const peer = this.#peers.get(link.node)
    if (peer) peer.versions = theirs
    const why = mismatch(this.versions, theirs)
    if (why !== undefined) throw new MtorError('VERSION_MISMATCH', `${hello.node} (${hello.version}) has ${why}`)
    membership.adopt(hello.list)
    const refusal = membership.refusal(link.node, link.serial)
    if (refusal) throw refusal
  }

  #take(link: Link, frame: Frame): void {
    const { t, c, i } = frame.header
    const peer = this.#peers.get(link.node)
    if (!peer) return
    if (t === 'res' || t === 'err') { peer.asking.take(frame); return }
    if (t === 'cancel') { peer.answering.cancel(i); return }
    if (typeof c !== 'string' || !CHANNEL.test(c)) throw new MtorError('MALFORMED', 'a message without a channel')
    const message = joinMessage(frame)
    if (t === 'msg') { this.#hear(c, link.node, message); return }
    if (typeof i !== 'number' || !Number.isSafeInteger(i) || i < 1) throw new MtorError('MALFORMED', 'a request without a number')
    const handler = this.#handlers.get(c)
    peer.answering.take(i, handler && ((signal) => handler(link.node, message, signal)), c, (answer) => { this.#reply(peer, c, i, answer) })
  }

  #reply(peer: Peer, channel: string, i: number, answer: { value: unknown } | { error: MtorError }): void {
    let frame: Buffer | undefined
    let { error } = answer as { error?: MtorError }
    try { if ('value' in answer) frame = this.#encode('res', channel, answer.value, i) } catch (thrown) { error = thrown as MtorError }
    frame ??= encodeFrame({ t: 'err', i, e: { code: error!.code, message: error!.message.slice(0, 1_000), hint: error!.hint } })
    peer.send(priorityOf(channel), frame)
  }

  #hear(channel: string, from: string, message: unknown): void {
    for (const listener of [...this.#listeners.get(channel) ?? []]) {
      try { listener(from, message) } catch (error) {
        this.#report({ severity: 'error', name: 'listener.failed', code: 'INTERNAL', message: `channel ${channel}: ${String(error)}` })
      }
    }
  }

  /** @throws MtorError TOO_LARGE */
  #encode(t: 'msg' | 'req' | 'res', channel: string, message: unknown, i?: number): Buffer {
    const { binary, ...content } = splitMessage(message)
    const frame = encodeFrame({ t, ...(t === 'res' ? {} : { c: checked(channel) }), ...(i === undefined ? {} : { i }), ...content }, binary)
    if (frame.length > this.#options.maxMessageBytes) throw new MtorError('TOO_LARGE', `a message of ${frame.length} bytes on channel ${channel}, at most ${this.#options.maxMessageBytes}`, { hint: 'Send it in parts, or a reference to it.' })
    return frame
  }

  /** Once for all changes of one turn. */
  #changed(): void {
    if (this.#isTelling) return
    this.#isTelling = true
    queueMicrotask(() => { this.#isTelling = false; for (const watcher of [...this.#watchers]) watcher() })
  }

  #report(event: Omit<SystemEventInput, 'component'>): void { this.#options.hub.system({ component: 'realm', ...event }) }
}

const versionsOf = (hello: Hello): Versions => ({ software: hello.version, protocol: hello.protocol, schema: hello.schema ?? 1, envelope: hello.envelope ?? 1 })
const priorityOf = (channel: string): Priority => Object.hasOwn(CHANNEL_PRIORITY, channel) ? CHANNEL_PRIORITY[channel]! : USUAL_PRIORITY
function checked(channel: string): string {
  if (!CHANNEL.test(channel)) throw new MtorError('INTERNAL', `no name of a channel: ${JSON.stringify(channel)}`)
  return channel
}
