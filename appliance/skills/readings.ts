import { MtorError } from '../contracts/errors.ts'
import type { SENSORS } from '../contracts/intents.ts'
import type { RoverState } from '../contracts/telemetry.ts'
import type { BoxReader } from './box.ts'
import type { Skill, SkillResult } from './port.ts'
import { duration, percent, quantity } from './words.ts'

/** Looks up the latest state of the first device of a kind; undefined when none is configured. */
export type DeviceStateReader = (kind: 'rover') => { id: string; state: RoverState } | undefined

/** A value older than this is not given as the present one, ms. */
const MAX_AGE_MS = 5_000

type Sensor = (typeof SENSORS)[number]

/** What of the rover's state answers for a sensor, and how it is said. Sensors not named here are on no device yet. */
const ROVER: Partial<Record<Sensor, { field: keyof RoverState & ('batteryFraction' | 'temperatureC' | 'headingDeg' | 'odometerM' | 'speedMps' | 'lightFraction'); unit: string; say(value: number): string }>> = {
  battery: { field: 'batteryFraction', unit: '1', say: (v) => `The rover's battery is at ${percent(v)}.` },
  temperature: { field: 'temperatureC', unit: 'Cel', say: (v) => `The rover is at ${quantity(v, 'degree Celsius', 1)}.` },
  heading: { field: 'headingDeg', unit: 'deg', say: (v) => `The heading is ${quantity(v, 'degree', 0)} from where I started, counter-clockwise.` },
  distance: { field: 'odometerM', unit: 'm', say: (v) => `The wheels have travelled ${quantity(v, 'metre', 1)}.` },
  speed: { field: 'speedMps', unit: 'm/s', say: (v) => `The speed is ${quantity(v, 'metre per second')}.` },
  light: { field: 'lightFraction', unit: '1', say: (v) => v === 0 ? 'The lights are off.' : `The lights are at ${percent(v)}.` },
}

/** The rover's state if it is fresh. @throws MtorError DEVICE_UNREACHABLE with the age of the last word from it */
function fresh(rover: { id: string; state: RoverState }): RoverState {
  const { connected, ageMs } = rover.state
  if (connected && ageMs !== undefined && ageMs <= MAX_AGE_MS) return rover.state
  const since = ageMs === undefined ? 'I have had no reading from the rover yet.' : `The last reading from the rover is ${duration(ageMs / 1000, 2)} old.`
  throw new MtorError('DEVICE_UNREACHABLE', `expected a state of ${rover.id} of the last ${MAX_AGE_MS} ms, got ${connected ? 'connected' : 'disconnected'}, age ${ageMs === undefined ? 'unknown' : `${Math.round(ageMs)} ms`}`,
    { say: `I cannot reach the rover. ${since}`, data: { device: rover.id, ...(ageMs === undefined ? {} : { ageMs }) } })
}

/** Reads sensors and the state of power; a value that is missing or old is an error, never a number. */
export function makeReadingsSkill({ deviceState, box }: { deviceState: DeviceStateReader; box: BoxReader }): Skill {
  async function sensor(name: Sensor): Promise<SkillResult> {
    const rover = deviceState('rover')
    const source = ROVER[name]
    if (rover && source) {
      const state = fresh(rover)
      const value = state[source.field]
      if (value !== undefined) return { say: source.say(value), data: { sensor: name, value, unit: source.unit, ageMs: state.ageMs, of: rover.id, field: source.field } }
    }
    if (name === 'temperature') {
      const { temperatureC } = await box.read()
      if (temperatureC !== undefined) return { say: `My processor is at ${quantity(temperatureC, 'degree Celsius', 0)}.`, data: { sensor: name, value: temperatureC, unit: 'Cel', of: 'box' } }
    }
    if (name === 'battery') {
      const { battery } = await box.read()
      if (battery?.fraction !== undefined) return { say: `My battery is at ${percent(battery.fraction)}.`, data: { sensor: name, value: battery.fraction, unit: '1', of: 'box' } }
    }
    throw new MtorError('NOT_FITTED', `no device here measures ${name}`, { say: `No ${name} sensor is fitted.` })
  }

  async function power(): Promise<SkillResult> {
    const said: string[] = []
    const data: Record<string, unknown> = {}
    const rover = deviceState('rover')
    let unreachable: MtorError | undefined
    if (rover) {
      try {
        const { batteryFraction, batteryV, ageMs } = fresh(rover)
        const parts = [...(batteryFraction === undefined ? [] : [percent(batteryFraction)]), ...(batteryV === undefined ? [] : [quantity(batteryV, 'volt', 1)])]
        if (parts.length > 0) {
          said.push(`The rover's battery is at ${parts.join(', ')}.`)
          data[rover.id] = { batteryFraction, batteryV, ageMs }
        }
      } catch (error) {
        if (!(error instanceof MtorError)) throw error
        unreachable = error
      }
    }
    const { battery } = await box.read()
    if (battery) {
      said.push(`My battery is at ${battery.fraction === undefined ? 'an unknown level' : percent(battery.fraction)}${battery.charging ? ' and charging' : ''}.`)
      data.box = battery
    }
    if (said.length === 0) throw unreachable ?? new MtorError('NOT_FITTED', 'no battery on this box or its devices', { say: 'No battery is fitted.' })
    if (unreachable) said.push(unreachable.say)
    return { say: said.join(' '), data }
  }

  return {
    name: 'readings',
    types: ['power.status', 'sensor.read'],
    start: () => box.start(),
    run: (context) => context.intent.type === 'power.status' ? power() : sensor(context.slots.sensor as Sensor),
  }
}
