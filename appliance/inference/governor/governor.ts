import type { GovernorConfig } from '../../config/schema.ts'
import type { Clock, Timer } from '../../contracts/clock.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { SystemEventInput } from '../../contracts/events.ts'
import type { Throttle } from '../port.ts'
import { Ladder } from './ladder.ts'
import type { Reading, Sensor } from './sensor.ts'
import { JetsonSensor } from './sensors/jetson.ts'
import { OtherSystemsSensor } from './sensors/other-systems.ts'
import { PowerSensor } from './sensors/power.ts'
import { TemperatureSensor } from './sensors/temperature.ts'
import { ThrottlingSensor } from './sensors/throttling.ts'

/** A sensor that takes longer is left out; it is not asked again before it has answered. */
const READ_MS = 5_000
/** Below this, without mains, one step more. */
const LOW_BATTERY = 0.15

const UNTHROTTLED: Throttle = Object.freeze({ frameRateFactor: 1 })

export interface SensorStatus {
  sensor: string
  /** missing: there is nothing of the kind here. failed: there is, but it gives no reading now. */
  state: 'unread' | 'good' | 'missing' | 'failed'
  message?: string
  /** Of the last reading that succeeded, and how old it is. */
  reading?: Reading
  ageMs?: number
}

export interface GovernorStatus {
  enabled: boolean
  /** Step of the table, 0 is none, and how many there are. */
  step: number
  steps: number
  throttle: Throttle
  /** The hottest part, where any tells. */
  hottest?: { name: string; temperatureC: number }
  powerMode?: string
  sensors: SensorStatus[]
  /** In words, where it cannot do its work. */
  note?: string
}

export interface GovernorOptions {
  config: GovernorConfig
  clock: Clock
  onEvent(event: SystemEventInput): void
  sensors?: Sensor[]
}

interface Watched { sensor: Sensor; state: SensorStatus['state']; message?: string; last?: { atMs: number; reading: Reading }; underway?: Promise<void> }

/**
 * Reads what the board says of heat and power, and lowers the load of inference by the configured table before the board
 * throttles by itself; restores it step by step.
 */
export class Governor {
  readonly #o: GovernorOptions
  readonly #steps: GovernorConfig['steps']
  readonly #ladder: Ladder
  readonly #sensors: Watched[]
  readonly #listeners = new Set<(throttle: Throttle) => void>()
  #throttle = UNTHROTTLED
  #powerMode: string | undefined
  #timer: Timer | undefined
  #started = false

  constructor(options: GovernorOptions) {
    this.#o = options
    const { config, clock } = options
    this.#steps = config.steps.toSorted((a, b) => a.aboveC - b.aboveC)
    this.#ladder = new Ladder({ aboveC: this.#steps.map(({ aboveC }) => aboveC), hysteresisC: config.hysteresisC, holdMs: config.holdMs })
    this.#sensors = (options.sensors ?? boardSensors(config, clock)).map((sensor) => ({ sensor, state: 'unread' }))
  }

