import { EventEmitter, once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { ExecutionContext } from 'ava'
import { systemClock } from '../../appliance/contracts/clock.ts'
import type { MtorError } from '../../appliance/contracts/errors.ts'
import { uuidv7 } from '../../appliance/contracts/ids.ts'
import { RoverDriver, type RoverDriverOptions } from './driver.ts'
import { SimulatorProcess, type SimulatorOptions } from './simulator/host.ts'

export interface Fact { at: number; fact: string; [key: string]: unknown }

/** The facts of a controller's log, in order. */
export const readLog = (file: string): Fact[] => readFileSync(file, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as Fact)

/** So many controllers run at once: more of them on two cores starve each other into the dead man. */
const AT_ONCE = 4
let running = 0
const queue: (() => void)[] = []
async function turn(t: ExecutionContext): Promise<void> {
  if (running >= AT_ONCE) await new Promise<void>((resolve) => { queue.push(resolve) })
  running++
  t.teardown(() => { running--; queue.shift()?.() })
}

/** A driver on a real pty with a simulated controller in its own process; everything is ended with the test. */
export async function rig(t: ExecutionContext, simulatorOptions: SimulatorOptions = {}, driverOptions: Partial<RoverDriverOptions> = {}) {
  await turn(t)
  const simulator = new SimulatorProcess({ speedFactor: 5, ...simulatorOptions })
  // Teardowns run last first: the drivers go, then the controller, then the next test may begin.
  t.teardown(() => simulator.stop())
  const { port } = await simulator.start()
  const happened = new EventEmitter()
  const notices: string[] = []
  const make = (options: Partial<RoverDriverOptions> = {}) => {
    const driver = new RoverDriver({
      id: 'rover', port, clock: systemClock, ...driverOptions, ...options,
      events: {
        connected: () => happened.emit('connected'), lost: (error) => happened.emit('lost', error), state: (state) => happened.emit('state', state),
        notice: (_severity, name, _message, data) => { notices.push(name); happened.emit(name, data) },
      },
    })
    t.teardown(() => driver.stop())
    return driver
  }
  const driver = make()
  await driver.start()
  await driver.takeCommand(1)
  /** Sends a command; `progress` and `started` are emitted on `happened`. */
  const run = (command: string, args: Record<string, unknown>, sequence: number, options: { epoch?: number; signal?: AbortSignal; by?: RoverDriver } = {}) => (options.by ?? driver).execute(command, args, {
    intentId: uuidv7(), ticket: { device: 'rover', epoch: options.epoch ?? 1, sequence }, signal: options.signal ?? new AbortController().signal,
    onProgress: (data) => happened.emit('progress', data), onStarted: () => happened.emit('started'),
  })
  /** The error a command ends with. */
  const failureOf = async (running: Promise<unknown>): Promise<MtorError> => running.then(() => t.fail('expected a rejection') as never, (error: MtorError) => error)
  return {
    simulator, driver, happened, notices, make, run, failureOf, port,
    next: (event: string) => once(happened, event),
    /** The first telemetry for which `holds` is true. */
    until: async (holds: (state: Record<string, unknown>) => boolean) => { for (;;) if (holds((await once(happened, 'state'))[0] as Record<string, unknown>)) return },
    log: () => readLog(simulator.logFile),
    executions: () => readLog(simulator.logFile).filter((f) => f.fact === 'execute'),
  }
}
