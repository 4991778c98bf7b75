/** A departure is told after so many readings in a row, and is over after as many normal ones. */
export const PERSISTENCE = 3

/** Turns errors of single readings into the beginning and the end of a departure. Measuring and watching use the same rule. */
export class DepartureRule {
  readonly #threshold: number
  #beyond = 0
  #within = 0
  #departed = false
  constructor(threshold: number) { this.#threshold = threshold }

  get departed(): boolean { return this.#departed }

  push(error: number): 'departed' | 'recovered' | undefined {
    const beyond = error > this.#threshold
    this.#beyond = beyond ? this.#beyond + 1 : 0
    this.#within = beyond ? 0 : this.#within + 1
    if (!this.#departed && this.#beyond >= PERSISTENCE) { this.#departed = true; return 'departed' }
    if (this.#departed && this.#within >= PERSISTENCE) { this.#departed = false; return 'recovered' }
    return undefined
  }
}
