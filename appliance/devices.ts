import { join } from 'node:path'
import type { Driver } from '../drivers/port.ts'
import { RoverDriver, SimulatorProcess } from '../drivers/rover/index.ts'
import { inRunDir } from './config/load.ts'
import type { Config } from './config/schema.ts'
import type { Clock } from './contracts/clock.ts'
import { toMtorError } from './contracts/errors.ts'
import type { Hub } from './contracts/hub.ts'
import type { Journal } from './journal/port.ts'
import type { Parts } from './parts.ts'
import type { DeviceOwnership } from './realm/ownership/index.ts'

/** How long the restart waits for a device before it gives up asking what became of a command. */
const RECOVERY_REACH_MS = 15_000

interface DevicesOptions {
  config: Config; hub: Hub; clock: Clock; journal: Journal; parts: Parts
  /** In a realm: which node commands what. Left out: this node commands all that it has. */
  ownership?: DeviceOwnership
}

/** The devices of this node, each with the epoch under which it is commanded. */
export class Devices {
  readonly drivers: Driver[] = []
  readonly #o: DevicesOptions
  readonly #epochs = new Map<string, number>()
  readonly #inCommand = new Map<string, Promise<void>>()

  constructor(options: DevicesOptions) { this.#o = options }

  epochOf(id: string): number | undefined { return this.#o.ownership ? this.#o.ownership.epochOf(id) : this.#epochs.get(id) }

  /** Starts the driver of a device, and for "simulated" the controller. Resolves with the driver and its port. */
  async start(device: Config['devices'][number]): Promise<{ driver: Driver; port: string }> {
    const port = device.port === 'simulated' ? await this.#startSimulator(device.id) : device.port
    const driver = this.#make(device.id, port, device.baudRate)
    await driver.start()
    this.drivers.push(driver)
    if (this.#o.ownership) this.#o.ownership.add(driver)
    else await this.#takeFirstCommand(device.id)
    return { driver, port }
  }

  /** A fresh epoch of the journal's, above any that is given; the device learns it as soon as it can be reached. */
  async takeCommand(id: string, above = 0): Promise<void> {
    if (this.#o.ownership) return await this.#o.ownership.renew(id, above)
    const epoch = await this.#o.journal.nextEpoch(id, above)
    this.#epochs.set(id, epoch)
    this.#command(id, this.drivers.find((d) => d.id === id)!.takeCommand(epoch))
  }

  /** True once the device has our epoch; false when it does not answer in time. */
  async reached(id: string): Promise<boolean> {
    if (this.#o.ownership) return await this.#o.ownership.reached(id)
    const taken = this.#inCommand.get(id)
    if (!taken) return false
    const timeout = Promise.withResolvers<false>()
    const timer = setTimeout(() => timeout.resolve(false), RECOVERY_REACH_MS)
    try { return await Promise.race([taken.then(() => true, () => false), timeout.promise]) } finally { clearTimeout(timer) }
  }

  /** Halts what runs, and closes the lines. */
  async stop(): Promise<void> { await Promise.all(this.drivers.map((d) => d.stop())) }

  #command(id: string, taken: Promise<void>): void { taken.catch(() => {}); this.#inCommand.set(id, taken) }

  /** At the start only: a device that remembers a later epoch than our journal (its disk was replaced) is told a later one. */
  async #takeFirstCommand(id: string): Promise<void> {
    await this.takeCommand(id)
    this.#command(id, this.#inCommand.get(id)!.catch(async (error: unknown) => {
      const { code, data } = toMtorError(error)
      if (code !== 'STALE_EPOCH' || typeof data?.currentEpoch !== 'number') throw error
      this.#o.hub.system({ severity: 'warning', component: id, name: 'epoch.behind', code, message: `${id} remembers epoch ${data.currentEpoch}, the journal had lost it` })
      await this.takeCommand(id, data.currentEpoch)
      await this.#inCommand.get(id)
    }))
  }

  /** A simulated rover controller of our own, as a child process; the driver reaches it over a pty as over any line. */
  async #startSimulator(id: string): Promise<string> {
    const { config, hub, clock, parts } = this.#o
    const simulator = new SimulatorProcess({ link: inRunDir(config, `${id}.tty`), logFile: join(config.stateDir, 'log', `${id}-simulator.log`), stateFile: join(config.stateDir, `${id}-simulator.json`), clock, onEvent: (event) => hub.system(event) })
    const { port } = await simulator.start()
    parts.add(`simulated ${id}`, () => simulator.stop())
    return port
  }

  #make(id: string, port: string, baudRate: number): Driver {
    const { hub, clock, ownership } = this.#o
    let wasLost = false
    // In a realm: changes of the line, after they were told.
    const lineChanged = () => { setImmediate(() => ownership?.lineChanged(id)) }
    return new RoverDriver({
      id, port, baudRate, clock, ...(ownership ? { mayCommand: () => ownership.mayCommand(id) } : {}),
      events: {
        connected: () => { hub.system({ severity: 'info', component: id, name: 'device.connected', message: `${id} is connected on ${port}`, ...(wasLost ? { say: `The ${id} is back.` } : {}) }); wasLost = false; lineChanged() },
        lost: (error) => { wasLost = true; lineChanged(); hub.system({ severity: 'warning', component: id, name: 'device.lost', code: error.code, message: error.message, say: `I have lost the ${id}.` }) },
        notice: (severity, name, message, data) => {
          const isMissing = name === 'port.unavailable'
          wasLost ||= isMissing
          if (name === 'epoch.refused') lineChanged()
          hub.system({ severity, component: id, name, message, ...(isMissing ? { code: 'DEVICE_UNREACHABLE', say: `I cannot find the ${id}.` } : {}), ...(data ? { data } : {}) })
        },
      },
    })
  }
}
