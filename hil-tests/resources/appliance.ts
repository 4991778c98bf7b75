import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, mkdirSync, openSync, renameSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { stringify } from 'yaml'
import { MtorError } from '../../appliance/contracts/errors.ts'
import { ControlClient } from '../../appliance/gateway/client.ts'
import { freePort } from '../../appliance/contracts/free-port.ts'
import { DAEMON_FLAGS, environment } from '../../setup/child.mjs'

export const MAIN = resolve(import.meta.dirname, '../../appliance/main.ts')
const RESTART_MS = 100


/**
 * The daemon as an engineer has it on the bench: its own process, restarted when it dies, as the init system would.
 * Everything it writes is below `dir`.
 */
export class Appliance {
  readonly dir: string
  readonly #firstLight: boolean
  readonly #env: Record<string, string>
  readonly #settings: Record<string, unknown>
  readonly #launch: readonly string[]
  #child: ChildProcess | undefined
  #wanted = false
  #restartMs = RESTART_MS
  #port = 0
  #exited: Promise<void> = Promise.resolve()
  #out = -1
  starts = 0

  /**
   * @param settings configuration on top of: state in `dir`, MQTT on a free loopback port, no sound card, no flows unless asked for
   * @param options.launch command that becomes the daemon, such as one that enters a network namespace first
   */
  constructor(dir: string, settings: Record<string, unknown>, options: { firstLight?: boolean; env?: Record<string, string>; launch?: readonly string[] } = {}) {
    this.dir = resolve(dir)
    this.#settings = settings
    this.#firstLight = options.firstLight ?? false
    this.#env = options.env ?? {}
    this.#launch = options.launch ?? []
  }

  get stateDir() { return join(this.dir, 'state') }
  get runDir() { return join(this.stateDir, 'run') }
  get configFile() { return join(this.dir, 'mtor.yaml') }
  get factLog() { return join(this.stateDir, 'log', 'mtor.log') }
  get output() { return join(this.dir, 'output.log') }
  get mqttUrl() { return `mqtt://127.0.0.1:${this.#port}` }
  get stopSocket() { return join(this.runDir, 'stop.sock') }
  get runFile() { return join(this.runDir, 'appliance.json') }
  get #faultFile() { return join(this.dir, 'journal-fault.json') }
  get pid() { return this.#child?.pid }
  get control() { return new ControlClient(join(this.runDir, 'control.sock')) }

  async start(): Promise<void> {
    mkdirSync(this.stateDir, { recursive: true })
    this.#port = await freePort()
    const { bus, ...settings } = this.#settings
    writeFileSync(this.configFile, stringify({
      realm: 'bench', node: 'bench-node', stateDir: this.stateDir,
      bus: { listeners: [{ kind: 'tcp', host: '127.0.0.1', port: this.#port }], ...(bus as object | undefined) }, flows: { enabled: false }, ...settings,
    }))
    this.#out = openSync(this.output, 'a')
    this.#wanted = true
    this.#spawn()
    await this.answering()
  }

  #spawn(): void {
    this.starts += 1
    const [command, ...args] = [...this.#launch, process.execPath, '--no-warnings', ...DAEMON_FLAGS, MAIN, '--config', this.configFile, ...(this.#firstLight ? [] : ['--no-first-light'])]
    const child = spawn(command!, args, { stdio: ['ignore', this.#out, this.#out], env: { ...environment, MTOR_JOURNAL_FAULT_FILE: this.#faultFile, ...this.#env } })
    this.#child = child
    this.#exited = new Promise((done) => {
      child.once('exit', () => {
        done()
        if (this.#wanted) setTimeout(() => { if (this.#wanted) this.#spawn() }, this.#restartMs)
        this.#restartMs = RESTART_MS
      })
    })
  }

  /** Resolves once the control socket answers; the state it answers with. */
  async answering(timeoutMs = 60_000): Promise<Record<string, unknown>> {
    const until = performance.now() + timeoutMs
    for (;;) {
      try { return await this.control.call('GET', '/status') as Record<string, unknown> } catch (error) {
        if (performance.now() > until) throw new MtorError('NOT_RUNNING', `the appliance did not answer within ${timeoutMs} ms; its output is in ${this.output}`, { cause: error })
        await new Promise((done) => setTimeout(done, 50))
      }
    }
  }

  /** Resolves once the speech process listens or is idle. */
  async hearing(timeoutMs = 60_000): Promise<void> {
    const until = performance.now() + timeoutMs
    for (;;) {
      const { speech } = await this.answering(timeoutMs) as { speech: { state: string; engine?: string } }
      if (speech.state === 'idle' || speech.state === 'listening') return
      if (performance.now() > until) throw new MtorError('SPEECH_DOWN', `speech is ${speech.state} after ${timeoutMs} ms; its output is in ${this.output}`)
      await new Promise((done) => setTimeout(done, 100))
    }
  }

  /** Kills the daemon at once, without a chance to clean up; it is started again by itself after `restartMs`. */
  killCore(restartMs = RESTART_MS): void {
    this.#restartMs = restartMs
    this.#child?.kill('SIGKILL')
  }

  /** Kills the daemon at once, and leaves it dead until it is started again. */
  async kill(): Promise<void> {
    if (!this.#wanted) return
    this.#wanted = false
    this.#child?.kill('SIGKILL')
    await this.#exited
    closeSync(this.#out)
  }

  /** From its next transaction on the journal stands still for this long, as on a disk that hangs. */
  stallJournal(stallMs: number): void {
    const file = this.#faultFile
    writeFileSync(`${file}.new`, JSON.stringify({ stallMs }))
    renameSync(`${file}.new`, file)
  }

  async stop(): Promise<void> {
    if (!this.#wanted) return
    this.#wanted = false
    const child = this.#child
    if (child && child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM')
      const patience = setTimeout(() => child.kill('SIGKILL'), 15_000)
      await this.#exited
      clearTimeout(patience)
    }
    closeSync(this.#out)
  }
}
