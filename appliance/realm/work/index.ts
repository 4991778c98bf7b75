import Type from 'typebox'
import type { Driver } from '../../../drivers/port.ts'
import type { Clock } from '../../contracts/clock.ts'
import { isCode } from '../../contracts/codes.ts'
import { IntentId, type Envelope, type Source } from '../../contracts/envelope.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import { isFinal } from '../../contracts/events.ts'
import type { Hub } from '../../contracts/hub.ts'
import { intentPolicy } from '../../contracts/intents.ts'
import { validator } from '../../contracts/validate.ts'
import { PROTOCOL_VERSION } from '../../contracts/protocol.ts'
import { judge, ttlLeftMs, type Dispatcher, type Elsewhere, type Job, type JudgeOptions } from '../../dispatch/index.ts'
import type { EndedElsewhere, EtcdJournal } from '../../journal/etcd/index.ts'
import type { JournalEntry } from '../../journal/port.ts'
import type { DeviceOwnership } from '../ownership/index.ts'
import type { Peers } from '../peers/port.ts'
import { Ages } from './ages.ts'
import type { RealmJournal } from './journal.ts'
import { Left } from './left.ts'
import { Waiting } from './waiting.ts'

export { RealmJournal } from './journal.ts'

export interface WorkOptions {
  node: string
  journal: RealmJournal
  ownership: DeviceOwnership
  dispatcher: Dispatcher
  drivers: readonly Driver[]
  peers: Pick<Peers, 'send' | 'on' | 'list' | 'request' | 'serve'>
  hub: Hub
  clock: Clock
}

const CHANNEL = 'work'
/** So much later each further node looks after what a lost one left: usually the first has done it by then, ms. */
const RANK_MS = 700
const AGAIN_MS = 500

const messageValidator = validator(Type.Union([
  Type.Object({ op: Type.Literal('accepted'), id: IntentId, ageMs: Type.Number({ minimum: 0 }), still: Type.Optional(Type.Boolean()) }),
  Type.Object({ op: Type.Literal('cancel'), id: IntentId, code: Type.Optional(Type.String()), message: Type.Optional(Type.String()) }),
]))

/**
 * Which node carries out what. An intent for a device goes to the node that commands it, any other stays where it was
 * accepted; a claim in the journal is the arbiter, so that nothing is done twice whatever anybody believes. What a lost
 * node had accepted or begun is judged by the others, each intent by one.
 */
export class Work implements Elsewhere {
  readonly #o: WorkOptions
  readonly #ages: Ages
  readonly #waiting: Waiting
  readonly #left: Left
  /** Accepted here and not ended yet: whose end must be told here, wherever it comes from. */
  readonly #accepted = new Map<string, { type: string; source: Source | undefined }>()
  readonly #timers = new Set<ReturnType<Clock['setTimeout']>>()
  #etcd: EtcdJournal | undefined
  #off: (() => void)[] = []
  #running = false
  #attached = false

