import { join } from 'node:path'
import { MtorError } from '../../../contracts/errors.ts'
import type { Reading, Sensor } from '../sensor.ts'
import { entries, line, wholeNumber } from './files.ts'

/** Cooling by lower clocks; fans are none. @see Linux drivers/thermal/cpufreq_cooling.c, devfreq_cooling.c; ACPI calls it Processor */
const CLOCK_COOLING = /cpufreq|devfreq|^processor$/i
/** A limit this far below the former one counts as lowered. */
const LOWERED = 0.98

/**
 * Does the kernel already lower clocks? Three ways to know: a cooling device that lowers clocks is on; the counters of
 * thermal events of x86 processors rise; or the limit of cpufreq is below what it was.
 * @see Linux Documentation/admin-guide/pm/cpufreq.rst; arch/x86/kernel/cpu/mce/therm_throt.c (counters)
 */
export class ThrottlingSensor implements Sensor {
  readonly name = 'throttling'
  readonly #cpuDir: string
  readonly #thermalDir: string
  #lastEvents: number | undefined
  /** Highest limit of each processor so far, kHz. */
  #highestLimit = new Map<string, number>()

  constructor(cpuDir: string, thermalDir: string) {
    this.#cpuDir = cpuDir
    this.#thermalDir = thermalDir
  }

  rebase(): void { this.#highestLimit.clear() }

  async read(): Promise<Reading> {
    const processors = await entries(this.#cpuDir, /^cpu\d+$/)
    const [cooling, events, clocks] = await Promise.all([this.#cooling(), this.#events(processors), this.#clocks(processors)])
    if (cooling === undefined && events === undefined && clocks.length === 0) throw new MtorError('NOT_FITTED', `neither clocks nor thermal events in ${this.#cpuDir}, nor cooling devices in ${this.#thermalDir}`)
    const risen = events !== undefined && this.#lastEvents !== undefined && events > this.#lastEvents ? events - this.#lastEvents : 0
    if (events !== undefined) this.#lastEvents = events
    const lowered = clocks.filter(({ name, limitKHz }) => {
      const highest = Math.max(limitKHz, this.#highestLimit.get(name) ?? 0)
      this.#highestLimit.set(name, highest)
      return limitKHz < LOWERED * highest
    })
    const throttled = cooling ? `${cooling} lowers its clock`
      : risen > 0 ? `${risen} thermal events of the processor`
      : lowered[0] ? `${lowered[0].name} is limited to ${Math.round(lowered[0].limitKHz / 1000)} MHz` : undefined
    const fastest = clocks.toSorted((a, b) => b.limitKHz - a.limitKHz)[0]
    return {
      ...throttled === undefined ? {} : { throttled },
      ...fastest ? { clock: { current: fastest.currentKHz / fastest.maxKHz, limit: fastest.limitKHz / fastest.maxKHz } } : {},
    }
  }

  /** The cooling device that is on; '' where none is, undefined where there is none. */
  async #cooling(): Promise<string | undefined> {
    const states = await Promise.all((await entries(this.#thermalDir, /^cooling_device\d+$/)).map(async (device) => ({ type: await line(this.#thermalDir, device, 'type') ?? '', state: await wholeNumber(this.#thermalDir, device, 'cur_state') })))
    const ofClocks = states.filter(({ type, state }) => CLOCK_COOLING.test(type) && state !== undefined)
    return ofClocks.length === 0 ? undefined : ofClocks.find(({ state }) => state! > 0)?.type ?? ''
  }

  async #events(processors: readonly string[]): Promise<number | undefined> {
    const counts = await Promise.all(processors.flatMap((cpu) => ['core_throttle_count', 'package_throttle_count'].map((file) => wholeNumber(this.#cpuDir, cpu, 'thermal_throttle', file))))
    const known = counts.filter((count) => count !== undefined)
    return known.length === 0 ? undefined : known.reduce((sum, count) => sum + count, 0)
  }

  async #clocks(processors: readonly string[]): Promise<{ name: string; currentKHz: number; limitKHz: number; maxKHz: number }[]> {
    const clocks = await Promise.all(processors.map(async (name) => {
      const folder = join(this.#cpuDir, name, 'cpufreq')
      const [currentKHz, limitKHz, maxKHz] = await Promise.all(['scaling_cur_freq', 'scaling_max_freq', 'cpuinfo_max_freq'].map((file) => wholeNumber(folder, file)))
      return currentKHz && limitKHz && maxKHz ? { name, currentKHz, limitKHz, maxKHz } : undefined
    }))
    return clocks.filter((clock) => clock !== undefined)
  }
}
