import Type from 'typebox'
import type { Clock } from '../../contracts/clock.ts'
import { NodeName } from '../../contracts/envelope.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import { validator } from '../../contracts/validate.ts'
import type { Peers } from '../peers/port.ts'
import type { Owner } from './registry.ts'
import type { Seat } from './seat.ts'
import type { OwnerStore } from './store.ts'

/** wait: what runs may end first. stop: it is ended with CANCELLED. */
export const MOVE_POLICIES = ['wait', 'stop'] as const
export type MovePolicy = typeof MOVE_POLICIES[number]

/** What carries out commands of devices here. */
export interface Busy {
  /** Resolves with true once nothing runs for the device; ends it before, where the policy says so. False after `timeoutMs`. */
  idle(device: string, policy: MovePolicy, timeoutMs: number): Promise<boolean>
}

/** How a hand-over went: `handoverMs` from the moment in which nothing ran any more until the device obeyed the new node. */
export interface Moved { device: string; from: string; to: string; epoch: number; waitedMs: number; handoverMs: number }

export interface MovesOptions {
  node: string
  clock: Clock
  peers: Pick<Peers, 'request' | 'serve'>
  busy: Busy
  owner(device: string): Owner | undefined
  lines(device: string): string[]
  isWired(device: string, node: string): boolean
  seat(device: string): Seat | undefined
  leaseOf(node: string): string | undefined
  store(): OwnerStore | undefined
  changed(owner: Owner): void
  /** Reads anew who owns what, past the watch. */
  look(): Promise<void>
}

const CHANNEL = 'device'
const WAIT_MS = 130_000
const STOP_MS = 5_000
const TAKEN_MS = 3_000
const STANDSTILL_MS = 3_000
const SETTLE_MS = 1_000
const AGAIN_MS = 20
/** So long after a hand-over the watch has brought it, unless its stream is stale. */
const WATCHED_MS = 200

const Device = Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$' })
const questionValidator = validator(Type.Union([
  Type.Object({ op: Type.Literal('move'), device: Device, to: NodeName, policy: Type.Enum([...MOVE_POLICIES]) }),
  Type.Object({ op: Type.Literal('taken'), device: Device, epoch: Type.Integer() }),
]))

/** Planned hand-overs: the owner lets what runs end, then gives the key to the other node in one transaction. */
export class Moves {
  readonly #o: MovesOptions
  readonly #moving = new Set<string>()

  constructor(options: MovesOptions) { this.#o = options }

  /** Returns what stops it. */
  start(): () => void {
    return this.#o.peers.serve(CHANNEL, async (_, message) => {
      const question = questionValidator.assert(message, 'MALFORMED', 'question about a device')
      if (question.op === 'move') return await this.#give(question.device, question.to, question.policy)
      return { taken: await this.#taken(question.device, question.epoch) }
    })
  }

  /** What this node knows of the owner may be a moment old: then it asks again. */
  async move(device: string, to: string, policy: MovePolicy): Promise<Moved> {
    const { clock } = this.#o
    for (const untilMs = clock.monoMs() + SETTLE_MS; ; await this.#pause(AGAIN_MS)) {
      try { return await this.#ask(device, to, policy) } catch (error) {
        if (toMtorError(error).code !== 'STALE_EPOCH' || clock.monoMs() >= untilMs) throw error
      }
    }
  }

  async #ask(device: string, to: string, policy: MovePolicy): Promise<Moved> {
    const { node, owner, peers } = this.#o
    const now = owner(device)
    if (!now) throw new MtorError('DEVICE_UNREACHABLE', `no node commands ${device}`, { hint: 'See the devices with: mtor device list' })
    if (now.node === node) return await this.#give(device, to, policy)
    return await peers.request(now.node, CHANNEL, { op: 'move', device, to, policy }, { timeoutMs: (policy === 'wait' ? WAIT_MS : STOP_MS) + TAKEN_MS + 1_000 }) as Moved
  }

  async #give(device: string, to: string, policy: MovePolicy): Promise<Moved> {
    const { node, clock, busy, peers, seat: seatOf, store, leaseOf } = this.#o
    const seat = seatOf(device)
    if (!seat?.mine) throw new MtorError('STALE_EPOCH', `${node} does not command ${device}`)
    if (to === node) throw new MtorError('USAGE', `${node} commands ${device} already`)
    if (!this.#o.isWired(device, to)) throw new MtorError('NOT_FOUND', `${device} is not wired to ${to}`, { hint: 'See the devices with: mtor device list' })
    if (leaseOf(to) === undefined) throw new MtorError('NODE_UNREACHABLE', `${to} does not live`)
    if (!this.#o.lines(device).includes(to)) throw new MtorError('DEVICE_UNREACHABLE', `the line of ${to} to ${device} does not work`)
    if (this.#moving.has(device)) throw new MtorError('BUSY', `${device} is being handed over already`)
    this.#moving.add(device)
    const startMs = clock.monoMs()
    seat.held = true
    try {
      if (!await busy.idle(device, policy, policy === 'wait' ? WAIT_MS : STOP_MS)) throw new MtorError('BUSY', `what ${device} does has not ended`)
      // What was ended still brakes, and the other node's first command would be refused.
      if (policy === 'stop') for (const untilMs = clock.monoMs() + STANDSTILL_MS; seat.driver.state().moving === true && clock.monoMs() < untilMs;) await this.#pause(10)
      const idleMs = clock.monoMs()
      const { mine } = seat
      const lease = leaseOf(to)
      const owners = store()
      if (!mine || !owners || lease === undefined) throw new MtorError('STALE_EPOCH', `${device} has changed hands meanwhile`)
      // From here on nothing is sent any more, however the transaction goes.
      seat.driver.standBy()
      const { owner, made } = await owners.change(device, mine.revision, { node: to, lease })
      if (owner) this.#o.changed(owner)
      if (!made || !owner) throw new MtorError('STALE_EPOCH', `${device} has changed hands meanwhile`)
      const { taken } = await peers.request(to, CHANNEL, { op: 'taken', device, epoch: owner.epoch }, { timeoutMs: TAKEN_MS + 500 }) as { taken?: unknown }
      if (taken !== true) throw new MtorError('DEVICE_UNREACHABLE', `${to} owns ${device} now, and the device does not answer it`)
      const round = (value: number) => Math.round(value * 10) / 10
      return { device, from: node, to, epoch: owner.epoch, waitedMs: round(idleMs - startMs), handoverMs: round(clock.monoMs() - idleMs) }
    } finally {
      this.#moving.delete(device)
      seat.held = false
      // Still ours after all: command is taken up again.
      if (seat.mine) { seat.taken = undefined; const now = this.#o.owner(device); if (now) this.#o.changed(now) }
    }
  }

  /** Once the device obeys this node. */
  async #taken(device: string, epoch: number): Promise<boolean> {
    const { clock, seat: seatOf, look } = this.#o
    const startMs = clock.monoMs()
    let looking: Promise<void> | undefined
    for (let ms = 0; ms < TAKEN_MS; ms = clock.monoMs() - startMs) {
      const seat = seatOf(device)
      const isOurs = seat?.mine !== undefined && seat.mine.epoch >= epoch
      if (isOurs && seat.taken && await seat.taken.then(() => true, () => false)) return true
      if (!isOurs && ms >= WATCHED_MS) looking ??= look().catch(() => { looking = undefined })
      await this.#pause(2)
    }
    return false
  }

  #pause(ms: number) { return new Promise<void>((resolve) => { this.#o.clock.setTimeout(resolve, ms) }) }
}
