import type { Driver } from '../../../drivers/port.ts'
import type { RealmModeConfig } from '../../config/schema.ts'
import type { Clock } from '../../contracts/clock.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { Hub } from '../../contracts/hub.ts'
import type { EtcdJournal } from '../../journal/etcd/index.ts'
import { Watch } from '../../journal/etcd/watch.ts'
import type { Peers } from '../peers/port.ts'
import { Moves, type Busy, type Moved, type MovePolicy } from './move.ts'
import { ownerOf, Registry, registryKeys, type Owner, type RegistryEvent, type RegistryKeys } from './registry.ts'
import { seatOf, type Seat } from './seat.ts'
import { OwnerStore } from './store.ts'

export type { Owner } from './registry.ts'
export type { Busy, Moved, MovePolicy } from './move.ts'

export interface DeviceOwnershipOptions {
  realm: string
  node: string
  clock: Clock
  hub: Hub
  config: RealmModeConfig
  peers: Pick<Peers, 'request' | 'serve'>
  busy: Busy
  /** Called when this node has begun to command a device: what waits for it is now this node's to carry out. */
  onCommand(device: string): void
  /** Epochs for when the realm cannot be reached: of this node's disk. */
  localEpoch(device: string, above: number): Promise<number>
}

/** One device, as `mtor device list` shows it. */
export interface DeviceView { device: string; kind: string | undefined; owner: string | undefined; epoch: number | undefined; wired: string[]; lines: string[]; here: 'commands' | 'stands by' | 'not wired'; alone?: true; /** This node cannot reach the majority: nothing is known of the others. */ cutOff?: true }

/** etcd counts a lease from the renewal it has seen, and a leader that was just replaced may have seen one too many: so long before its end nobody believes in it, ms. */
const LEASE_MARGIN_MS = 300
const RETRY_MS = 150
/** What waits for a device is looked at even if the device itself does not answer yet, ms. */
const UNANSWERED_MS = 2_000
const REACH_MS = 15_000

/**
 * Which node commands which device. The right to command is a key in etcd under the node's lease; with every change of
 * hands the device gets a newer epoch. A node sends commands only while the lease is certainly its own, by its own
 * monotonic clock, and the device refuses older epochs: either alone would do, but clocks stop and firmware has faults.
 */
export class DeviceOwnership {
  readonly #o: DeviceOwnershipOptions
  readonly #keys: RegistryKeys
  readonly #registry: Registry
  readonly #seats = new Map<string, Seat>()
  readonly #moves: Moves
  #etcd: EtcdJournal | undefined
  #store: OwnerStore | undefined
  #watch: Watch | undefined
  #off: (() => void)[] = []
  #running = true
  #since: number
  /** When a device was first seen with no node alive that is wired to it, ms. */
  readonly #desertedMs = new Map<string, number>()

