import type { Driver } from '../../drivers/port.ts'
import type { Topics } from '../contracts/topics.ts'

/** How often a state is looked at, ms. */
export const DEVICE_STATE_MS = 500
/** A state that stays as it is is told again after this: who counts readings, such as the limit of a flow, counts it too. */
const AGAIN_MS = 2_000
/** Nobody commands a device of whose state nothing was heard at so many looks: its owner tells it at every fourth. */
const SILENT_LOOKS = 10

/** What there is to know of the devices of a realm. */
export interface RealmDevices {
  /** All of them, also those that this node is not wired to. */
  ids(): string[]
  mayCommand(device: string): boolean
  /** Nodes that this one can hear now. */
  online(): string[]
  /** What was last published on a retained topic at any node, `id` anew with each time, and by which node. */
  last(topic: string): { id: string; node: string; payload: Buffer } | undefined
}

export interface DeviceStatesParts {
  node: string
  drivers: readonly Driver[]
  topics: Topics
  publish(topic: string, payload: unknown, options: { retain: boolean }): void
  /** Undefined outside of a realm: then all devices are this node's own. */
  realm?: RealmDevices | undefined
}

/**
 * Publishes the states of devices, each by one node, so that the whole bus has one state of a device: by the node that
 * commands it, whatever others with a line to it hear. Where none does for some seconds, also because this part of the
 * realm is cut off from the rest, the first by name of the nodes that hear each other says that it is not connected.
 */
export class DeviceStates {
  readonly #p: DeviceStatesParts
  readonly #last = new Map<string, { text: string; atMs: number }>()
  readonly #silent = new Map<string, { id: string | undefined; looks: number }>()

  constructor(parts: DeviceStatesParts) { this.#p = parts }

  /** To be called every `DEVICE_STATE_MS`. */
  look(): void {
    const { drivers, realm, node, topics } = this.#p
    for (const driver of drivers) {
      if (!realm || realm.mayCommand(driver.id)) this.#tell(driver)
      else this.#last.delete(driver.id)
    }
    for (const device of realm?.ids() ?? []) {
      if (realm!.mayCommand(device)) this.#silent.delete(device)
      else if (this.#isSilent(device) && realm!.online().every((other) => other > node)) this.#p.publish(topics.deviceState(device), { connected: false, node }, { retain: true })
    }
  }

  #tell(driver: Driver): void {
    const { topics, publish, realm, node } = this.#p
    const topic = topics.deviceState(driver.id)
    const state = { ...driver.state(), node }
    // Age alone is no news.
    const { ageMs: _, ...news } = state as { ageMs?: number }
    const text = JSON.stringify(news)
    const last = this.#last.get(driver.id), nowMs = performance.now()
    // Said by nodes that could not hear this one.
    const contradicted = realm !== undefined && (realm.last(topic)?.node ?? node) !== node
    // Of a device that is lost the last values are no reading.
    if (last?.text === text && !contradicted && !(driver.connected && nowMs - last.atMs >= AGAIN_MS)) return
    this.#last.set(driver.id, { text, atMs: nowMs })
    publish(topic, state, { retain: true })
  }

  /** True once for a device that is retained as connected, or not at all, while nobody says so any more. Looks are counted, not time: a board that stood still has heard nothing meanwhile. */
  #isSilent(device: string): boolean {
    const last = this.#p.realm!.last(this.#p.topics.deviceState(device))
    const before = this.#silent.get(device)
    const looks = before && before.id === last?.id ? before.looks + 1 : 0
    this.#silent.set(device, { id: last?.id, looks })
    return looks >= SILENT_LOOKS && !(last && isLost(last.payload))
  }
}

function isLost(payload: Buffer): boolean {
  try { return (JSON.parse(payload.toString()) as { connected?: unknown }).connected === false } catch { return false }
}
