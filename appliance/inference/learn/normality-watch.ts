import type { Clock } from '../../contracts/clock.ts'
import { toMtorError } from '../../contracts/errors.ts'
import type { SystemEventInput } from '../../contracts/events.ts'
import type { Inference } from '../port.ts'
import type { Manifest } from '../manifest.ts'
import { DepartureRule } from './departure.ts'
import { NORMAL_MODEL } from './names.ts'
import { normalityOptions, type NormalityOptions } from './normality-task.ts'

const DEADLINE_MS = 10_000
/** Below what a person asks for. */
const PRIORITY = 8
/** A model that was learned meanwhile is noticed within this. */
const LOOK_MS = 30_000

export interface NormalityWatchOptions {
  inference: Pick<Inference, 'run'>
  library: { list(): Manifest[] }
  clock: Clock
  onEvent(event: SystemEventInput): void
}

/** What a departed reading is told with. */
export interface Departure { name: string; value: number; usual: [number, number]; error: number; threshold: number }

/**
 * Feeds each reading of telemetry through the model of what is normal, and tells when three in a row depart, and when it is
 * over. Without a model it does nothing. A reading that lacks a value is left out, not filled in.
 */
export class NormalityWatch {
  readonly #o: NormalityWatchOptions
  #model: { version: string; options: NormalityOptions; rule: DepartureRule } | undefined
  #lookedMs = -Infinity
  #busy: Promise<void> | undefined
  #running = false
  #failed: string | undefined
  /** Readings judged, and left out because a value was missing or the one before was not through. */
  judged = 0
  skipped = 0

  constructor(options: NormalityWatchOptions) { this.#o = options }

  start(): void { this.#running = true }

  /** Resolves when the reading that is being judged is through. */
  async settled(): Promise<void> { await this.#busy }

  async stop(): Promise<void> {
    this.#running = false
    await this.#busy
  }

  push(values: Readonly<Record<string, number>>): void {
    if (!this.#running) return
    this.#look()
    const model = this.#model
    if (!model) return
    const row = model.options.names.map((name) => values[name])
    if (this.#busy || !row.every((value) => Number.isFinite(value))) { this.skipped++; return }
    this.#busy = this.#judge(row as number[]).finally(() => { this.#busy = undefined })
  }

  #look(): void {
    const nowMs = this.#o.clock.monoMs()
    if (nowMs - this.#lookedMs < LOOK_MS) return
    this.#lookedMs = nowMs
    const manifest = this.#o.library.list().find(({ name }) => name === NORMAL_MODEL)
    if (!manifest) { this.#model = undefined; return }
    if (manifest.version === this.#model?.version) return
    try {
      const options = normalityOptions(manifest.name, manifest.options)
      this.#model = { version: manifest.version, options, rule: new DepartureRule(options.threshold) }
    } catch (error) { this.#fail(error) }
  }

  async #judge(values: number[]): Promise<void> {
    const { options, rule } = this.#model!
    try {
      const { output } = await this.#o.inference.run('normality', NORMAL_MODEL, { values }, { deadlineMs: DEADLINE_MS, priority: PRIORITY })
      this.judged++
      this.#failed = undefined
      const turn = rule.push(output.error)
      if (turn === 'departed') this.#tell(options, values, output)
      else if (turn === 'recovered') this.#o.onEvent({ severity: 'info', component: 'telemetry', name: 'telemetry.normal', message: 'telemetry is as usual again', say: 'All my readings are normal again.', data: { error: output.error, threshold: options.threshold } })
    } catch (error) { this.#fail(error) }
  }

  #tell({ names, ranges, threshold }: NormalityOptions, values: readonly number[], output: { error: number; worst: { name: string; error: number }[] }): void {
    const worst: Departure[] = output.worst.filter(({ name }) => names.includes(name)).map(({ name, error }) => { const at = names.indexOf(name); return { name, value: values[at]!, usual: ranges[at]!, error, threshold } })
    const first = worst[0]!
    this.#o.onEvent({
      severity: 'warning', component: 'telemetry', name: 'telemetry.abnormal', say: `Something is unusual: ${spoken(first.name)} is ${plain(first.value)}.`,
      message: `${first.name} is ${plain(first.value)} (usually ${plain(first.usual[0])} to ${plain(first.usual[1])}); error ${plain(output.error)}, from ${plain(threshold)} on it counts`,
      data: { reading: first.name, value: first.value, usual: first.usual, error: output.error, threshold, worst },
    })
  }

  /** Told once, until it has worked again: the supervisor tells its own troubles. */
  #fail(error: unknown): void {
    const { code, message } = toMtorError(error)
    if (this.#failed !== code) this.#o.onEvent({ severity: 'debug', component: 'telemetry', name: 'telemetry.unjudged', code, message })
    this.#failed = code
  }
}

const plain = (value: number) => String(Number(value.toPrecision(3)))
const UNITS: Record<string, string> = { V: 'voltage', C: '', Ms: '', Mps: '', Bytes: '', M: '', Deg: '', Fraction: '' }
/** `rover.batteryV` → "rover battery voltage". */
export const spoken = (name: string): string => {
  const words = name.split('.').flatMap((part) => {
    const pieces = part.match(/[A-Z]?[a-z0-9]+|[A-Z]+/g) ?? [part]
    const unit = pieces.length > 1 ? UNITS[pieces.at(-1)!] : undefined
    return unit === undefined ? pieces : [...pieces.slice(0, -1), unit]
  })
  return words.filter((word) => word !== '').map((word) => word.toLowerCase()).join(' ')
}
