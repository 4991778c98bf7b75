import { MtorError } from '../../../contracts/errors.ts'
import type { Reading, Sensor } from '../sensor.ts'
import { entries, line, wholeNumber } from './files.ts'

export interface ThermalZone { /** As the kernel calls it, lower case. */ type: string; temperatureC: number }

/** Beyond these it is no temperature of a board that works: parts that are powered down say −256 °C. */
const COLDEST_C = -60
const HOTTEST_C = 150
/** The PMIC zone of a Jetson says 100 °C for ever; Wi-Fi and batteries have limits of their own. */
const OTHERS = /^pmic|^iwlwifi|^ath\d+k|batt|charger/

/** Thermal zones that say something. @see Linux Documentation/driver-api/thermal/sysfs-api.rst (temp is in millidegrees) */
export async function thermalZones(thermalDir: string): Promise<ThermalZone[]> {
  const zones = await Promise.all((await entries(thermalDir, /^thermal_zone\d+$/)).map(async (zone) => {
    const [type, milli] = await Promise.all([line(thermalDir, zone, 'type'), wholeNumber(thermalDir, zone, 'temp')])
    return { type: (type || zone).toLowerCase(), temperatureC: (milli ?? NaN) / 1000 }
  }))
  return zones.filter(({ temperatureC }) => isPlausible(temperatureC))
}

export const isPlausible = (temperatureC: number): boolean => temperatureC > COLDEST_C && temperatureC < HOTTEST_C

/** Zones that belong to the chip and what cools with it. */
export const isOfTheBoard = (type: string): boolean => !OTHERS.test(type.toLowerCase())

/** Temperatures of the kernel's thermal zones; where it shows none, what the fallback finds. */
export class TemperatureSensor implements Sensor {
  readonly name = 'temperature'
  readonly #dir: string
  readonly #fallback: Pick<Sensor, 'read'> | undefined

  constructor(thermalDir: string, fallback?: Pick<Sensor, 'read'>) {
    this.#dir = thermalDir
    this.#fallback = fallback
  }

  async read(): Promise<Reading> {
    const zones = (await thermalZones(this.#dir)).filter(({ type }) => isOfTheBoard(type))
    if (zones.length > 0) {
      const temperaturesC: Record<string, number> = {}
      // Several zones may have one name: the hottest counts.
      for (const { type, temperatureC } of zones) temperaturesC[type] = Math.max(temperatureC, temperaturesC[type] ?? -Infinity)
      return { temperaturesC }
    }
    const there = await entries(this.#dir, /^thermal_zone\d+$/)
    if (there.length > 0) throw new MtorError('DEVICE_UNREACHABLE', `no thermal zone in ${this.#dir} gives a temperature of the board: ${there.join(', ')}`)
    if (this.#fallback) return this.#fallback.read()
    throw new MtorError('NOT_FITTED', `the kernel shows no thermal zone in ${this.#dir}`)
  }
}
