import { MtorError } from '../../../contracts/errors.ts'
import type { Reading, Sensor } from '../sensor.ts'
import { entries, line, wholeNumber } from './files.ts'

/** Mains and batteries. @see Linux Documentation/ABI/testing/sysfs-class-power */
export class PowerSensor implements Sensor {
  readonly name = 'power'
  readonly #dir: string
  constructor(powerDir: string) { this.#dir = powerDir }

  async read(): Promise<Reading> {
    const supplies = await Promise.all((await entries(this.#dir, /./)).map(async (name) => {
      const [type, scope, status, capacity, online] = await Promise.all([line(this.#dir, name, 'type'), line(this.#dir, name, 'scope'), line(this.#dir, name, 'status'), wholeNumber(this.#dir, name, 'capacity'), wholeNumber(this.#dir, name, 'online')])
      return { type: type?.toLowerCase(), scope: scope?.toLowerCase(), status: status?.toLowerCase(), capacity, online }
    }))
    const own = supplies.filter(({ type, scope }) => type !== undefined && scope !== 'device')
    const lines = own.filter(({ type, online }) => type !== 'battery' && online !== undefined)
    const batteries = own.filter(({ type, capacity, status }) => type === 'battery' && (capacity !== undefined || status !== undefined))
    if (lines.length === 0 && batteries.length === 0) throw new MtorError('NOT_FITTED', `the kernel shows neither mains nor battery in ${this.#dir}`)
    const onMains = lines.length > 0 ? lines.some(({ online }) => online! > 0) : undefined
    // Of several batteries the fullest keeps the board alive.
    const levels = batteries.map(({ capacity }) => capacity).filter((capacity) => capacity !== undefined && capacity >= 0 && capacity <= 100) as number[]
    const states = batteries.map(({ status }) => status)
    // A gauge that says nothing of its own is judged by the mains.
    const discharging = batteries.length === 0 ? undefined : states.includes('discharging') || (onMains === false && !states.some((status) => status === 'charging' || status === 'full'))
    return { power: {
      ...onMains === undefined ? {} : { onMains },
      ...levels.length > 0 ? { batteryFraction: Math.max(...levels) / 100 } : {},
      ...discharging === undefined ? {} : { discharging },
    } }
  }
}
