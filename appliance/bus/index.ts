import { Aedes, type AuthenticateError, type Client, type ConnectPacket, type Subscription } from 'aedes'
import type { BusConfig } from '../config/schema.ts'
import type { Clock } from '../contracts/clock.ts'
import { PROTOCOL_VERSION, type Receipt } from '../contracts/envelope.ts'
import { MtorError } from '../contracts/errors.ts'
import type { SystemEventInput } from '../contracts/events.ts'
import type { Hub } from '../contracts/hub.ts'
import type { Identity } from '../contracts/intents.ts'
import { topicsOf, type Topics } from '../contracts/topics.ts'
import { emitterInOrder } from './emitter.ts'
import { Authenticator, CONNACK, type InternalClient } from './identity.ts'
import { Inbound, type HandlerPort } from './inbound.ts'
import { Throttle } from './limits.ts'
import { Listeners, type Address } from './listeners.ts'
import type { Mesh } from './mesh/index.ts'
import { BrokerOf } from './mesh/broker.ts'
import { Permissions, type Handling } from './permissions.ts'
import { BoundedPersistence } from './persistence.ts'
import { Session, type Connection } from './session.ts'
import { Subscribers, type Heard } from './subscribers.ts'
import { tapFrames } from './tap.ts'

export type { HandlerPort } from './inbound.ts'
export type { Heard } from './subscribers.ts'
export { hashPassword, verifyPassword } from './password.ts'

export interface BusOptions {
  config: BusConfig; realm: string; node: string; stateDir: string; hub: Hub; clock: Clock
  /** Resolves once the intent is durable, or with a receipt that rejects it. Never throws. */
  submit(envelope: unknown, identity: Identity): Promise<Receipt>
  /** Synchronous; called from the socket, before broker, queue or journal. */
  emergencyStop(reason: string): void
  /** Identities of the appliance's own processes, on this machine only. */
  internal?: readonly InternalClient[]
  /** A client asks for a raw device command. Left out: such requests are answered NOT_FITTED. */
  deviceCommand?(device: string, payload: unknown, identity: Identity): Promise<Receipt>
  /** Left out: nobody may offer to carry out intents. */
  handlers?: HandlerPort
  /** Topics of dialects beyond our own root. @see permissions.ts */
  foreign?: readonly string[]
  /** Makes it one bus with those of the other nodes. Left out: this node is alone. */
  mesh?: Mesh
}
export interface BusStats { connections: number; clients: number; submissions: number; rejected: number; tooFast: number; stops: number }

const MAX_CLIENT_ID = 128
const MAX_SUBSCRIPTIONS = 1000
const MAX_QUEUED = 1000
const MAX_RETAINED = 10_000
/** Sessions kept for clients that are away (clean=false), for each connection that may be open. */
const SESSIONS_PER_CONNECTION = 4
const DENIED_FILTER = '$void'
const WILLS: ReadonlySet<Handling | undefined> = new Set<Handling>(['route', 'json', 'nodeState', 'offer', 'stop'])

/** The embedded MQTT 3.1.1 broker: listeners, identity, permissions, limits, submission and the emergency stop. */
export class Bus {
  readonly #options: BusOptions
  readonly #topics: Topics
  readonly #permissions: Permissions
  /** All events of the bus together, then overflowing queues by themselves (an event may be what overflows one). */
  readonly #events: Throttle
  readonly #overflows: Throttle
  /** Who holds a client id: connected, and (with clean=false) while away. */
  readonly #connected = new Map<string, Session>()
  readonly #owners = new Map<string, string>()
  readonly #sessions = new Set<Session>()
  readonly #subscribers = new Subscribers((topic, error) => this.#report(undefined, { severity: 'error', name: 'listener.failed', code: 'INTERNAL', message: String(error), data: { topic } }))
  #unlisten: (() => void)[] = []
  #broker: Aedes | undefined
  #listeners: Listeners | undefined
  #inbound: Inbound | undefined
  #persistence: BoundedPersistence | undefined
  #stopping: Promise<void> | undefined

  constructor(options: BusOptions) {
    this.#options = options
    this.#topics = topicsOf(options.realm)
    this.#permissions = new Permissions(options.realm, options.foreign)
    this.#events = new Throttle(options.clock, 20, 50)
    this.#overflows = new Throttle(options.clock, 0.1, 1)
  }

