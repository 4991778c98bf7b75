import { toMtorError } from './contracts/errors.ts'

/** How long a part that is just being started may take until it can be stopped. */
const STARTING_MS = 2_000

/** Seconds since, as the console shows them. */
export const seconds = (sinceMs: number) => `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`

/** The parts of the daemon in the order in which they were started; they are stopped in reverse. */
export class Parts {
  readonly #stoppers: { what: string; stop: () => unknown }[] = []
  /** The part that is being started just now; never rejects. */
  #starting: Promise<unknown> | undefined
  #ending: Promise<void> | undefined

  /** Set once the end has begun. */
  get ending(): Promise<void> | undefined { return this.#ending }

  /** Starts a part, says so, and notes how to stop it. */
  async start<T>(what: string, start: () => Promise<T> | T, stop?: (value: T) => unknown): Promise<T> {
    // Ctrl-C came while the part before was being started: nothing more is, `end` will end the process.
    if (this.#ending) return new Promise<never>(() => {})
    const sinceMs = performance.now()
    const started = Promise.resolve().then(start)
    this.#starting = started.catch(() => {})
    const value = await started
    if (stop) this.add(what, () => stop(value))
    console.log(`✓ ${what.padEnd(44)} ${seconds(sinceMs)}`)
    return value
  }

  /** Notes how to stop something that is started already. */
  add(what: string, stop: () => unknown): void { this.#stoppers.push({ what, stop }) }

  /** Stops everything in reverse order and ends the process; asking twice is fine. */
  end(exitCode: number): Promise<void> {
    return this.#ending ??= (async () => {
      await this.#stopAll()
      await Promise.race([this.#starting, new Promise((resolve) => { setTimeout(resolve, STARTING_MS) })])
      await this.#stopAll()
      console.log('Stopped.')
      process.exit(exitCode)
    })()
  }

  async #stopAll(): Promise<void> {
    for (let part = this.#stoppers.pop(); part; part = this.#stoppers.pop()) {
      try { await part.stop() } catch (error) { console.error(`could not stop ${part.what}: ${toMtorError(error).message}`) }
    }
  }
}