  /** What holds now. */
  get throttle(): Throttle { return this.#throttle }

  /** Called at each change, with what holds from then on. Returns the function that ends it. */
  onChange(listener: (throttle: Throttle) => void): () => void {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  start(): void {
    if (this.#started || !this.#o.config.enabled) return
    this.#started = true
    for (const { sensor } of this.#sensors) sensor.start?.()
    const round = () => {
      void this.look().finally(() => { if (this.#started) this.#timer = this.#o.clock.setTimeout(round, this.#o.config.periodMs) })
    }
    round()
  }

  /** What holds stays as it is. Resolves when the programs of its sensors have ended; stopping twice is fine. */
  async stop(): Promise<void> {
    this.#started = false
    this.#o.clock.clearTimeout(this.#timer)
    await Promise.all(this.#sensors.map(({ sensor }) => sensor.stop?.()))
  }

  /** Reads all sensors once and decides. Never rejects. */
  async look(): Promise<void> {
    await Promise.all(this.#sensors.map((watched) => this.#read(watched)))
    const good = this.#sensors.filter(({ state }) => state === 'good').map(({ last }) => last!.reading)
    const mode = good.find(({ powerMode }) => powerMode !== undefined)?.powerMode
    if (mode !== undefined && mode !== this.#powerMode) {
      if (this.#powerMode !== undefined) for (const { sensor } of this.#sensors) sensor.rebase?.()
      this.#powerMode = mode
    }
    const hottest = hottestOf(good)
    const throttled = good.find((reading) => reading.throttled !== undefined)?.throttled
    const low = good.find(({ power }) => power?.batteryFraction !== undefined && power.batteryFraction < LOW_BATTERY && power.onMains !== true && power.discharging !== false)?.power
    const alsoBecause = throttled ?? (low && `the battery is at ${Math.round(low.batteryFraction! * 100)} %`)
    const before = this.#ladder.level
    const level = this.#ladder.next(this.#o.clock.monoMs(), { temperatureC: hottest?.temperatureC, alsoBecause })
    const why = [hottest && `${hottest.name} is at ${hottest.temperatureC.toFixed(1)} °C`, alsoBecause].filter((part) => part !== undefined).join(', ')
    if (level !== before) this.#change(before, level, why, { hot: hottest !== undefined && hottest.temperatureC >= (this.#steps[0]?.aboveC ?? Infinity), low: low !== undefined })
  }

  status(): GovernorStatus {
    const nowMs = this.#o.clock.monoMs()
    const sensors = this.#sensors.map(({ sensor, state, message, last }): SensorStatus => ({ sensor: sensor.name, state, ...message === undefined ? {} : { message }, ...last ? { reading: last.reading, ageMs: nowMs - last.atMs } : {} }))
    const good = this.#sensors.filter(({ state }) => state === 'good').map(({ last }) => last!.reading)
    const hottest = hottestOf(good)
    const blind = this.#o.config.enabled && !hottest && sensors.every(({ state }) => state !== 'unread')
    return {
      enabled: this.#o.config.enabled, step: this.#ladder.level, steps: this.#ladder.top, throttle: this.#throttle,
      ...hottest ? { hottest } : {}, ...this.#powerMode === undefined ? {} : { powerMode: this.#powerMode }, sensors,
      ...blind ? { note: this.#ladder.level > 0 ? 'no temperature can be read any more: the step stays' : 'no temperature can be read here: nothing is lowered for heat' } : {},
    }
  }

  async #read(watched: Watched): Promise<void> {
    const { clock } = this.#o
    const late = Promise.withResolvers<void>()
    const timer = clock.setTimeout(() => late.resolve(), READ_MS)
    watched.underway ??= watched.sensor.read().then(
      (reading) => { watched.underway = undefined; this.#good(watched, reading) },
      (error: unknown) => { watched.underway = undefined; this.#failed(watched, toMtorError(error, 'DEVICE_UNREACHABLE')) },
    )
    await Promise.race([watched.underway, late.promise])
    clock.clearTimeout(timer)
    if (watched.underway !== undefined) this.#failed(watched, new MtorError('DEVICE_UNREACHABLE', `no answer within ${READ_MS} ms`))
  }

  #good(watched: Watched, reading: Reading): void {
    if (watched.state === 'failed') this.#event({ severity: 'info', name: 'sensor.back', message: `${watched.sensor.name} gives readings again` })
    Object.assign(watched, { state: 'good', message: undefined, last: { atMs: this.#o.clock.monoMs(), reading } })
  }

  #failed(watched: Watched, { code, message }: MtorError): void {
    // A sensor that has never been there is no loss.
    const missing = code === 'NOT_FITTED' && !watched.last
    if (!missing && watched.state !== 'failed') this.#event({ severity: 'warning', name: 'sensor.lost', code: 'DEVICE_UNREACHABLE', message: `${watched.sensor.name}: ${message}` })
    watched.state = missing ? 'missing' : 'failed'
    watched.message = message
  }

  #change(before: number, level: number, why: string, { hot, low }: { hot: boolean; low: boolean }): void {
    const step = this.#steps[level - 1]
    const reason = why || 'cooled down'
    this.#throttle = step ? { frameRateFactor: step.frameRateFactor, ...step.sizePx === undefined ? {} : { sizePx: step.sizePx }, ...step.excludeProviders ? { excludeProviders: step.excludeProviders } : {}, reason } : UNTHROTTLED
    const up = level > before
    const highest = up && level === this.#steps.length
    const cause = hot ? 'I am very hot' : low ? 'My battery is nearly empty' : 'My processor is being slowed down'
    this.#event({
      severity: up ? 'warning' : 'info', name: 'throttle.changed',
      message: `${level === 0 ? 'no step any more' : `step ${level} of ${this.#steps.length}`}: ${reason}`,
      data: { step: level, steps: this.#steps.length, ...this.#throttle },
      ...highest ? { say: `${cause}, so I look less often.` } : {},
    })
    for (const listener of this.#listeners) {
      try { listener(this.#throttle) } catch (error) { this.#event({ severity: 'error', name: 'listener.failed', code: 'INTERNAL', message: String(error) }) }
    }
  }

  #event(event: Omit<SystemEventInput, 'component'>): void { this.#o.onEvent({ component: 'governor', ...event }) }
}

/** The sensors of a Linux board. */
export function boardSensors(config: GovernorConfig, clock: Clock): Sensor[] {
  return [
    new TemperatureSensor(config.thermalDir, new OtherSystemsSensor(clock)), new ThrottlingSensor(config.cpuDir, config.thermalDir),
    new PowerSensor(config.powerDir), new JetsonSensor({ clock, periodMs: config.periodMs }),
  ]
}

function hottestOf(readings: readonly Reading[]): { name: string; temperatureC: number } | undefined {
  const all = readings.flatMap(({ temperaturesC = {} }) => Object.entries(temperaturesC).map(([name, temperatureC]) => ({ name, temperatureC })))
  return all.length === 0 ? undefined : all.reduce((a, b) => b.temperatureC > a.temperatureC ? b : a)
}