  /** @throws MtorError CONFIG_INVALID when a listener, certificate or identity of the configuration cannot be used */
  async start(): Promise<void> {
    if (this.#broker) return
    const { config, node, stateDir, hub, clock, mesh } = this.#options
    const authenticator = new Authenticator(config, this.#options.internal)
    const persistence = this.#persistence = new BoundedPersistence({ maxQueued: MAX_QUEUED, maxRetained: MAX_RETAINED, onOverflow: (id) => this.#overflowed(id), ...(mesh ? { watch: mesh } : {}) })
    const broker = this.#broker = await Aedes.createBroker({
      persistence, mq: emitterInOrder(mesh && ((packet) => mesh.emitted(packet))), drainTimeout: config.drainTimeoutMs, connectTimeout: config.limits.connectTimeoutMs, maxClientsIdLength: MAX_CLIENT_ID,
      preConnect: (client, packet, done) => { this.#preConnect(client, packet); done(null, true) },
      authenticate: (client, username, password, done) => {
        const session = Session.of(client)!
        this.#authenticate(session, authenticator, username, password).then((refused) => {
          if (!refused) { done(null, true); return }
          this.#report(session, { severity: 'warning', name: 'client.refused', code: 'UNAUTHORISED', message: refused.message })
          done(Object.assign(new MtorError('UNAUTHORISED', refused.message), { returnCode: refused.returnCode }) as unknown as AuthenticateError, false)
        })
      },
      authorizePublish: (client, packet, done) => {
        const session = Session.of(client)
        if (session) this.#inbound!.publish(session, packet, (error) => { done(error); if (session.identity) this.#subscribers.tell(session.identity, packet.topic, packet.payload) })
        else done(new MtorError('UNAUTHORISED', 'a message of no session'))
      },
      authorizeForward: (client, packet) => {
        if (mesh?.mayForward(client.id, packet) === false) return null
        Session.of(client)?.gather()
        return packet
      },
      published: (packet, client, done) => {
        Session.of(client)?.landed(packet)
        done(null)
      },
      authorizeSubscribe: (client, subscription, done) => this.#authorizeSubscribe(client, subscription, done),
    })
    broker.on('clientError', (client, error) => this.#failed(client, error))
    broker.on('connectionError', (client, error) => this.#failed(client, error))
    ;(broker as NodeJS.EventEmitter).on('error', (error: Error) => this.#report(undefined, { severity: 'error', name: 'broker.failed', code: 'INTERNAL', message: error.message }))
    this.#inbound = new Inbound({
      topics: this.#topics, node, hub, clock, limits: config.limits, persistence,
      report: (session, event) => this.#report(session, event),
      send: (topic, payload, done) => this.#send(topic, payload, 1, false, done),
      submit: this.#options.submit, emergencyStop: this.#options.emergencyStop, deviceCommand: this.#options.deviceCommand, handlers: this.#options.handlers,
    })
    mesh?.attach(new BrokerOf({
      broker, persistence, inbound: this.#inbound, subscribers: this.#subscribers, connected: this.#connected, hub, topics: this.#topics,
      remember: (id, owner) => this.#remember(id, owner, owner === undefined), stop: this.#options.emergencyStop,
      report: (session, event) => this.#report(session, event),
    }), (id) => this.#connected.get(id)?.identity)
    if (mesh) this.#tellMesh(broker, mesh)
    this.#unlisten = [
      hub.onIntent((event) => { if (event.node === node) this.#send(this.#topics.intentEvent(event.id), event) }),
      hub.onSystem((event) => this.#send(this.#topics.event(event.severity, event.component), event)),
    ]
    this.#nodeState(true)
    this.#listeners = new Listeners({ config, stateDir, node, clock, onConnection: (connection) => this.#connect(connection), report: (event) => this.#report(undefined, event) })
    try { await this.#listeners.start() } catch (error) {
      await this.stop()
      throw error
    }
  }

  /** Tells everyone that this node goes offline, lets what is written reach them, closes. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop().finally(() => { this.#stopping = undefined })
    return this.#stopping
  }

  async #stop() {
    const broker = this.#broker
    if (!broker) return
    for (const off of this.#unlisten) off()
    this.#listeners?.close()
    // The broker drops who does not read within drainTimeoutMs, so this ends.
    await new Promise<void>((resolve) => this.#nodeState(false, resolve))
    this.#broker = undefined
    await this.#flush()
    await new Promise<void>((resolve) => broker.close(() => resolve()))
    this.#options.mesh?.detach()
    await this.#listeners?.stop()
    this.#listeners = undefined
    this.#connected.clear()
    this.#owners.clear()
  }

  /** Ends every connection after what is waiting to be written, waiting drainTimeoutMs at most. */
  async #flush() {
    const { clock, config } = this.#options
    const ended = [...this.#sessions].map(({ connection: { stream } }) => new Promise<void>((resolve) => {
      if (stream.destroyed) { resolve(); return }
      stream.once('close', () => resolve())
      stream.end(() => resolve())
    }))
    let timer: ReturnType<Clock['setTimeout']> | undefined
    await Promise.race([Promise.all(ended), new Promise<void>((resolve) => { timer = clock.setTimeout(resolve, config.drainTimeoutMs) })])
    clock.clearTimeout(timer)
  }

