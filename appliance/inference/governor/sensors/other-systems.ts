import type { Clock } from '../../../contracts/clock.ts'
import { MtorError } from '../../../contracts/errors.ts'
import { output } from '../../child.ts'
import type { Reading, Sensor } from '../sensor.ts'
import { isPlausible } from './temperature.ts'

/** It is asked no more often: each time costs a process of its own and 0.1 s of a processor. */
const FRESH_MS = 30_000
/** Where it knew nothing. */
const AGAIN_MS = 600_000

/**
 * What the package systeminformation knows of the processor's temperature (hwmon chips, macOS, BSD), for boards whose
 * kernel shows no thermal zone. In a process of its own: it starts programs, some of them synchronously, which would hold
 * up the emergency stop.
 */
export class OtherSystemsSensor implements Sensor {
  readonly name = 'systeminformation'
  readonly #clock: Clock
  readonly #ask: () => Promise<string | undefined>
  #until = -Infinity
  #last: Promise<Reading> | undefined

  constructor(clock: Clock, ask: () => Promise<string | undefined> = askSystemInformation) {
    this.#clock = clock
    this.#ask = ask
  }

  async read(): Promise<Reading> {
    if (!this.#last || this.#clock.monoMs() >= this.#until) {
      this.#until = this.#clock.monoMs() + FRESH_MS
      this.#last = this.#measure()
      this.#last.catch(() => { this.#until = this.#clock.monoMs() + AGAIN_MS })
    }
    return this.#last
  }

  async #measure(): Promise<Reading> {
    const answer = await this.#ask()
    const temperatureC = answer === undefined ? undefined : (JSON.parse(answer) as { max?: number | null; main?: number | null }).max
    if (typeof temperatureC !== 'number' || !isPlausible(temperatureC) || temperatureC === 0) throw new MtorError('NOT_FITTED', 'no thermal zone, and systeminformation knows no temperature either')
    return { temperaturesC: { processor: temperatureC } }
  }
}

const askSystemInformation = () => output(process.execPath, ['--input-type=module', '-e', `import si from ${JSON.stringify(import.meta.resolve('systeminformation'))}
console.log(JSON.stringify(await si.cpuTemperature()))`])
