import { systemClock as clock } from '../../appliance/contracts/clock.ts'
import type { DeviceView } from '../../appliance/realm/ownership/index.ts'
import type { RealmStatus } from '../../appliance/realm/status.ts'
import type { RoverState } from '../../appliance/contracts/telemetry.ts'
import type { Appliance } from '../resources/appliance.ts'

export interface IntentView { id: string; type: string; slots: Record<string, unknown>; from: string; by?: string; epoch?: number; state: string; code?: string; startMs: number; endMs?: number }
export interface Fact { atMs: number; node: string; text: string }

interface Answers { realm?: RealmStatus; devices?: DeviceView[]; rover?: RoverState; atMs: number; busy: boolean }
/** The parts of an event of the feed that are looked at here. */
interface FedEvent { severity?: string; id?: string; type?: string; state?: string; name?: string; message?: string; code?: string; node: string; at: { mono: number }; data?: Record<string, unknown>; ticket?: { epoch: number } }

const POLL_MS = 200
/** What was answered longer ago than this says nothing of now, ms. */
export const FRESH_MS = 1_000
const KEPT = 50
const TOLD = new Set(['device.owned', 'device.released', 'node.dead', 'etcd.no-quorum', 'intent.not-judged'])

/** What the nodes say of themselves and of each other, asked for and followed over their control sockets. */
export class Watch {
  readonly #nodes: ReadonlyMap<string, Appliance>
  readonly #answers = new Map<string, Answers>()
  readonly #abort = new AbortController()
  readonly #known = new Map<string, IntentView>()
  #timer: NodeJS.Timeout | undefined
  readonly facts: Fact[] = []
  /** Told of each take-over of the rover. */
  onOwned: (node: string, epoch: number, atMs: number) => void = () => {}

  constructor(nodes: ReadonlyMap<string, Appliance>) { this.#nodes = nodes }

  start(): void {
    for (const name of this.#nodes.keys()) {
      this.#answers.set(name, { atMs: -Infinity, busy: false })
      void this.#follow(name)
    }
    this.#timer = setInterval(() => { for (const name of this.#nodes.keys()) void this.#ask(name) }, POLL_MS)
  }

  stop(): void {
    this.#abort.abort()
    clearInterval(this.#timer)
  }

  get intents(): IntentView[] { return [...this.#known.values()] }
  intent(id: string): IntentView | undefined { return this.#known.get(id) }
  answers(name: string): boolean { return clock.monoMs() - this.#answers.get(name)!.atMs < FRESH_MS }

  /** The newest answer among living nodes; of the rover's owner most of all, because it knows first. */
  #freshest(): Answers | undefined {
    const fresh = [...this.#answers.values()].filter(({ atMs }) => clock.monoMs() - atMs < FRESH_MS)
    return fresh.find(({ devices }) => devices?.some(({ here }) => here === 'commands')) ?? fresh.sort((a, b) => b.atMs - a.atMs)[0]
  }

  get device(): DeviceView | undefined { return this.#freshest()?.devices?.find(({ device }) => device === 'rover') }
  get leader(): string | undefined { return this.#freshest()?.realm?.leader }
  get rover(): RoverState | undefined { return this.#freshest()?.rover }
  /** It answers, and another that answers sees it, where there is one. */
  online(name: string): boolean {
    const others = [...this.#answers].filter(([of]) => of !== name && this.answers(of))
    return this.answers(name) && (others.length === 0 || others.some(([, { realm }]) => realm?.nodes.some(({ node, online }) => node === name && online === true)))
  }

  tell(text: string, node = ''): void {
    this.facts.push({ atMs: clock.monoMs(), node, text })
    if (this.facts.length > KEPT) this.facts.shift()
  }

  async #ask(name: string): Promise<void> {
    const answers = this.#answers.get(name)!
    // A process that is stopped answers when it goes on.
    if (answers.busy) return
    answers.busy = true
    const { control } = this.#nodes.get(name)!
    try {
      const [realm, devices, status] = await Promise.all([control.call('GET', '/realm'), control.call('GET', '/devices'), control.call('GET', '/status')]) as [RealmStatus, DeviceView[], { devices: { rover?: RoverState } }]
      Object.assign(answers, { realm, devices, rover: status.devices.rover, atMs: clock.monoMs() })
    } catch { /* It does not run just now; how old its last answer is says so. */ } finally { answers.busy = false }
  }

  async #follow(name: string): Promise<void> {
    const { signal } = this.#abort
    while (!signal.aborted) {
      try { for await (const event of this.#nodes.get(name)!.control.lines('GET', '/events?follow=true&last=0', undefined, signal)) this.#take(event as unknown as FedEvent) } catch { /* It does not run just now. */ }
      await new Promise((done) => setTimeout(done, POLL_MS))
    }
  }

  /** Events of intents come from every node that hears of them: the first counts. */
  #take(event: FedEvent): void {
    if (event.severity === undefined) { this.#intent(event); return }
    if (event.name === 'device.owned') this.onOwned(event.node, Number(event.data?.['epoch']), event.at.mono)
    if (TOLD.has(event.name ?? '')) this.tell(event.message ?? '', event.node)
  }

  #intent(event: FedEvent): void {
    const { id = '', state = '' } = event
    let view = this.#known.get(id)
    if (!view) {
      view = { id, type: event.type ?? '', slots: {}, from: event.node, state: 'accepted', startMs: event.at.mono }
      this.#known.set(id, view)
      if (this.#known.size > KEPT) this.#known.delete(this.#known.keys().next().value!)
    }
    if (state === 'accepted') { view.slots = (event.data?.['slots'] ?? {}) as Record<string, unknown>; view.from = event.node }
    if (view.endMs !== undefined || state === 'progress') return
    if (state === 'started') { view.by = event.node; if (event.ticket) view.epoch = event.ticket.epoch }
    if (state !== 'accepted') view.state = state
    if (['succeeded', 'failed', 'aborted', 'expired'].includes(state)) { view.endMs = event.at.mono; view.by ??= event.node; if (event.code !== undefined) view.code = event.code }
  }
}
