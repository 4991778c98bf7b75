import Type, { type Static } from 'typebox'
import { CODES, type Code } from '../../appliance/contracts/codes.ts'
import type { DeviceTicket } from '../../appliance/contracts/events.ts'
import { MtorError } from '../../appliance/contracts/errors.ts'
import type { RoverState } from '../../appliance/contracts/telemetry.ts'
import { validator } from '../../appliance/contracts/validate.ts'
import type { PastOutcome } from '../port.ts'
import { FLAG, nameOf, OUTCOME, STATUS, UNKNOWN, type MessageOf, type ResultFields } from './protocol.ts'

const args = <P extends Parameters<typeof Type.Object>[0]>(properties: P) => Type.Object(properties, { additionalProperties: false })
const speedMps = Type.Number({ minimum: 0.01, maximum: 2, 'x-unit': 'm/s' })

/** Arguments of the commands that `execute` takes; ranges are what the protocol and the vehicle can carry. */
export const ROVER_COMMANDS = {
  move: args({ distanceM: Type.Number({ minimum: -1000, maximum: 1000, 'x-unit': 'm' }), speedMps: Type.Optional(speedMps) }),
  turn: args({ angleDeg: Type.Number({ minimum: -3600, maximum: 3600, 'x-unit': 'deg' }) }),
  speed: args({ speedMps }),
  light: args({ fraction: Type.Number({ minimum: 0, maximum: 1, 'x-unit': '1' }) }),
}
export type RoverCommand = keyof typeof ROVER_COMMANDS
type ArgsOf<C extends RoverCommand> = Static<(typeof ROVER_COMMANDS)[C]>
export type CommandMessage = MessageOf<'MOVE' | 'TURN' | 'SET_SPEED' | 'SET_LIGHT'>

const validators = {
  move: validator(ROVER_COMMANDS.move), turn: validator(ROVER_COMMANDS.turn), speed: validator(ROVER_COMMANDS.speed), light: validator(ROVER_COMMANDS.light),
}

/** The frame of a command. Throws NOT_FITTED for an unknown command, INVALID_SLOTS for wrong arguments; nothing was sent then. */
export function commandMessage(command: string, given: Record<string, unknown>, intentId: string, ticket: DeviceTicket): CommandMessage {
  if (!Object.hasOwn(ROVER_COMMANDS, command)) throw new MtorError('NOT_FITTED', `rover command: expected ${Object.keys(ROVER_COMMANDS).join(', ')}, got ${command}`)
  const name = command as RoverCommand
  const what = `rover command ${name}`
  const head = { epoch: ticket.epoch, sequence: ticket.sequence, intentId }
  validators[name].assert(given, 'INVALID_SLOTS', what)
  switch (name) {
    case 'move': { const a = given as ArgsOf<'move'>; return { type: 'MOVE', ...head, distanceMm: Math.round(a.distanceM * 1000), speedMmps: Math.round((a.speedMps ?? 0) * 1000) } }
    case 'turn': return { type: 'TURN', ...head, angleCdeg: Math.round((given as ArgsOf<'turn'>).angleDeg * 100) }
    case 'speed': return { type: 'SET_SPEED', ...head, speedMmps: Math.round((given as ArgsOf<'speed'>).speedMps * 1000) }
    case 'light': return { type: 'SET_LIGHT', ...head, fraction255: Math.round((given as ArgsOf<'light'>).fraction * 255) }
  }
}

/** What the wheel encoders measured, SI units; what the controller could not tell is absent. */
export function measuredData(result: ResultFields): Record<string, unknown> {
  const value = (raw: number, scale: number) => raw === UNKNOWN.i32 ? undefined : raw / scale
  const all = { distanceM: value(result.distanceMm, 1000), angleDeg: value(result.angleCdeg, 100), headingDeg: value(result.headingCdeg, 100) }
  return Object.fromEntries(Object.entries(all).filter(([, v]) => v !== undefined))
}