  addresses(): Address[] { return this.#listeners?.addresses() ?? [] }

  stats(): BusStats {
    return { connections: this.#listeners?.connections ?? 0, clients: this.#connected.size, ...(this.#inbound?.counts ?? { submissions: 0, rejected: 0, tooFast: 0, stops: 0 }) }
  }

  /** How many messages wait here for a client with a lasting session. */
  queuedFor(clientId: string): number { return this.#persistence?.queued(clientId).length ?? 0 }

  /** Publishes a message of the appliance itself: JSON, or bytes as they are. Before start and after stop it does nothing. */
  publish(topic: string, payload: unknown, options: { retain?: boolean; qos?: 0 | 1 } = {}) {
    this.#send(topic, payload, options.qos ?? 0, options.retain ?? false)
  }

  /**
   * Listens to what clients publish on the topics of `filter`, after the checks; what is refused, or taken by the
   * appliance itself, is not heard. With `realm` also what clients of other nodes publish: for topics that only this
   * node acts on. Returns the function that stops listening.
   */
  subscribe(filter: string, listener: (heard: Heard) => void, options: { realm?: boolean } = {}): () => void { return this.#subscribers.add(filter, listener, options.realm ?? false) }

  #send(topic: string, payload: unknown, qos: 0 | 1 = 1, retain = false, done?: () => void) {
    if (!this.#broker) { done?.(); return }
    const bytes = Buffer.isBuffer(payload) ? payload : Buffer.from(JSON.stringify(payload) ?? '')
    this.#broker.publish({ cmd: 'publish', topic, payload: bytes, qos, retain, dup: false }, () => done?.())
  }

  #nodeState(online: boolean, done?: () => void) {
    const { node, hub } = this.#options
    this.#send(this.#topics.nodeState(node), { v: PROTOCOL_VERSION, node, online, at: hub.now() }, 1, true, done)
  }

  /** Raises an event, unless this client or the whole bus has raised too many; the next one tells how many were left out. */
  #report(session: Session | undefined, event: Omit<SystemEventInput, 'component'>) {
    const held = session ? session.events.pass() : 0
    if (held === undefined) return
    const heldByAll = this.#events.pass()
    if (heldByAll === undefined) return
    const who = session ? { client: session.clientId, address: session.connection.address, ...(session.identity ? { identity: session.identity.client, role: session.identity.role } : {}) } : {}
    const leftOut = held + heldByAll
    this.#options.hub.system({ ...event, component: 'bus', data: { ...who, ...event.data, ...(leftOut > 0 ? { leftOut } : {}) } })
  }

  #overflowed(clientId: string) {
    // It has its messages from the node where it is.
    if (this.#options.mesh?.isElsewhere(clientId)) return
    const leftOut = this.#overflows.pass()
    if (leftOut === undefined) return
    // On the next turn: this event goes into queues too, maybe into the one that has just overflowed.
    setImmediate(() => this.#report(undefined, { severity: 'warning', name: 'queue.overflow', message: `more than ${MAX_QUEUED} messages wait for ${clientId}: the oldest are dropped`, data: { client: clientId, alsoDropped: leftOut } }))
  }

  #connect(connection: Connection) {
    const { config, clock } = this.#options
    if (!this.#broker) { connection.stream.destroy(); return }
    const session = new Session(connection, this.#permissions, config.limits, clock)
    this.#sessions.add(session)
    connection.stream.once('close', () => {
      this.#sessions.delete(session)
      const current = this.#connected.get(session.clientId)
      if (current === session) this.#connected.delete(session.clientId)
      this.#inbound!.closed(session, (current !== undefined && current !== session) || this.#options.mesh?.isElsewhere(session.clientId) === true)
    })
    tapFrames(connection.stream, config.limits.maxPacketBytes, this.#inbound!.inspector(session))
    session.attach(this.#broker.handle(connection.stream, connection.request))
  }

  #preConnect(client: Client, packet: ConnectPacket) {
    const session = Session.of(client)!
    const id = packet.clientId
    session.clean = packet.clean !== false
    // MQTT 3.1.1 §3.1.3.1: an empty id needs clean=true. An id is also a level of its client's receipt topic.
    if (id === '' && !session.clean) session.refusedId = 'an empty client id needs clean=true'
    else if (id.length > MAX_CLIENT_ID || /[+#/\p{Cc}]/u.test(id)) session.refusedId = `a client id has at most ${MAX_CLIENT_ID} characters and none of + # / or control characters`
  }

  async #authenticate(session: Session, authenticator: Authenticator, username: string | undefined, password: Uint8Array | undefined): Promise<{ returnCode: number; message: string } | undefined> {
    const clientId = session.client!.id
    session.clientId = clientId
    if (session.refusedId) return { returnCode: CONNACK.identifierRejected, message: session.refusedId }
    const known = await authenticator.identify(session.connection, username, password)
    if ('returnCode' in known) return known
    if (session.connection.stream.destroyed) return { returnCode: CONNACK.unavailable, message: 'the client has gone' }
    // A second client with the same id takes the place of the first (MQTT 3.1.1 §3.1.4), but only as the same identity:
    // otherwise anyone could throw another out and take over what is queued for it.
    const owner = known.name ?? ''
    const before = this.#connected.get(clientId)
    const ownedBy = before ? before.owner : this.#owners.get(clientId) ?? this.#options.mesh?.ownerOf(clientId)
    if (ownedBy !== undefined && ownedBy !== owner) return { returnCode: CONNACK.identifierRejected, message: `client id ${clientId} is in use by another identity` }
    if (before) this.#report(before, { severity: 'warning', name: 'client.replaced', message: `a second client with id ${clientId} took the place of the first` })
    session.owner = owner
    session.identity = { client: known.name ?? clientId, role: known.role, kind: known.role === 'flow' ? 'flow' : session.connection.kind }
    this.#connected.set(clientId, session)
    this.#remember(clientId, owner, session.clean)
    session.connection.settled()
    return undefined
  }

  /** Keeps who owns a lasting session; the longest known that is away is forgotten when there are too many. */
  #remember(clientId: string, owner: string | undefined, clean: boolean) {
    const { mesh } = this.#options
    this.#owners.delete(clientId)
    if (clean || owner === undefined) return
    this.#owners.set(clientId, owner)
    if (this.#owners.size <= this.#options.config.limits.maxConnections * SESSIONS_PER_CONNECTION) return
    const away = [...this.#owners.keys()].find((id) => !this.#connected.has(id) && !mesh?.isElsewhere(id))
    if (away === undefined) return
    this.#owners.delete(away)
    void this.#persistence!.forget(away)
    mesh?.evicted(away)
  }

  /** Other nodes know of the clients of this one, so that these can go there. */
  #tellMesh(broker: Aedes, mesh: Mesh) {
    broker.on('client', (client) => {
      const session = Session.of(client)
      if (!session?.identity) return
      const { will } = client as Client & { will?: { topic: string; payload: Buffer; qos: 0 | 1 | 2; retain: boolean } | null }
      // A will that this client may not publish, or that is an order to this node, is not for the others.
      const isFit = will && WILLS.has(session.verdict(will.topic).handling)
      mesh.connected({ client: session.clientId, owner: session.owner, clean: session.clean, ...(isFit ? { will: { topic: will.topic, payload: Buffer.from(will.payload), qos: will.qos, retain: will.retain && will.topic !== this.#topics.stop } } : {}) })
    })
    broker.on('clientDisconnect', (client) => mesh.disconnected(client.id))
  }

  #authorizeSubscribe(client: Client, subscription: Subscription, done: (error: Error | null, subscription?: Subscription | null) => void) {
    const session = Session.of(client)!
    const { topic } = subscription
    const code = this.#permissions.subscribe({ role: session.identity!.role, name: session.identity!.client, clientId: session.clientId }, topic)
      ?? (Object.keys((client as Client & { subscriptions: object }).subscriptions).length >= MAX_SUBSCRIPTIONS ? 'BUSY' : undefined)
    if (code === undefined) {
      // Not at once: aedes stores all filters of the packet with the first that is granted, so the denied must be known by then.
      queueMicrotask(() => done(null, subscription))
      return
    }
    subscription.topic = DENIED_FILTER
    this.#inbound!.refuse(session, code, `${session.identity!.role} cannot subscribe to ${JSON.stringify(topic.slice(0, 100))}`)
    queueMicrotask(() => done(null, null))
  }

  #failed(client: Client, error: Error & { code?: string; errorCode?: number }) {
    if (error.errorCode !== undefined || error instanceof MtorError) return // Refused at CONNECT: reported there.
    const { message } = error
    const session = Session.of(client)
    if (message === 'drain timeout') this.#report(session, { severity: 'warning', name: 'client.frozen', message: `did not read for ${this.#options.config.drainTimeoutMs} ms` })
    else if (error.code?.startsWith('E') || /keep alive|connection closed|premature close/i.test(message)) this.#report(session, { severity: 'debug', name: 'client.lost', message })
    else this.#report(session, { severity: 'warning', name: 'client.refused', code: 'MALFORMED', message })
  }
}
