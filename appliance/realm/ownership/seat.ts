import type { Driver } from '../../../drivers/port.ts'
import type { Timer } from '../../contracts/clock.ts'
import type { Owner } from './registry.ts'

/** What this node knows of one device that it is wired to. */
export interface Seat {
  readonly driver: Driver
  /** Set while this node commands it, or is about to. */
  mine: Owner | undefined
  /** Resolves once the device has acknowledged the epoch of `mine`. */
  taken: Promise<void> | undefined
  /** The device has acknowledged it, or has had its time to: what waits for it may be begun. */
  ready: boolean
  /** Commanded without the realm, under an epoch of this node alone. */
  alone: number | undefined
  /** Nothing new is begun: it is about to change hands. */
  held: boolean
  /** When it was first seen without an owner, ms. */
  vacantMs: number | undefined
  /** Since when the line has been dead, ms. */
  lostMs: number | undefined
  /** What was last told to the others of the line, and under which lease. */
  told: { connected: boolean; lease: string } | undefined
  timer: Timer | undefined
  working: Promise<void> | undefined
  again: boolean
}

export const seatOf = (driver: Driver, nowMs: number): Seat => ({
  driver, mine: undefined, taken: undefined, ready: false, alone: undefined, held: false, vacantMs: undefined, lostMs: nowMs, told: undefined, timer: undefined, working: undefined, again: false,
})