/** Code and sentence for each end of a command that is not success. */
const ENDS: Partial<Record<number, readonly [Code, string]>> = {
  [OUTCOME.stopped]: ['STOPPED', 'it was stopped'],
  [OUTCOME.deadMan]: ['INTERRUPTED', 'the rover stopped by itself because it heard no heartbeat'],
  [OUTCOME.stalled]: ['STALLED', 'the wheels did not turn'],
  [OUTCOME.lowBattery]: ['LOW_BATTERY', 'the battery ran low on the way'],
  [OUTCOME.takenOver]: ['STALE_EPOCH', 'a newer epoch took command of the rover'],
  [OUTCOME.interrupted]: ['OUTCOME_UNKNOWN', 'the controller lost power while doing it; how far it came is not known'],
  [OUTCOME.neverReceived]: ['DEVICE_UNREACHABLE', 'the controller never received it'],
  [OUTCOME.unknown]: ['OUTCOME_UNKNOWN', 'the controller no longer remembers it'],
}

const REFUSALS: Partial<Record<number, readonly [Code, string]>> = {
  [STATUS.staleEpoch]: ['STALE_EPOCH', 'the rover obeys a newer epoch'],
  [STATUS.repeatedSequence]: ['DEVICE_REFUSED', 'its sequence is not newer than the last one; tickets must be sent in order'],
  [STATUS.badArgument]: ['INVALID_SLOTS', 'the rover does not accept these arguments'],
  [STATUS.busy]: ['BUSY', 'the rover is moving already'],
  [STATUS.lowBattery]: ['LOW_BATTERY', 'the battery is too low to move'],
  [STATUS.noHeartbeat]: ['DEVICE_REFUSED', 'the rover has heard no heartbeat'],
  [STATUS.storageFault]: ['DEVICE_REFUSED', 'the controller cannot write its memory'],
}

/** The error of a refusal (`status` of REPLY). */
export function refusal(what: string, status: number): MtorError {
  const [code, why] = REFUSALS[status] ?? ['DEVICE_REFUSED' as const, `status ${status}`]
  return new MtorError(code, `${what}: ${why}`, { data: { status: nameOf(STATUS, status) } })
}

/** Undefined for success, else the error that tells how a command ended. `last` is what was measured before contact was lost. */
export function failure(what: string, result: ResultFields, last: Record<string, unknown> = {}): MtorError | undefined {
  if (result.outcome === OUTCOME.done) return undefined
  if (result.outcome === OUTCOME.refused) return refusal(what, result.refusal)
  const [code, why] = ENDS[result.outcome] ?? ['OUTCOME_UNKNOWN' as const, `unexpected outcome ${result.outcome}`]
  const data = { outcome: nameOf(OUTCOME, result.outcome), ...(code === 'OUTCOME_UNKNOWN' ? last : measuredData(result)) }
  return new MtorError(code, `${what}: ${why}`, { data, hint: CODES[code].hint })
}

/** An outcome in the words of the driver port. */
export function pastOutcomeOf(outcome: number): PastOutcome {
  switch (outcome) {
    case OUTCOME.done: return 'succeeded'
    case OUTCOME.running: return 'running'
    case OUTCOME.neverReceived: return 'never-received'
    case OUTCOME.stopped: case OUTCOME.deadMan: case OUTCOME.stalled: case OUTCOME.lowBattery: case OUTCOME.takenOver: case OUTCOME.refused: return 'failed'
    default: return 'unknown'
  }
}

/** Telemetry in SI units as RoverState has it; a value the controller could not read is left out. */
export function roverState(t: MessageOf<'TELEMETRY'>): Omit<RoverState, 'connected' | 'ageMs'> {
  const state: Omit<RoverState, 'connected' | 'ageMs'> = {
    moving: (t.flags & FLAG.moving) !== 0, stalled: (t.flags & FLAG.stalled) !== 0,
    odometerM: t.odometerMm / 1000, lightFraction: t.light255 / 255, epoch: t.currentEpoch,
  }
  if (t.xMm !== UNKNOWN.i32) state.xM = t.xMm / 1000
  if (t.yMm !== UNKNOWN.i32) state.yM = t.yMm / 1000
  if (t.headingCdeg !== UNKNOWN.i32) state.headingDeg = t.headingCdeg / 100
  if (t.speedMmps !== UNKNOWN.i16) state.speedMps = t.speedMmps / 1000
  if (t.batteryMv !== UNKNOWN.u16) state.batteryV = t.batteryMv / 1000
  if (t.batteryPermille <= 1000) state.batteryFraction = t.batteryPermille / 1000
  if (t.temperatureCdegC !== UNKNOWN.i16) state.temperatureC = t.temperatureCdegC / 100
  return state
}
