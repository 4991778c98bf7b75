/** What a sensor has just found. A part that it cannot tell is left out, never zero. */
export interface Reading {
  /** All that are plausible, by name. */
  temperaturesC?: Record<string, number>
  /** The kernel itself lowers clocks, and how that is known. */
  throttled?: string
  /** A supply of this board; peripherals have their own batteries, which do not count. */
  power?: { onMains?: boolean; batteryFraction?: number; discharging?: boolean }
  /** Of a Jetson: what nvpmodel calls it. */
  powerMode?: string
  /** Consumption of the whole board, W. */
  powerW?: number
  /** Load of the GPU, 0 to 1. */
  gpuLoad?: number
  /** Present clock and limit of the fastest processor, parts of what it can. */
  clock?: { current: number; limit: number }
}

export interface Sensor {
  readonly name: string
  /** What it needs running; a failure shows in `read`. */
  start?(): void
  stop?(): void | Promise<void>
  /** @throws MtorError NOT_FITTED where there is nothing of the kind here, DEVICE_UNREACHABLE where it cannot be read now */
  read(): Promise<Reading>
  /** The operator has set the board to other limits: those are no throttling. */
  rebase?(): void
}
