import type { Hub } from '../contracts/hub.ts'

/** Anything that can be halted at once: a driver, the dispatcher. Must not wait, must not throw. */
export interface Stoppable { readonly id: string; emergencyStop(reason: string): void }

/**
 * The stop path. Word, MQTT topic, CLI, console key and datagram socket all end in `trigger`, which calls every
 * driver directly, on the caller's stack: no queue, no journal, no promise lies between the request and the wire.
 */
export class EmergencyStop {
  readonly #hub: Hub
  readonly #drivers: Stoppable[] = []
  readonly #relays: ((reason: string) => void)[] = []
  readonly #after: ((reason: string) => void)[] = []
  #count = 0

  constructor(hub: Hub) { this.#hub = hub }

  /** Drivers are halted first, in the order they were added. */
  addDriver(driver: Stoppable) { this.#drivers.push(driver) }

  /** Called as soon as the drivers here were told: passes it on to other nodes. Must not wait, must not throw. */
  addRelay(relay: (reason: string) => void) { this.#relays.push(relay) }

  /** Called after all drivers were told: ends what is running and queued. */
  afterwards(action: (reason: string) => void) { this.#after.push(action) }

  /** How often it was triggered since start. */
  get count() { return this.#count }

  /** Halts everything that moves. Synchronous; never throws. */
  trigger(reason: string): void {
    this.#count += 1
    const failures: string[] = []
    for (const driver of this.#drivers) {
      // A driver that fails must not keep the next one from being stopped.
      try { driver.emergencyStop(reason) } catch (error) { failures.push(`${driver.id}: ${String(error)}`) }
    }
    for (const action of [...this.#relays, ...this.#after]) {
      try { action(reason) } catch (error) { failures.push(String(error)) }
    }
    this.#hub.system({
      severity: failures.length ? 'critical' : 'warning', component: 'guard', name: 'stop', code: 'STOPPED',
      message: failures.length ? `stop (${reason}); could not halt ${failures.join('; ')}` : `stop (${reason})`, data: { reason },
    })
  }
}