  constructor(options: DeviceOwnershipOptions) {
    this.#o = options
    this.#keys = registryKeys(options.realm)
    this.#registry = new Registry(this.#keys)
    this.#since = options.clock.monoMs()
    this.#moves = new Moves({
      node: options.node, clock: options.clock, peers: options.peers, busy: options.busy,
      owner: (device) => this.#registry.owner(device), lines: (device) => this.#registry.lines(device), isWired: (device, node) => this.#registry.wired(device).has(node),
      seat: (device) => this.#seats.get(device), leaseOf: (node) => this.#etcd?.nodes.get(node), store: () => this.#store,
      changed: (owner) => { this.#learn(owner.device, owner) },
      look: async () => { if (this.#store) await this.#look(this.#store) },
    })
    this.#off.push(this.#moves.start())
  }

  /** A device of this node whose driver was started; its line may come later. */
  add(driver: Driver): void {
    this.#seats.set(driver.id, seatOf(driver, this.#o.clock.monoMs()))
    this.#introduce(driver)
    this.#consider(driver.id)
  }

  /** The journal has its lease: from now on devices may be taken. */
  async attach(etcd: EtcdJournal): Promise<void> {
    const { clock, realm } = this.#o
    this.#etcd = etcd
    this.#store = new OwnerStore(etcd.client, this.#keys, realm)
    const revision = await this.#look(this.#store)
    this.#watch = new Watch({
      client: etcd.client, clock, prefix: this.#keys.root,
      onEvents: (events) => {
        for (const event of events) { this.#registry.apply(event); this.#tellOwner(event) }
        this.#considerAll()
      },
      resync: () => this.#look(this.#store!),
    })
    this.#watch.start(revision)
    this.#off.push(etcd.lease.onChange((held) => { if (held) void this.#refresh(); else this.#considerAll() }))
    for (const { driver } of this.#seats.values()) this.#introduce(driver)
    this.#considerAll()
  }

  async stop(): Promise<void> {
    this.#running = false
    for (const off of this.#off) off()
    this.#watch?.stop()
    for (const seat of this.#seats.values()) this.#o.clock.clearTimeout(seat.timer)
    await Promise.all([...this.#seats.values()].map(({ working }) => working))
  }

  /** The driver's line came or went. */
  lineChanged(device: string): void { this.#consider(device) }

  /** Asked before every single command: true while this node's right to command is beyond doubt. */
  mayCommand(device: string): boolean {
    const seat = this.#seats.get(device)
    if (!seat) return false
    if (seat.alone !== undefined) return true
    return seat.mine !== undefined && this.#leaseIs(seat.mine.lease)
  }

  /** The epoch under which this node may command a device now; undefined while it may not, or begins nothing new. */
  epochOf(device: string): number | undefined {
    const seat = this.#seats.get(device)
    return seat?.ready && !seat.held && this.mayCommand(device) ? seat.alone ?? seat.mine!.epoch : undefined
  }

  /** Waits while the lease may or may not be ours, as when etcd elects a leader. False once it is not, or `REACH_MS` have passed. */
  async certain(device: string): Promise<boolean> {
    const untilMs = this.#o.clock.monoMs() + REACH_MS
    const seat = this.#seats.get(device)
    while (this.#running && seat?.mine && !this.mayCommand(device) && this.#o.clock.monoMs() < untilMs) await this.#pause(10)
    return this.mayCommand(device)
  }

  /** Takes a newer epoch of a device that is ours. @throws MtorError STALE_EPOCH when it is not */
  async renew(device: string, above = 0): Promise<void> {
    const seat = this.#seats.get(device)
    if (!seat?.mine || !this.mayCommand(device) || !this.#store) throw new MtorError('STALE_EPOCH', `${device} is not commanded by this node`)
    const { node } = this.#o
    const { owner } = await this.#store.change(device, seat.mine.revision, { node, lease: seat.mine.lease }, above)
    if (owner) this.#learn(device, owner)
    await seat.working
  }

  /** True once the device has our epoch; false when it does not answer in time, or is not ours. */
  async reached(device: string): Promise<boolean> {
    const untilMs = this.#o.clock.monoMs() + REACH_MS
    while (this.#running && this.mayCommand(device) && this.#o.clock.monoMs() < untilMs) {
      const { taken } = this.#seats.get(device)!
      if (taken && await Promise.race([taken.then(() => true, () => false), this.#pause(RETRY_MS)]) === true) return true
      else await this.#pause(10)
    }
    return false
  }

  owner(device: string): Owner | undefined { return this.#registry.owner(device) }
  /** Living nodes that are wired to a device. */
  wired(device: string): string[] { return [...this.#registry.wired(device).keys()] }
  /** The device of this kind: this node's own, else the first of the realm. */
  ofKind(kind: string): string | undefined {
    for (const { driver } of this.#seats.values()) if (driver.kind === kind) return driver.id
    return this.#registry.devices.find((device) => [...this.#registry.wired(device).values()].includes(kind))
  }
  has(device: string): boolean { return this.#seats.has(device) || this.#registry.devices.includes(device) }
  isAlone(device: string): boolean { const seat = this.#seats.get(device); return seat?.alone !== undefined && seat.ready }

  /** Why a device cannot be commanded by anybody for now: nobody owns it, and every node that is wired to it has been gone for a while. */
  unreachable(device: string): MtorError | undefined {
    const { clock, node, config } = this.#o
    const alive = (name: string) => name === node || this.#etcd?.nodes.has(name) === true
    const wired = this.wired(device)
    if (wired.length === 0 || this.#registry.owner(device) || wired.some(alive)) { this.#desertedMs.delete(device); return undefined }
    const sinceMs = this.#desertedMs.get(device) ?? clock.monoMs()
    this.#desertedMs.set(device, sinceMs)
    if (clock.monoMs() - Math.max(sinceMs, this.#since) < config.unreachableMs) return undefined
    return new MtorError('DEVICE_UNREACHABLE', `${device} is wired to ${wired.join(' and ')} alone, and ${wired.length === 1 ? 'that node is' : 'those nodes are'} lost`, { data: { device, nodes: wired } })
  }

  /** Who is cut off from the majority knows who did command a device, not who does: then nobody is named. */
  list(): DeviceView[] {
    const { node } = this.#o
    const isUpToDate = this.#etcd?.lease.held === true
    return [...new Set([...this.#registry.devices, ...this.#seats.keys()])].sort().map((device): DeviceView => {
      const seat = this.#seats.get(device)
      const here = !seat ? 'not wired' : this.mayCommand(device) ? 'commands' : 'stands by'
      const last = this.#registry.owner(device)
      const owner = here === 'commands' || (isUpToDate && last?.node !== node) ? last : undefined
      const wired = this.#registry.wired(device)
      return {
        device, kind: seat?.driver.kind ?? [...wired.values()][0], owner: owner?.node, epoch: seat?.alone ?? owner?.epoch, wired: [...wired.keys()], lines: isUpToDate ? this.#registry.lines(device) : seat?.driver.connected ? [node] : [],
        here, ...(seat?.alone === undefined ? {} : { alone: true }), ...(isUpToDate ? {} : { cutOff: true }),
      }
    })
  }

  /** Planned hand-over; may be asked on any node. @throws MtorError NO_QUORUM, NOT_FOUND, DEVICE_UNREACHABLE, NODE_UNREACHABLE, BUSY … */
  async move(device: string, to: string, policy: MovePolicy): Promise<Moved> {
    if (!this.#etcd?.lease.held) throw new MtorError('NO_QUORUM', 'this node cannot reach a majority of the nodes')
    return await this.#moves.move(device, to, policy)
  }

  // ---- one device at a time

  #considerAll() { for (const device of this.#seats.keys()) this.#consider(device) }

  /** Does what is due for a device; once more afterwards where it is asked meanwhile. */
  #consider(device: string) {
    const seat = this.#seats.get(device)
    if (!seat || !this.#running) return
    // What must not wait: a right that is gone is not used until somebody has time to notice.
    if (seat.mine && !this.#isOurs(seat, this.#registry.owner(device))) this.#lose(seat)
    if (seat.working) { seat.again = true; return }
    this.#o.clock.clearTimeout(seat.timer)
    seat.working = this.#step(device, seat).catch((error: unknown) => {
      this.#o.hub.system({ severity: 'debug', component: device, name: 'ownership.retry', code: toMtorError(error).code, message: toMtorError(error).message })
      this.#later(seat, RETRY_MS)
    }).finally(() => {
      seat.working = undefined
      if (seat.again) { seat.again = false; this.#consider(device) }
    })
  }

  async #step(device: string, seat: Seat): Promise<void> {
    const { clock, config, node } = this.#o
    const nowMs = clock.monoMs()
    seat.lostMs = seat.driver.connected ? undefined : seat.lostMs ?? nowMs
    const lease = this.#etcd?.lease
    if (!lease?.held || lease.id === undefined || !this.#store) return await this.#withoutRealm(device, seat)
    if (seat.alone !== undefined && !await this.#backFromAlone(device, seat)) return
    await this.#tellLine(device, seat, lease.id)
    const owner = this.#registry.owner(device)
    const { epoch: remembered = 0 } = seat.driver.state() as { epoch?: number }
    if (owner && this.#isOurs(seat, owner)) {
      if (remembered > owner.epoch) return await this.#outdo(device, owner, remembered)
      if (seat.mine?.epoch !== owner.epoch || !seat.taken) this.#command(device, seat, owner)
      return await this.#yield(device, seat, owner)
    }
    if (owner && owner.node !== node) { seat.vacantMs = undefined; return }
    // Nobody's, or this node's of an earlier life.
    if (!owner) {
      seat.vacantMs ??= nowMs
      const leftMs = seat.driver.connected ? 0 : config.vacantMs - (nowMs - seat.vacantMs)
      if (leftMs > 0) { this.#later(seat, leftMs); return }
    }
    seat.vacantMs = undefined
    const changed = await this.#store.change(device, owner?.revision ?? 0, { node, lease: lease.id }, remembered)
    if (changed.owner) this.#learn(device, changed.owner)
    else this.#later(seat, RETRY_MS)
  }

  #command(device: string, seat: Seat, owner: Owner) {
    const { hub } = this.#o
    const isNew = seat.mine?.epoch !== owner.epoch
    seat.mine = owner
    seat.held = seat.ready = false
    const taken = seat.taken = seat.driver.takeCommand(owner.epoch)
    let isTold = false
    const tell = () => {
      if (isTold || !this.#running || seat.taken !== taken) return
      if (!this.mayCommand(device)) { this.#o.clock.setTimeout(tell, RETRY_MS); return }
      isTold = seat.ready = true
      this.#o.onCommand(device)
    }
    taken.then(() => {
      if (isNew) hub.system({ severity: 'info', component: device, name: 'device.owned', message: `this node commands ${device}, epoch ${owner.epoch}`, data: { epoch: owner.epoch, node: owner.node } })
      tell()
    }, () => {
      // The device remembers a newer epoch, or the right was in doubt just now: with the next look it is tried anew.
      if (seat.taken !== taken || !seat.mine) return
      seat.taken = undefined
      this.#later(seat, RETRY_MS)
    })
    this.#o.clock.setTimeout(tell, UNANSWERED_MS)
  }

  /** A device that remembers a newer epoch than the realm, which has lost it, or which another realm gave it. */
  async #outdo(device: string, owner: Owner, remembered: number) {
    this.#o.hub.system({ severity: 'warning', component: device, name: 'epoch.behind', code: 'STALE_EPOCH', message: `${device} remembers epoch ${remembered}, the realm has ${owner.epoch}` })
    const changed = await this.#store!.change(device, owner.revision, owner, remembered)
    if (changed.owner) this.#learn(device, changed.owner)
  }

  /** The line is dead and another node's works: the device goes there. */
  async #yield(device: string, seat: Seat, owner: Owner) {
    const { clock, config, node, hub } = this.#o
    if (seat.lostMs === undefined) return
    const leftMs = config.lineLostMs - (clock.monoMs() - seat.lostMs)
    if (leftMs > 0) { this.#later(seat, leftMs); return }
    const to = this.#registry.lines(device).find((other) => other !== node && this.#etcd!.nodes.has(other))
    if (to === undefined) { this.#later(seat, config.lineLostMs); return }
    const changed = await this.#store!.change(device, owner.revision, { node: to, lease: this.#etcd!.nodes.get(to)! })
    if (changed.made) hub.system({ severity: 'warning', component: device, name: 'device.yielded', code: 'DEVICE_UNREACHABLE', message: `the line of this node to ${device} is dead: ${to} commands it now`, data: { to } })
    if (changed.owner) this.#learn(device, changed.owner)
  }

  /** The right to command is gone, or in doubt. The device is told nothing: another node may be in command already. */
  #lose(seat: Seat) {
    const { id } = seat.driver
    const epoch = seat.mine?.epoch
    seat.mine = seat.taken = undefined
    seat.held = seat.ready = false
    if (seat.alone !== undefined) return
    seat.driver.standBy()
    this.#o.hub.system({ severity: 'warning', component: id, name: 'device.released', message: `this node no longer commands ${id}`, ...(epoch === undefined ? {} : { data: { epoch } }) })
  }

  /** No majority. A device that the operator has named goes on under this node alone, if no other is wired to it. */
  async #withoutRealm(device: string, seat: Seat) {
    const { config, clock, hub, node } = this.#o
    if (seat.mine) this.#lose(seat)
    if (seat.alone !== undefined || !config.standAloneDevices.includes(device)) return
    const others = this.wired(device).filter((other) => other !== node)
    if (others.length > 0) {
      if (seat.vacantMs !== Infinity) hub.system({ severity: 'warning', component: device, name: 'device.not-alone', code: 'NO_QUORUM', message: `${device} is wired to ${others.join(' and ')} as well, so that this node does not command it alone` })
      seat.vacantMs = Infinity
      return
    }
    // Longer than a lease lasts, so that a short loss does not bring it about.
    seat.vacantMs ??= clock.monoMs()
    const leftMs = config.leaseTtlS * 1000 + LEASE_MARGIN_MS - (clock.monoMs() - seat.vacantMs)
    if (leftMs > 0 || !seat.driver.connected) { this.#later(seat, Math.max(RETRY_MS, leftMs)); return }
    const { epoch: remembered = 0 } = seat.driver.state() as { epoch?: number }
    seat.alone = await this.#o.localEpoch(device, Math.max(remembered, this.#registry.owner(device)?.epoch ?? 0))
    seat.vacantMs = undefined
    seat.ready = false
    seat.taken = seat.driver.takeCommand(seat.alone)
    const { alone } = seat
    seat.taken.then(() => { if (seat.alone === alone) seat.ready = true }, () => { /* it goes back to the realm, or the driver ends */ })
    hub.system({ severity: 'warning', component: device, name: 'device.alone', code: 'NO_QUORUM', message: `this node commands ${device} alone, epoch ${seat.alone}`, say: `I drive the ${device} alone now.`, data: { epoch: seat.alone } })
  }

  /** The realm is there again: what runs may end, then the device is taken with an epoch above the one of this node alone. False while something runs. */
  async #backFromAlone(device: string, seat: Seat): Promise<boolean> {
    seat.held = true
    if (!await this.#o.busy.idle(device, 'wait', this.#o.config.startWaitMs)) { this.#later(seat, RETRY_MS); return false }
    const { alone } = seat
    seat.alone = undefined
    seat.held = seat.ready = false
    seat.driver.standBy()
    const lease = this.#etcd?.lease
    const owner = this.#registry.owner(device)
    if (!lease?.held || lease.id === undefined || (owner && owner.node !== this.#o.node)) return true
    const changed = await this.#store!.change(device, owner?.revision ?? 0, { node: this.#o.node, lease: lease.id }, alone)
    if (changed.owner) this.#learn(device, changed.owner)
    return true
  }

  // ---- small things

  #leaseIs(id: string): boolean {
    const lease = this.#etcd?.lease
    return lease !== undefined && lease.id === id && this.#o.clock.monoMs() < lease.heldUntilMs - LEASE_MARGIN_MS
  }

  #isOurs(seat: Seat, owner: Owner | undefined): boolean {
    const { lease } = this.#etcd ?? {}
    if (!owner || owner.node !== this.#o.node || lease === undefined || !lease.held || owner.lease !== lease.id) return false
    return seat.mine === undefined || seat.mine.epoch <= owner.epoch
  }

  /** What a transaction of ours found, before the watch brings it. */
  #learn(device: string, owner: Owner) {
    const value = Buffer.from(JSON.stringify({ node: owner.node, epoch: owner.epoch }))
    this.#registry.apply({ kind: 'put', kv: { key: this.#keys.owner(device), value, createRevision: owner.revision, modRevision: owner.revision, lease: owner.lease } })
    this.#consider(device)
  }

  /** Every node tells what it sees of every device: the history that a checker compares with the controller's. */
  #tellOwner({ kind, kv }: RegistryEvent) {
    const prefix = this.#keys.owner('')
    if (!kv.key.startsWith(prefix)) return
    const device = kv.key.slice(prefix.length)
    const owner = kind === 'put' ? ownerOf(device, kv) : undefined
    this.#o.hub.system({
      severity: 'info', component: 'devices', name: 'device.owner', message: owner ? `${owner.node} commands ${device}, epoch ${owner.epoch}` : `nobody commands ${device}`,
      data: { device, revision: kv.modRevision, ...(owner ? { owner: owner.node, epoch: owner.epoch } : {}) },
    })
  }

  /** Resolves with the revision at which the owners were read. */
  async #look(store: OwnerStore): Promise<number> {
    const { kvs, revision } = await store.read()
    this.#registry.reset(kvs, revision)
    this.#considerAll()
    return revision
  }

  async #refresh() {
    try { await this.#look(this.#store!) } catch { if (this.#running) this.#o.clock.setTimeout(() => { if (this.#running && this.#etcd?.lease.held) void this.#refresh() }, RETRY_MS) }
  }

  async #tellLine(device: string, seat: Seat, lease: string) {
    const { connected } = seat.driver
    if (seat.told?.connected === connected && seat.told.lease === lease) return
    await this.#store!.line(device, this.#o.node, connected, lease)
    seat.told = { connected, lease }
  }

  #introduce({ id, kind }: Driver) {
    void this.#store?.wire(id, this.#o.node, kind).catch(() => { if (this.#running) this.#o.clock.setTimeout(() => { const seat = this.#seats.get(id); if (seat && this.#running) this.#introduce(seat.driver) }, 1_000) })
  }

  #later(seat: Seat, delayMs: number) {
    this.#o.clock.clearTimeout(seat.timer)
    if (this.#running) seat.timer = this.#o.clock.setTimeout(() => { this.#consider(seat.driver.id) }, delayMs)
  }

  #pause(ms: number) { return new Promise<void>((resolve) => { this.#o.clock.setTimeout(resolve, ms) }) }
}
