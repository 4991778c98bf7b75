import { monitorEventLoopDelay } from 'node:perf_hooks'
import { loadavg } from 'node:os'
import type { Driver } from '../../drivers/port.ts'
import { PROTOCOL_VERSION } from '../contracts/envelope.ts'
import type { Hub } from '../contracts/hub.ts'
import type { NodeState, NodeTelemetry, RoverState } from '../contracts/telemetry.ts'
import type { Topics } from '../contracts/topics.ts'
import type { Dispatcher, IntentService } from '../dispatch/index.ts'
import type { Guard } from '../guard/mode.ts'
import type { Journal } from '../journal/port.ts'
import type { DeviceView } from '../realm/ownership/index.ts'
import { DEVICE_STATE_MS, DeviceStates, type RealmDevices } from './device-states.ts'

/** Node telemetry is published, and recorded, this often. */
export const TELEMETRY_MS = 10_000

export interface StatusParts {
  version: string
  hub: Hub
  journal: Journal
  guard: Guard
  dispatcher: Dispatcher
  service: IntentService
  drivers: readonly Driver[]
  speech(): Record<string, unknown>
  bus(): Record<string, unknown>
  topics: Topics
  /** Role and versions of this node in its realm, where it is in one. */
  realm?(): Pick<NodeState, 'role' | 'protocol' | 'schema' | 'envelope'>
  /** Who commands what, in a realm. */
  ownership?: RealmDevices & { list(): DeviceView[] }
  publish(topic: string, payload: unknown, options?: { retain?: boolean }): void
  /** Readings by name, for the record of the node. */
  record(values: Readonly<Record<string, number | undefined>>): void
  /** Of inference, vision and the governor. */
  more(): Record<string, unknown>
}

/** Knows how the box is: answers `status`, and publishes node state (retained), device states and telemetry. */
export class Status {
  readonly #p: StatusParts
  readonly #since = performance.now()
  #delay: ReturnType<typeof monitorEventLoopDelay> | undefined
  #timers: NodeJS.Timeout[] = []
  #lastState = ''
  readonly #devices: DeviceStates

  constructor(parts: StatusParts) {
    this.#p = parts
    const { hub, drivers, topics, publish, ownership } = parts
    this.#devices = new DeviceStates({ node: hub.node, drivers, topics, publish, realm: ownership })
  }

  start(): void {
    this.#delay = monitorEventLoopDelay({ resolution: 10 })
    this.#delay.enable()
    this.#timers = [setInterval(() => this.#publishChanges(), DEVICE_STATE_MS), setInterval(() => { void this.#publishTelemetry() }, TELEMETRY_MS)]
    for (const timer of this.#timers) timer.unref()
    this.#publishChanges()
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer)
    this.#timers = []
    this.#delay?.disable()
  }

  async snapshot(): Promise<Record<string, unknown>> {
    const p = this.#p
    return {
      node: p.hub.node, version: p.version, pid: process.pid, uptimeS: Math.round((performance.now() - this.#since) / 1000),
      mode: p.guard.mode, armed: p.guard.armed,
      devices: Object.fromEntries(p.drivers.map((d) => [d.id, { ...d.state(), ...this.#command(d.id) }])),
      speech: p.speech(), ...p.more(), bus: p.bus(),
      intents: { ...p.service.counts, ...p.dispatcher.snapshot(), running: p.dispatcher.snapshot().running.length },
      journal: await p.journal.stats().catch((error: unknown) => ({ unavailable: String(error) })),
      memory: { coreRssMB: Math.round(process.memoryUsage.rss() / 1e6) },
    }
  }

  /** Which node commands a device, and under which epoch; nothing outside of a realm. */
  #command(device: string): { command?: Pick<DeviceView, 'here' | 'owner' | 'epoch' | 'alone'> } {
    const view = this.#p.ownership?.list().find((one) => one.device === device)
    if (!view) return {}
    const { here, owner, epoch, alone } = view
    return { command: { here, owner, epoch, ...(alone ? { alone } : {}) } }
  }

  #publishChanges(): void {
    const { hub, guard, drivers, version, topics, publish } = this.#p
    this.#devices.look()
    const state: Omit<NodeState, 'at'> = { v: PROTOCOL_VERSION, node: hub.node, online: true, version, mode: guard.mode, armed: guard.armed, devices: Object.fromEntries(drivers.map((d) => [d.id, d.connected ? 'connected' : 'lost'])), speech: String(this.#p.speech().state), ...this.#p.realm?.() }
    const text = JSON.stringify(state)
    if (text === this.#lastState) return
    this.#lastState = text
    publish(topics.nodeState(hub.node), { ...state, at: hub.now() }, { retain: true })
  }

  async #publishTelemetry(): Promise<void> {
    const { hub, journal, dispatcher, topics, publish, speech } = this.#p
    const stats = await journal.stats().catch(() => undefined)
    const rss = speech().rssBytes
    const packet: NodeTelemetry = {
      v: PROTOCOL_VERSION, at: hub.now(), coreRssBytes: process.memoryUsage.rss(), ...(typeof rss === 'number' ? { speechRssBytes: rss } : {}),
      eventLoopP99Ms: Math.round((this.#delay?.percentile(99) ?? 0) / 1e4) / 100, load1: loadavg()[0] ?? 0,
      journalQueue: stats?.queue ?? dispatcher.unfinished, intentsAccepted: stats?.accepted ?? 0, intentsFinished: stats?.finished ?? 0,
    }
    this.#delay?.reset()
    this.#p.record({ coreRssBytes: packet.coreRssBytes, speechRssBytes: packet.speechRssBytes, eventLoopP99Ms: packet.eventLoopP99Ms, load1: packet.load1, journalQueue: packet.journalQueue })
    for (const driver of this.#p.drivers) {
      const { batteryV, temperatureC, speedMps } = driver.state() as RoverState
      this.#p.record({ [`${driver.id}.batteryV`]: batteryV, [`${driver.id}.temperatureC`]: temperatureC, [`${driver.id}.speedMps`]: speedMps })
    }
    publish(topics.telemetry(hub.node, 'node'), packet)
  }
}
