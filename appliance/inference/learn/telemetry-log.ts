import { appendFile, mkdir, readFile, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock, Timer } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import type { Reading } from './readings.ts'

/** In the state folder. */
export const TELEMETRY_FILE = 'telemetry.jsonl'
const PERIOD_MS = 2_000
/** Of each of the two halves of the ring: some days at 200 bytes a reading. */
const HALF_BYTES = 16 * 1024 * 1024

export interface TelemetryRecorderOptions {
  /** Absolute. */
  file: string
  clock: Clock
  /** What was pushed within this time makes one reading. */
  periodMs?: number
  /** The ring keeps between this and twice this. */
  halfBytes?: number
  /** Each reading, as it is written. */
  onReading?(reading: Reading): void
  /** Once, when writing fails (a full disk), and not again before it has worked. */
  onError?(error: Error): void
}

/**
 * Keeps numbers of the box's telemetry on disk, to learn from: every two seconds what was pushed since. What was not pushed
 * is absent, never repeated, and what is no finite number is left out. The file is a ring of two halves: `telemetry.jsonl`
 * and `telemetry.jsonl.1`, the older.
 */
export class TelemetryRecorder {
  readonly #o: Required<Pick<TelemetryRecorderOptions, 'periodMs' | 'halfBytes'>> & TelemetryRecorderOptions
  #values: Record<string, number> = {}
  #timer: Timer | undefined
  #running = false
  #writing: Promise<void> = Promise.resolve()
  #waiting = 0
  #bytes: number | undefined
  #failed = false

  constructor(options: TelemetryRecorderOptions) { this.#o = { ...options, periodMs: options.periodMs ?? PERIOD_MS, halfBytes: options.halfBytes ?? HALF_BYTES } }

  /** Numbers by name, units in the name; the last of a period counts. */
  push(values: Readonly<Record<string, number | undefined>>): void {
    for (const [name, value] of Object.entries(values)) if (Number.isFinite(value)) this.#values[name] = value!
  }

  start(): void {
    if (this.#running) return
    this.#running = true
    this.#next()
  }

  /** Resolves when what was recorded so far is on disk. */
  async settled(): Promise<void> { await this.#writing }

  async stop(): Promise<void> {
    this.#running = false
    this.#o.clock.clearTimeout(this.#timer)
    await this.#writing
  }

  #next(): void {
    this.#timer = this.#o.clock.setTimeout(() => {
      this.#record()
      if (this.#running) this.#next()
    }, this.#o.periodMs)
  }

  #record(): void {
    const values = this.#values
    this.#values = {}
    if (Object.keys(values).length === 0) return
    // Monotonic: the time between readings counts, not the day.
    const reading: Reading = { atMs: Math.round(this.#o.clock.monoMs()), values }
    this.#o.onReading?.(reading)
    // A disk that hangs must not fill the memory.
    if (this.#waiting > 10) return
    this.#waiting++
    this.#writing = this.#writing.then(() => this.#append(`${JSON.stringify(reading)}\n`)).then(() => { this.#failed = false }, (error: Error) => {
      if (!this.#failed) this.#o.onError?.(error)
      this.#failed = true
      this.#bytes = undefined
    }).finally(() => { this.#waiting-- })
  }

  async #append(line: string): Promise<void> {
    const { file, halfBytes } = this.#o
    if (this.#bytes === undefined) {
      await mkdir(dirname(file), { recursive: true })
      this.#bytes = await stat(file).then(({ size }) => size, () => 0)
    }
    const bytes = Buffer.byteLength(line)
    if (this.#bytes > 0 && this.#bytes + bytes > halfBytes) {
      await rename(file, `${file}.1`)
      this.#bytes = 0
    }
    await appendFile(file, line, { mode: 0o600 })
    this.#bytes += bytes
  }
}

/**
 * Readings of a recorder's file, the oldest first; the last line may have been cut off by a loss of power. `lastMs`: only
 * the last so many milliseconds. @throws MtorError NOT_FOUND, MALFORMED
 */
export async function readTelemetry(file: string, lastMs = Infinity): Promise<Reading[]> {
  const older = await readFile(`${file}.1`, 'utf8').catch(() => '')
  let newer: string
  try { newer = await readFile(file, 'utf8') } catch (error) {
    throw new MtorError('NOT_FOUND', `${file}: no telemetry was recorded there (${(error as NodeJS.ErrnoException).code})`, { cause: error, hint: 'The appliance records while it runs: start it with: npm start, or name a file with --from.' })
  }
  const readings: Reading[] = []
  let broken = 0
  for (const line of `${older}${older === '' || older.endsWith('\n') ? '' : '\n'}${newer}`.split('\n')) {
    if (line.trim() === '') continue
    const reading = parse(line)
    if (reading) readings.push(reading)
    else broken++
  }
  // A cut-off line now and then is a loss of power; many are another kind of file.
  if (readings.length === 0 || broken > 10 + readings.length / 10) throw new MtorError('MALFORMED', `${file}: expected lines of { "atMs": number, "values": { name: number } }; ${broken} lines are something else`)
  const endMs = readings.at(-1)!.atMs
  return readings.filter(({ atMs }) => atMs > endMs - lastMs && atMs <= endMs)
}

function parse(line: string): Reading | undefined {
  try {
    const value = JSON.parse(line) as Partial<Reading> | null
    if (typeof value?.atMs !== 'number' || typeof value.values !== 'object' || value.values === null) return undefined
    return { atMs: value.atMs, values: Object.fromEntries(Object.entries(value.values).filter(([, number]) => typeof number === 'number' && Number.isFinite(number))) }
  } catch { return undefined }
}
