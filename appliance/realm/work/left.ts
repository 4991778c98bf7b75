import type { Driver, PastOutcome } from '../../../drivers/port.ts'
import type { Clock } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import { DeviceTicket } from '../../contracts/events.ts'
import type { Hub } from '../../contracts/hub.ts'
import { intentPolicy } from '../../contracts/intents.ts'
import { validator } from '../../contracts/validate.ts'
import { judge, type Dispatcher } from '../../dispatch/index.ts'
import type { JournalEntry } from '../../journal/port.ts'
import type { DeviceOwnership } from '../ownership/index.ts'
import type { Peers } from '../peers/port.ts'

export interface LeftOptions {
  clock: Clock
  node: string
  ownership: DeviceOwnership
  peers: Pick<Peers, 'request' | 'serve'>
  drivers: readonly Driver[]
  judge: { dispatcher: Dispatcher; hub: Hub; clock: Clock }
  has(id: string): boolean
  leftMs(entry: JournalEntry): number | undefined
  get(id: string): Promise<JournalEntry | undefined>
  takeUp(entry: JournalEntry): Promise<void>
}

const CHANNEL = 'past'
const ROUND_MS = 500
const ASK_MS = 4_000
const ticketValidator = validator(DeviceTicket)

/**
 * Commands that were begun, and whose node cannot end them as it would: those of a former life of this node, which
 * commands the device no longer, and those of a lost node whose device nobody commands.
 */
export class Left {
  readonly #o: LeftOptions
  readonly #all = new Map<string, { entry: JournalEntry; own: boolean; untilMs: number }>()
  #timer: ReturnType<Clock['setTimeout']> | undefined
  #running = false

  constructor(options: LeftOptions) { this.#o = options }

  /** Returns what stops answering. */
  start(): () => void {
    this.#running = true
    return this.#o.peers.serve(CHANNEL, async (_, message) => {
      const ticket = ticketValidator.assert(message, 'MALFORMED', 'a question about a ticket')
      const driver = this.#o.drivers.find(({ id }) => id === ticket.device)
      if (!driver?.connected) throw new MtorError('DEVICE_UNREACHABLE', `no line to ${ticket.device} here`)
      return await driver.pastOutcome(ticket)
    })
  }

  stop() {
    this.#running = false
    this.#o.clock.clearTimeout(this.#timer)
    this.#all.clear()
  }

  /** Claimed by a former life of this node. */
  own(entry: JournalEntry) { this.#add(entry, true) }
  /** Claimed by a node that is lost, for a device that this node does not command. */
  others(entry: JournalEntry) { this.#add(entry, false) }

  #add(entry: JournalEntry, own: boolean) {
    const { clock } = this.#o
    if (this.#all.has(entry.envelope.id)) return
    this.#all.set(entry.envelope.id, { entry, own, untilMs: clock.monoMs() + (intentPolicy(entry.envelope.type)?.deadlineMs ?? 0) })
    this.#later(0)
  }

  #later(delayMs: number) {
    this.#o.clock.clearTimeout(this.#timer)
    if (this.#running && this.#all.size > 0) this.#timer = this.#o.clock.setTimeout(() => { void this.#round().finally(() => { this.#later(ROUND_MS) }) }, delayMs)
  }

  async #round(): Promise<void> {
    for (const [id, one] of this.#all) {
      // What cannot be reached now is tried again in the next round.
      const settled = await this.#settle(one.entry, one.own, one.untilMs).catch(() => false)
      if (settled) this.#all.delete(id)
    }
  }

  /** True once there is nothing left to do about it here. */
  async #settle(entry: JournalEntry, own: boolean, untilMs: number): Promise<boolean> {
    const { ownership, node, clock, takeUp, get, judge: parts } = this.#o
    const { envelope, claim } = entry
    const { ticket } = claim!
    if (this.#o.has(envelope.id)) return true
    const now = await get(envelope.id)
    if (now?.state !== 'claimed' || now.claim?.node !== claim!.node) return true
    if (!ticket || ownership.epochOf(ticket.device) !== undefined) { await takeUp(entry); return true }
    const owner = ownership.owner(ticket.device)
    // The owner judges what lost nodes had begun; of a node that lives it may not.
    if (!own && owner) return true
    if (own && owner && owner.node !== node && owner.epoch > ticket.epoch) {
      const verdict = await judge(entry, { ...parts, drivers: [this.#asking(ticket.device, owner.node)], reachable: () => Promise.resolve(true), leftMs: (one) => this.#o.leftMs(one) })
      const finish = 'finish' in verdict ? verdict.finish : { state: 'failed', code: 'INTERRUPTED', message: `${node} was started anew before it had begun, and ${owner.node} commands ${ticket.device} now`, deadLetter: true } as const
      await parts.dispatcher.finish({ id: envelope.id, envelope }, finish)
      return true
    }
    if (owner || clock.monoMs() < untilMs || !ownership.unreachable(ticket.device)) return false
    await parts.dispatcher.finish({ id: envelope.id, envelope }, { state: 'failed', code: 'OUTCOME_UNKNOWN', message: `${claim!.node} had begun it and is lost, and ${ticket.device} cannot be asked`, deadLetter: true })
    return true
  }

  /** The device as somebody who may only ask it: over the own line, else over the owner's. */
  #asking(device: string, owner: string): Driver {
    const own = this.#o.drivers.find(({ id, connected }) => id === device && connected)
    const pastOutcome: Driver['pastOutcome'] = own ? (ticket) => own.pastOutcome(ticket) : async (ticket) => await this.#o.peers.request(owner, CHANNEL, ticket, { timeoutMs: ASK_MS }) as { outcome: PastOutcome }
    return { id: device, pastOutcome } as Partial<Driver> as Driver
  }
}