  constructor(options: WorkOptions) {
    this.#o = options
    this.#ages = new Ages(options.clock)
    this.#waiting = new Waiting({
      clock: options.clock,
      hopeless: (envelope) => { const device = this.#deviceOf(envelope); return device === undefined ? undefined : options.ownership.unreachable(device) },
      onDue: (envelope, why) => {
        if (options.dispatcher.has(envelope.id)) return
        void options.dispatcher.finish({ id: envelope.id, envelope }, why
          ? { state: 'failed', code: why.code, message: why.message, deadLetter: true, ...(why.data ? { data: why.data } : {}) }
          : { state: 'expired', code: 'EXPIRED', message: 'its time to live ran out before a node could start it' })
      },
      onStill: (envelope) => { if (this.takes(envelope)) this.#nudge(envelope, true); else void this.#look(envelope.id) },
    })
    this.#left = new Left({
      clock: options.clock, node: options.node, ownership: options.ownership, peers: options.peers, drivers: options.drivers, judge: options, has: (id) => options.dispatcher.has(id),
      leftMs: (entry) => this.#leftMs(entry), get: (id) => options.journal.get(id), takeUp: (entry) => this.#takeUp(entry),
    })
  }

  start(): void {
    const { hub, peers, journal, node } = this.#o
    this.#running = true
    this.#off = [
      hub.onIntent((event) => {
        if (event.state === 'accepted' && event.node === node) this.#accepted.set(event.id, { type: event.type, source: event.source })
        else if (isFinal(event.state)) this.#over(event.id)
      }),
      peers.on(CHANNEL, (_, message) => { this.#hear(message) }),
      this.#left.start(),
    ]
    journal.onUp((etcd) => { void this.#attach(etcd) })
  }

  stop(): void {
    this.#running = false
    for (const off of this.#off) off()
    for (const timer of this.#timers) this.#o.clock.clearTimeout(timer)
    this.#waiting.stop()
    this.#left.stop()
  }

  /** Intents that this node answers for and others are to carry out. */
  get waiting(): number { return this.#waiting.size }

  // ---- as the service and the dispatcher ask

  takes(envelope: Envelope): boolean {
    const device = this.#deviceOf(envelope)
    return device !== undefined && !this.#o.journal.isLocal(envelope.id) && this.#o.ownership.epochOf(device) === undefined
  }

  watch(envelope: Envelope, expiresMonoMs: number): void {
    this.#waiting.add(envelope, expiresMonoMs)
    this.#nudge(envelope)
  }

  /** Tells the others how old it is, by this node's monotonic clock. */
  #nudge({ id, ttlMs }: Envelope, still = false) {
    const { clock, peers } = this.#o
    const expiresMs = this.#waiting.expiresMs(id)
    if (expiresMs !== undefined) peers.send('*', CHANNEL, { op: 'accepted', id, ageMs: Math.max(0, ttlMs - (expiresMs - clock.monoMs())), ...(still ? { still } : {}) })
  }

  /** What was missed while nobody was sure who commands its device. */
  async #look(id: string) {
    if (this.#o.dispatcher.has(id) || !this.#etcd) return
    const entry = await this.#etcd.get(id).catch(() => undefined)
    if (entry?.state === 'accepted' && !this.takes(entry.envelope)) await this.#takeUp(entry)
  }

  cancel(id: string, reason = new MtorError('CANCELLED', 'cancelled on request')): void {
    const [envelope] = this.#waiting.take((waiting) => waiting.id === id)
    this.takenAway(id, reason)
    if (envelope) void this.#o.dispatcher.finish({ id, envelope }, { state: 'aborted', code: reason.code, message: reason.message })
  }

  /** Likewise for what matches; returns what that was. */
  cancelAll(predicate: (envelope: Envelope) => boolean, reason?: MtorError): Envelope[] {
    const matching: Envelope[] = []
    for (const id of this.#waiting.ids((envelope) => predicate(envelope) && matching.push(envelope) > 0)) this.cancel(id, reason)
    return matching
  }

  /** A stop ends what was asked for before it, also what no node has begun yet, and what one has begun that heard of the stop before. */
  abortActuations(reason: string): void {
    this.cancelAll(({ type }) => type !== 'stop' && intentPolicy(type)?.actuates === true, new MtorError('STOPPED', `stopped (${reason})`))
  }

  /** An intent has been ended: whoever is at it, or at a step of it, or will be, is told. */
  takenAway(id: string, { code, message }: MtorError): void {
    // What a node that ends leaves behind may be taken up again.
    if (code !== 'INTERRUPTED') this.#o.peers.send('*', CHANNEL, { op: 'cancel', id, code, message })
  }

  /** Tickets come from the journal that has the intent, so one of this node's own is for when it commands the device alone, and only then. */
  isOurs({ device, id }: Job): boolean { return device === undefined || (this.#o.ownership.epochOf(device) !== undefined && this.#o.ownership.isAlone(device) === this.#o.journal.isLocal(id)) }

  standsAlone(envelope: Envelope): boolean {
    const device = this.#deviceOf(envelope)
    return device !== undefined && this.#o.ownership.isAlone(device)
  }

  left(job: Job): void { this.#waiting.add(job.envelope, job.expiresMonoMs) }

  /** This node has begun to command a device. */
  async commands(device: string): Promise<void> {
    try {
      const etcd = this.#etcd
      if (!etcd) return
      for (const entry of await etcd.unfinished()) if (this.#deviceOf(entry.envelope) === device) void this.#takeUp(entry)
    } catch { this.#later(AGAIN_MS, () => { if (this.#o.ownership.epochOf(device) !== undefined) void this.commands(device) }) }
  }

  /** Unfinished intents that this node must answer for: for what is found after the journal was away. */
  async unfinishedHere(): Promise<JournalEntry[]> {
    const { journal, node } = this.#o
    // Before that, what an earlier life had accepted is still being taken up.
    const shared = this.#attached ? await this.#etcd!.unfinishedOf(node) : []
    return [...shared.filter(({ envelope }) => !this.#waiting.has(envelope.id) && !this.takes(envelope)), ...await journal.local.unfinished()]
  }

  // ---- what others did

  async #attach(etcd: EtcdJournal): Promise<void> {
    const { node } = this.#o
    this.#etcd = etcd
    this.#ages.lease(etcd.lease.held)
    this.#off.push(
      etcd.lease.onChange((held) => { this.#ages.lease(held) }),
      etcd.watchAccepted(({ entry }) => {
        this.#ages.saw(entry.envelope.id)
        const device = this.#deviceOf(entry.envelope)
        if (device !== undefined && this.#o.ownership.epochOf(device) !== undefined) void this.#takeUp(entry)
      }),
      etcd.watchFinal((ended) => { void this.#ended(ended) }),
      etcd.watchNodes((_, alive) => { if (!alive) this.#inherit() }),
    )
    await this.#again(async () => {
      for (const entry of await etcd.unfinishedOf(node)) {
        const { envelope } = entry
        this.#accepted.set(envelope.id, { type: envelope.type, source: envelope.source })
        if (this.#o.dispatcher.has(envelope.id)) continue
        if (this.takes(envelope)) this.#wait(entry)
        else void this.#takeUp(entry)
      }
      this.#attached = true
    })
    for (const { device } of this.#o.ownership.list()) if (this.#o.ownership.epochOf(device) !== undefined) void this.commands(device)
    // Claimed by a former life of this node, whoever had accepted it.
    await this.#again(async () => {
      for (const entry of await etcd.unfinished()) {
        if (entry.claim?.node !== node || this.#o.dispatcher.has(entry.envelope.id)) continue
        if (entry.claim.ticket) this.#left.own(entry)
        else void this.#takeUp(entry)
      }
    })
    this.#inherit()
  }

  /** Looks after what lost nodes have left, one living node after the other, so that usually the first finds everything. */
  #inherit() {
    const alive = [...this.#etcd!.nodes.keys()].filter((name) => name !== this.#o.node && this.#o.peers.list().find((peer) => peer.node === name)?.role === 'full')
    const rank = alive.filter((name) => name < this.#o.node).length
    this.#later(rank * RANK_MS, () => {
      void this.#again(async () => {
        for (const entry of await this.#etcd!.orphans()) {
          if (!this.takes(entry.envelope)) void this.#takeUp(entry)
          else if (entry.claim) this.#left.others(entry)
          else this.#wait(entry)
        }
      })
    })
  }

  /** Some other node is to carry it out: this one answers for it as well from now on. */
  #wait(entry: JournalEntry) {
    if (entry.state !== 'accepted') return
    const leftMs = this.#leftMs(entry) ?? (intentPolicy(entry.envelope.type)?.actuates ? 0 : entry.envelope.ttlMs)
    this.#waiting.add(entry.envelope, this.#o.clock.monoMs() + leftMs)
  }

  /** Carries out, or ends, what is this node's to judge. */
  async #takeUp(entry: JournalEntry): Promise<void> {
    const { dispatcher, node, ownership, drivers, hub, clock } = this.#o
    const { envelope, claim } = entry
    if (dispatcher.has(envelope.id)) return
    // Of a node that lives it is that node's to end.
    if (claim && claim.node !== node && this.#etcd!.nodes.has(claim.node)) return
    const options: JudgeOptions = { dispatcher, drivers, hub, clock, reachable: (device) => ownership.reached(device), leftMs: (one) => this.#leftMs(one) }
    try {
      const verdict = await judge(entry, options)
      if (!this.#running || dispatcher.has(envelope.id)) return
      // The dispatcher judges its time to live from now on.
      this.#waiting.drop(envelope.id)
      if ('run' in verdict) dispatcher.enqueue(verdict.run)
      else await dispatcher.finish({ id: envelope.id, envelope }, verdict.finish)
    } catch (error) { hub.system({ severity: 'error', component: 'work', name: 'intent.not-judged', code: toMtorError(error).code, message: `${envelope.id}: ${toMtorError(error).message}` }) }
  }

  /** Another node has ended an intent: whoever asked for it here must hear of it. */
  async #ended({ id, state, node, code, message, say, data }: EndedElsewhere) {
    const known = this.#accepted.get(id)
    this.#over(id)
    if (!known) return
    const { hub } = this.#o
    hub.intentFrom({
      v: PROTOCOL_VERSION, id, type: known.type, state, at: hub.now(), node, ...(known.source ? { source: known.source } : {}),
      ...(code === undefined ? {} : { code }), ...(message === undefined ? {} : { message }), ...(say === undefined ? {} : { say }), ...(data === undefined ? {} : { data }),
    })
  }

  #over(id: string) {
    this.#accepted.delete(id)
    this.#waiting.drop(id)
    this.#ages.forget(id)
  }

  #hear(message: unknown) {
    if (!messageValidator.check(message)) return
    if (message.op === 'accepted') {
      this.#ages.told(message.id, message.ageMs)
      if (message.still && this.#o.drivers.length > 0) void this.#look(message.id)
      return
    }
    this.#o.dispatcher.takeAway(message.id, new MtorError(isCode(message.code) ? message.code : 'CANCELLED', message.message ?? 'cancelled on another node'))
  }

  // ---- small things

  #leftMs(entry: JournalEntry): number | undefined {
    const own = entry.acceptedAt.boot === this.#o.hub.boot ? ttlLeftMs(entry, this.#o.hub.boot, this.#o.clock) : undefined
    if (own !== undefined) return own
    const ageMs = this.#ages.of(entry)
    return ageMs === undefined ? undefined : entry.envelope.ttlMs - ageMs
  }

  /** The device that an intent commands, of this node or another; undefined where it commands none that the realm has. */
  #deviceOf({ type, slots }: Envelope): string | undefined {
    const policy = intentPolicy(type)
    // The stop itself has reached every driver before; what is left of it is its record.
    if (!policy || type === 'stop') return undefined
    const { ownership } = this.#o
    if (policy.deviceSlot !== undefined) { const named = slots[policy.deviceSlot] as string; return ownership.has(named) ? named : undefined }
    return policy.deviceKind === undefined ? undefined : ownership.ofKind(policy.deviceKind)
  }

  #later(delayMs: number, work: () => void) {
    const timer = this.#o.clock.setTimeout(() => { this.#timers.delete(timer); if (this.#running) work() }, delayMs)
    this.#timers.add(timer)
  }

  /** Until it could be done. */
  async #again(work: () => Promise<void>): Promise<void> {
    try { await work() } catch { if (this.#running) this.#later(AGAIN_MS, () => { void this.#again(work) }) }
  }
}

