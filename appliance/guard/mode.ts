import type { Clock } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'
import type { Hub } from '../contracts/hub.ts'
import { MODES, intentDefinition, type Mode } from '../contracts/intents.ts'

/** Where mode and arming are kept over a restart (the journal). */
export interface DurableValues { put(key: string, value: unknown): Promise<void>; read(key: string): Promise<unknown> }

/** Operating mode and arming: whether something may move at all. */
export class Guard {
  readonly #options: { hub: Hub; clock: Clock; values: DurableValues; arming: 'automatic' | 'required'; initialMode: Mode }
  readonly #listeners: (() => void)[] = []
  #mode: Mode
  #armed: boolean

  constructor(options: { hub: Hub; clock: Clock; values: DurableValues; arming: 'automatic' | 'required'; initialMode: Mode }) {
    this.#options = options
    this.#mode = options.initialMode
    this.#armed = options.arming === 'automatic'
  }

  get mode(): Mode { return this.#mode }
  get armed(): boolean { return this.#armed }

  /** Called after mode or arming changed: what runs may not be allowed any more. */
  onChange(listener: () => void): void { this.#listeners.push(listener) }

  /** Takes up the mode of before the restart. Arming is not kept: after a restart a person arms again. */
  async start(): Promise<void> {
    const stored = await this.#options.values.read('guard/mode')
    if (MODES.includes(stored as Mode)) this.#mode = stored as Mode
  }

  async setMode(mode: Mode): Promise<void> {
    if (!MODES.includes(mode)) throw new MtorError('INVALID_SLOTS', `mode must be one of ${MODES.join(', ')}, got ${JSON.stringify(mode)}`)
    await this.#options.values.put('guard/mode', mode)
    const before = this.#mode
    this.#mode = mode
    if (before === mode) return
    for (const listener of this.#listeners) listener()
    this.#options.hub.system({ severity: 'info', component: 'guard', name: 'mode.changed', message: `mode ${before} → ${mode}`, data: { mode, before } })
  }

  async setArmed(armed: boolean): Promise<void> {
    const before = this.#armed
    this.#armed = armed
    if (before === armed) return
    for (const listener of this.#listeners) listener()
    this.#options.hub.system({ severity: armed ? 'warning' : 'info', component: 'guard', name: armed ? 'armed' : 'disarmed', message: armed ? 'the drive is armed' : 'the drive is disarmed' })
  }

  /** Why an intent of this type may not be carried out now (mode first, then arming); undefined when it may. */
  refusal(type: string): MtorError | undefined {
    const policy = intentDefinition(type)?.policy
    if (!policy) return undefined
    if (policy.refusedIn.includes(this.#mode)) return new MtorError('UNSAFE_MODE', `${type} is refused in mode ${this.#mode}`)
    // Lights and the stop itself need no arming: they are not refused in any mode either.
    if (policy.actuates && policy.refusedIn.length > 0 && !this.#armed) return new MtorError('NOT_ARMED', `${type} needs the drive armed`)
    return undefined
  }
}
