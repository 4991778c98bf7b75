import type { ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Clock, Timer } from '../../../contracts/clock.ts'
import { MtorError } from '../../../contracts/errors.ts'
import { hasProgram, LastWords, output, spawnTied } from '../../child.ts'
import type { Reading, Sensor } from '../sensor.ts'
import { parseTegraStats, powerModeOf, type TegraStats } from './tegrastats-line.ts'

/** The mode is asked for this often: it changes only by hand. */
const MODE_MS = 30_000
/** So many lines may be missing before what is known is too old. */
const MISSED_LINES = 3
const RESTART_MS = 10_000

export interface JetsonSensorOptions { clock: Clock; periodMs: number; tegrastats?: string; nvpmodel?: string }

/** Temperatures, GPU load, power and power mode of a Jetson, from NVIDIA's own programs. tegrastats runs all the time; where it ends it is started again. */
export class JetsonSensor implements Sensor {
  readonly name = 'jetson'
  readonly #o: Required<JetsonSensorOptions>
  #child: ChildProcess | undefined
  #retry: Timer | undefined
  #started = false
  #last: { atMs: number; stats: TegraStats } | undefined
  #mode: string | undefined
  #modeAtMs = -Infinity
  #trouble = 'tegrastats has said nothing yet'

  constructor(options: JetsonSensorOptions) { this.#o = { tegrastats: 'tegrastats', nvpmodel: 'nvpmodel', ...options } }

  /** Of tegrastats, while it runs. */
  get pid(): number | undefined { return this.#child?.pid }

  start(): void {
    if (this.#started || !isThere(this.#o.tegrastats)) return
    this.#started = true
    this.#run()
  }

  async stop(): Promise<void> {
    this.#started = false
    this.#o.clock.clearTimeout(this.#retry)
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
    const gone = new Promise<void>((done) => { child.once('exit', () => done()) })
    child.kill('SIGKILL')
    await gone
  }

  async read(): Promise<Reading> {
    const { clock, periodMs, tegrastats, nvpmodel } = this.#o
    if (!isThere(tegrastats) && !isThere(nvpmodel)) throw new MtorError('NOT_FITTED', 'neither tegrastats nor nvpmodel is here: this is no Jetson')
    if (clock.monoMs() - this.#modeAtMs >= MODE_MS && isThere(nvpmodel)) {
      this.#modeAtMs = clock.monoMs()
      this.#mode = powerModeOf(await output(nvpmodel, ['-q']) ?? '')
    }
    const mode = this.#mode === undefined ? {} : { powerMode: this.#mode }
    if (!isThere(tegrastats)) return mode
    const ageMs = this.#last ? clock.monoMs() - this.#last.atMs : Infinity
    if (ageMs > MISSED_LINES * periodMs) throw new MtorError('DEVICE_UNREACHABLE', this.#trouble)
    const { temperaturesC, gpuLoad, boardW } = this.#last!.stats
    return { ...mode, ...Object.keys(temperaturesC).length > 0 ? { temperaturesC } : {}, ...gpuLoad === undefined ? {} : { gpuLoad }, ...boardW === undefined ? {} : { powerW: boardW } }
  }

  #run(): void {
    const { clock, periodMs, tegrastats } = this.#o
    const child = spawnTied(tegrastats, ['--interval', String(Math.round(periodMs))])
    this.#child = child
    const words = new LastWords(child)
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const stats = parseTegraStats(line)
      if (!stats) return
      this.#last = { atMs: clock.monoMs(), stats }
      this.#trouble = 'tegrastats is silent'
    })
    const ended = (why: string) => {
      if (this.#child !== child) return
      this.#child = undefined
      this.#trouble = why
      if (this.#started) this.#retry = clock.setTimeout(() => { if (this.#started) this.#run() }, RESTART_MS)
    }
    child.once('error', (error) => ended(`tegrastats cannot be started: ${error.message}`))
    child.once('exit', (code, signal) => ended(`tegrastats ended with ${signal ?? code}: ${words}`))
  }
}

/** By its path, or on the PATH. */
const isThere = (program: string) => program.includes('/') ? existsSync(program) : hasProgram(program)
