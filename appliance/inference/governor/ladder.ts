/** What decides about the step, as far as it is known. */
export interface Conditions {
  /** The hottest part of the board, °C; undefined where nothing tells it now. */
  temperatureC?: number
  /** One step more than the temperature asks for, and why: the kernel throttles, the battery is low. */
  alsoBecause?: string
}

export interface LadderOptions { /** °C at which each step begins, rising. */ aboveC: readonly number[]; hysteresisC: number; holdMs: number }

/**
 * Which step of the table holds: 0 is none. Up at once; down one step when for `holdMs` it was `hysteresisC` cooler than
 * where the step began, then the hold begins anew. So a temperature that swings by less than the hysteresis, however
 * fast, changes nothing.
 */
export class Ladder {
  readonly #o: LadderOptions
  #level = 0
  /** Since when a lower step would do. */
  #coolSinceMs: number | undefined
  #lastC: number | undefined

  constructor(options: LadderOptions) { this.#o = options }

  get level(): number { return this.#level }
  get top(): number { return this.#o.aboveC.length }

  /** The level from now on. */
  next(nowMs: number, { temperatureC, alsoBecause }: Conditions): number {
    // Gone blind while it was hot it stays where it is: no reading is no proof of having cooled down.
    if (temperatureC === undefined && this.#lastC !== undefined) temperatureC = this.#lastC
    this.#lastC = temperatureC
    const extra = alsoBecause === undefined ? 0 : 1
    const wanted = Math.min(this.top, this.#levelAt(temperatureC) + extra)
    const kept = Math.min(this.top, this.#levelAt(temperatureC, this.#o.hysteresisC) + extra)
    if (wanted > this.#level) {
      this.#level = wanted
      this.#coolSinceMs = undefined
    } else if (kept >= this.#level) this.#coolSinceMs = undefined
    else {
      this.#coolSinceMs ??= nowMs
      if (nowMs - this.#coolSinceMs >= this.#o.holdMs) {
        this.#level--
        this.#coolSinceMs = undefined
      }
    }
    return this.#level
  }

  /** With `marginC` a step is still held that much below where it begins. */
  #levelAt(temperatureC: number | undefined, marginC = 0): number {
    if (temperatureC === undefined) return 0
    return this.#o.aboveC.filter((aboveC) => temperatureC > aboveC - marginC || (marginC === 0 && temperatureC === aboveC)).length
  }
}
