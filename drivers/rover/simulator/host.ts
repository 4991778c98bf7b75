import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { systemClock, type Clock, type Timer } from '../../../appliance/contracts/clock.ts'
import { MtorError } from '../../../appliance/contracts/errors.ts'
import type { SystemEventInput } from '../../../appliance/contracts/events.ts'
import type { ControlCommand } from './control.ts'

export interface SimulatorOptions {
  /** Path of the link to open as a serial port; left out: in a temporary folder that `stop` removes. At most 90 characters. */
  link?: string
  /** Further lines to the same controller, as a second board has one. */
  moreLinks?: readonly string[]
  /** For tests of checkers: a firmware that obeys older epochs. */
  ignoresEpochs?: boolean
  /** The controller's own log, memory and control socket; left out: the link with .log, .state, .control. */
  logFile?: string
  stateFile?: string
  controlPath?: string
  speedFactor?: number
  seed?: number
  batteryFraction?: number
  clock?: Clock
  /** Started again after a crash unless false. */
  restart?: boolean
  /** `simulator.ready` and `simulator.ended`. */
  onEvent?(event: SystemEventInput): void
}

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))
const START_TIMEOUT_MS = 15_000
const CONTROL_TIMEOUT_MS = 5_000
const STOP_TIMEOUT_MS = 2_000
const RESTART_MS = 100
const RESTART_MAX_MS = 5_000
/** A process that lived this long was well: its next crash is again the first. */
const WELL_AFTER_MS = 5_000

/** Runs the simulated controller as a child process and starts it again when it dies. Its memory survives in the state file, as a real controller's flash does. */
export class SimulatorProcess {
  #o: SimulatorOptions
  #clock: Clock
  #temporary: string | undefined
  #link = ''
  #child: ChildProcess | undefined
  #ready = false
  #stopped = true
  #restartMs = RESTART_MS
  #timer: Timer | undefined

  constructor(options: SimulatorOptions = {}) {
    this.#o = options
    this.#clock = options.clock ?? systemClock
  }

  /** Of the child that runs now, or undefined. */
  get pid(): number | undefined { return this.#child?.pid }
  get port(): string { return this.#link }
  get logFile(): string { return this.#o.logFile ?? `${this.#link}.log` }
  get stateFile(): string { return this.#o.stateFile ?? `${this.#link}.state` }
  get controlPath(): string { return this.#o.controlPath ?? `${this.#link}.control` }

  /** Resolves with the path to open as a serial port once the controller is ready; rejects with DEVICE_UNREACHABLE where it does not come up. */
  async start(): Promise<{ port: string }> {
    if (!this.#stopped) return { port: this.port }
    this.#stopped = false
    if (this.#o.link === undefined) this.#temporary = mkdtempSync(join(tmpdir(), 'rover-'))
    this.#link = this.#o.link ?? join(this.#temporary!, 'tty')
    for (const file of [this.port, ...this.#o.moreLinks ?? [], this.logFile, this.stateFile, this.controlPath]) mkdirSync(dirname(file), { recursive: true })
    try { await this.#spawn() } catch (error) {
      await this.stop()
      throw error
    }
    return { port: this.port }
  }

  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    this.#clock.clearTimeout(this.#timer)
    const child = this.#child
    if (child && child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      const timer = this.#clock.setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
      child.kill('SIGTERM')
      await gone
      this.#clock.clearTimeout(timer)
    }
    this.#child = undefined
    if (this.#temporary) rmSync(this.#temporary, { recursive: true, force: true })
    this.#temporary = undefined
  }

  /** Tells the simulator to misbehave; resolves with its answer. Rejects with what it says is wrong, or DEVICE_UNREACHABLE. */
  control(command: ControlCommand): Promise<Record<string, unknown>> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.controlPath)
      let held = ''
      socket.setEncoding('utf8')
      socket.setTimeout(CONTROL_TIMEOUT_MS, () => socket.destroy(new MtorError('DEVICE_UNREACHABLE', 'simulator: no answer on its control socket')))
      socket.on('error', (error) => reject(error instanceof MtorError ? error : new MtorError('DEVICE_UNREACHABLE', `simulator control: ${error.message}`, { cause: error })))
      socket.on('close', () => reject(new MtorError('DEVICE_UNREACHABLE', 'simulator: control socket closed')))
      socket.on('data', (text: string) => {
        held += text
        if (!held.includes('\n')) return
        socket.end()
        const { ok, code, message, ...answer } = JSON.parse(held) as { ok: boolean; code?: MtorError['code']; message?: string }
        if (ok) resolve(answer)
        else reject(new MtorError(code ?? 'INTERNAL', message ?? 'simulator control'))
      })
      socket.write(`${JSON.stringify(command)}\n`)
    })
  }

  #spawn(): Promise<void> {
    const { speedFactor = 1, seed = 1, batteryFraction = 1 } = this.#o
    const child = this.#child = spawn(process.execPath, [MAIN, '--link', this.port, '--control', this.controlPath, '--state', this.stateFile, '--log', this.logFile,
      '--speed-factor', String(speedFactor), '--seed', String(seed), '--battery', String(batteryFraction), ...(this.#o.moreLinks ?? []).flatMap((link) => ['--link', link]), ...(this.#o.ignoresEpochs ? ['--ignore-epochs'] : [])], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, MTOR_SIMULATOR_CHILD: '1' } })
    const startedMs = this.#clock.monoMs()
    let complaint = ''
    child.stdin?.on('error', () => {})
    child.stderr?.setEncoding('utf8').on('data', (text: string) => { complaint = (complaint + text).slice(-2000) })
    return new Promise<void>((resolve, reject) => {
      const timer = this.#clock.setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS)
      let ready = false
      createInterface({ input: child.stdout! }).once('line', () => {
        ready = true
        this.#clock.clearTimeout(timer)
        this.#o.onEvent?.({ severity: 'info', component: 'simulator', name: 'simulator.ready', message: `the simulated rover is on ${this.port}`, data: { pid: child.pid } })
        resolve()
      })
      child.once('error', (error) => { complaint = error.message })
      child.once('close', (code, signal) => {
        this.#clock.clearTimeout(timer)
        // After kill -9 the link is left over and its terminal's number may soon be somebody else's.
        for (const link of [this.port, ...this.#o.moreLinks ?? []]) rmSync(link, { force: true })
        if (!ready) reject(new MtorError('DEVICE_UNREACHABLE', `the simulated rover did not start: ${complaint.trim() || signal || code}`))
        if (this.#stopped || this.#child !== child) return
        this.#child = undefined
        // The first start is the caller's business; later ones are tried again, ever more slowly.
        if (!ready && !this.#ready) return
        if (this.#clock.monoMs() - startedMs > WELL_AFTER_MS) this.#restartMs = RESTART_MS
        const restartInMs = this.#o.restart === false ? undefined : this.#restartMs
        this.#o.onEvent?.({ severity: 'warning', component: 'simulator', name: 'simulator.ended', message: `the simulated rover ended: ${signal ?? `exit ${code}`}${complaint ? `, ${complaint.trim()}` : ''}`,
          data: { code, signal, ...(restartInMs === undefined ? {} : { restartInMs }) } })
        if (restartInMs === undefined) return
        this.#restartMs = Math.min(RESTART_MAX_MS, this.#restartMs * 2)
        this.#timer = this.#clock.setTimeout(() => { this.#spawn().catch(() => { /* 'close' above has reported it and tries again */ }) }, restartInMs)
      })
    }).then(() => { this.#ready = true })
  }
}
