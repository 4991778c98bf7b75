import type { DeviceTicket } from '../appliance/contracts/events.ts'
import type { TObject } from 'typebox'
import type { MtorError } from '../appliance/contracts/errors.ts'

/** What a driver reports without being asked. */
export interface DriverEvents {
  /** New telemetry; `state` is the device kind's state schema (RoverState for a rover). */
  state(state: Record<string, unknown>): void
  /** The device came or came back. */
  connected(): void
  /** The device is gone (unplugged, silent); the driver keeps trying by itself. */
  lost(error: MtorError): void
  /** Something worth an event: brown-out, stall, refused epoch, corrupted frames. */
  notice(severity: 'info' | 'warning' | 'error', name: string, message: string, data?: Record<string, unknown>): void
}

/** What became of a command that an earlier life of the core may have sent. */
export type PastOutcome = 'succeeded' | 'failed' | 'running' | 'never-received' | 'unknown'

export interface CommandResult {
  /** Measured by the device, SI units (for a move: distanceM, headingDeg …). */
  data: Record<string, unknown>
}

export interface CommandOptions {
  intentId: string
  ticket: DeviceTicket
  /** Aborted on stop, cancel or deadline: the driver halts this command on the device and rejects with STOPPED. */
  signal: AbortSignal
  onProgress(data: Record<string, unknown>): void
  /** Called once when the device acknowledged that it executes the command. */
  onStarted?(): void
}

/**
 * The only code that touches a device. Commands are checked before anything is sent; rejections are MtorErrors
 * with a code of the catalogue (DEVICE_UNREACHABLE, DEVICE_REFUSED, STALE_EPOCH, STALLED, LOW_BATTERY, STOPPED, INVALID_SLOTS …).
 */
export interface Driver {
  readonly id: string
  readonly kind: string
  /** Begins to connect and keeps doing so; resolves once it is trying, not once the device is there. */
  start(): Promise<void>
  /** Halts the device, closes the port. Stopping twice is fine. */
  stop(): Promise<void>
  readonly connected: boolean
  /** The commands that `execute` takes, with the schema of their arguments (SI units). */
  readonly commands: Readonly<Record<string, TObject>>
  /** Tells the device that `epoch` is now in command; older epochs are refused from then on. */
  takeCommand(epoch: number): Promise<void>
  /**
   * Gives command up without a word to the device: from now on nothing is sent but stops and questions, until `takeCommand`.
   * A command that runs is only asked about. Another node may command the device by another line meanwhile.
   */
  standBy(): void
  execute(command: string, args: Record<string, unknown>, options: CommandOptions): Promise<CommandResult>
  /** Asks the device what became of an earlier command. 'unknown' when it cannot tell or cannot be reached in time. */
  pastOutcome(ticket: DeviceTicket): Promise<{ outcome: PastOutcome; data?: Record<string, unknown> }>
  /** Writes the stop at once, without queue, epoch or promise; running commands reject with STOPPED. Never throws. */
  emergencyStop(reason: string): void
  /** The latest state with its age; fields that are not known are absent. */
  state(): Record<string, unknown>
}
