import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock, Timer } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import type { SystemEventInput } from '../../contracts/events.ts'
import { LastWords, tied } from '../../inference/child.ts'
import type { EtcdTls } from '../../journal/etcd/endpoint.ts'
import { brokenLogs, cutOff } from './cut-off.ts'
import { etcdEnvironment, etcdFlags, type EtcdSettings } from './flags.ts'
import { HealthProbe, type EtcdHealth } from './health.ts'
import { EtcdLog, troubleIn } from './log.ts'

export interface EtcdProcessOptions extends EtcdSettings {
  /** Default /usr/bin/etcd. */
  binary?: string
  clock: Clock
  /** Data and log of this member, such as <state>/realm/etcd. */
  folder: string
  /** How this node reaches its own member over TLS. */
  clientTls?: EtcdTls
  /** How often a write must go round, ms. Default 5,000: each costs a few kilobytes of every member's disk. */
  probeMs?: number
  /** A process that answers nothing for this long is killed and started again, ms. Default 5,000. */
  hungMs?: number
  onEvent?(event: SystemEventInput): void
}

const FIRST_RETRY_MS = 100
const LAST_RETRY_MS = 5_000
/** Damaged data does not mend by trying, ms. */
const CORRUPT_RETRY_MS = 60_000
const HEALTHY_MS = 10_000
const STOP_MS = 3_000

/**
 * One etcd member as a child of the core: started with its own data and bounded log, started again with growing
 * pauses however it ended, killed when it hangs, and gone when we are gone. It counts as healthy only while a write
 * has gone round through it. What only a person or the membership can mend is told: full disk, damaged data, removed.
 */
export class EtcdProcess {
  readonly #o: EtcdProcessOptions
  readonly #log: EtcdLog
  readonly #probe: HealthProbe
  #child: ChildProcess | undefined
  #gone: Promise<void> = Promise.resolve()
  #running = false
  #retry: Timer | undefined
  #failures = 0
  #startedMs = 0
  #told = new Set<string>()
  /** Of former starts. */
  #broken = new Map<string, number>()
  restarts = 0

  constructor(options: EtcdProcessOptions) {
    this.#o = options
    this.#log = new EtcdLog(join(options.folder, 'etcd.log'))
    const { clock, name, clientUrls, clientTls, probeMs = 5_000, hungMs = 5_000 } = options
    this.#probe = new HealthProbe({ clock, name, url: clientUrls[0]!, tls: clientTls, probeMs, hungMs, onChange: (health, before) => { this.#healthChanged(health, before) }, onHung: () => { this.kill(`answered nothing for ${hungMs} ms`) } })
  }

  get options(): EtcdProcessOptions { return this.#o }
  /** Where this node reaches its own member. */
  get url(): string { return this.#o.clientUrls[0]! }
  get pid(): number | undefined { return this.#child?.pid }
  get health(): EtcdHealth { return this.#probe.health }
  get dataDir(): string { return join(this.#o.folder, 'data') }
  /** True when this member has been in a cluster: then the flags of the first start are not read any more. */
  get hasData(): boolean { return hasData(this.dataDir) }

  /** Starts the process; `ready` tells when it works. @throws MtorError NOT_FITTED where there is no etcd */
  start(): Promise<void> {
    if (this.#running) return Promise.resolve()
    const { binary } = this
    const version = etcdVersion(binary)
    if (version === undefined) return Promise.reject(new MtorError('NOT_FITTED', `expected etcd as ${binary}, found none that starts`, { hint: 'Install it with: apt-get install etcd-server' }))
    const [major = 0, minor = 0] = version.split('.').map(Number)
    // Before 3.4 the JSON gateway has other paths, and there is no --logger.
    if (major !== 3 || minor < 4) return Promise.reject(new MtorError('NOT_FITTED', `expected etcd 3.4 or a later 3.x, got ${version}`, { hint: 'Put a newer one in place and name it in realmMode.etcd.binary.' }))
    mkdirSync(this.#o.folder, { recursive: true, mode: 0o700 })
    this.#running = true
    this.#spawn()
    this.#probe.start()
    return Promise.resolve()
  }

  get binary(): string { return this.#o.binary ?? '/usr/bin/etcd' }

  /** Resolves when a write has gone round. Rejects with NO_QUORUM or JOURNAL_UNAVAILABLE after `timeoutMs`. */
  async ready(timeoutMs: number): Promise<void> { await this.#probe.ready(timeoutMs) }

  /** What this member says of itself, also without a leader. */
  status() { return this.#probe.status() }

  /** Ends it in order, so that another leader is chosen without an election timeout; stopping twice is fine. */
  async stop(): Promise<void> {
    this.#running = false
    const { clock } = this.#o
    this.#probe.stop()
    clock.clearTimeout(this.#retry)
    const child = this.#child
    if (child) {
      child.kill('SIGTERM')
      // A stopped process does not hear that.
      child.kill('SIGCONT')
      const late = clock.setTimeout(() => { child.kill('SIGKILL') }, STOP_MS)
      await this.#gone
      clock.clearTimeout(late)
    }
    this.#log.close()
  }

  /** Ends it at once; it is started again. */
  kill(reason = 'killed') {
    this.#log.write(`mtor: ${reason}`)
    this.#child?.kill('SIGKILL')
  }

  signal(signal: NodeJS.Signals) { this.#child?.kill(signal) }

  /** Renames the data of a stopped member, so that it can join anew. Returns the new name, or undefined where there was none. */
  setAside(): string | undefined {
    if (this.#child) throw new MtorError('ALREADY_RUNNING', 'expected a stopped etcd')
    return setAside(this.dataDir, this.#o.clock)
  }

  #spawn() {
    const [command, args] = tied(this.binary, etcdFlags(this.#o, this.dataDir))
    this.#broken = brokenLogs(this.dataDir)
    // An own session: Ctrl-C in a terminal is for the core, which then ends it in order.
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true, env: etcdEnvironment(process.env) })
    const words = new LastWords(child, (line) => { this.#heard(line) })
    this.#child = child
    this.#startedMs = this.#o.clock.monoMs()
    this.#gone = new Promise((resolve) => {
      const ended = (reason: string) => {
        if (this.#child !== child) return
        this.#child = undefined
        resolve()
        if (this.#running) this.#again(`${reason}${String(words) ? `: ${words}` : ''}`)
      }
      child.once('error', (error) => { ended(`could not be started: ${error.message}`) })
      child.once('close', (code, signal) => { ended(signal ? `killed by ${signal}` : `ended with ${code}`) })
    })
  }

  #again(reason: string) {
    const { clock } = this.#o
    if (clock.monoMs() - this.#startedMs >= HEALTHY_MS) this.#failures = 0
    const delayMs = this.#told.has('corrupt') || this.#told.has('removed') ? CORRUPT_RETRY_MS : this.#failures === 0 ? 0 : Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (this.#failures - 1))
    this.#failures += 1
    this.restarts += 1
    this.#event({ severity: 'error', component: 'etcd', name: 'etcd.down', code: 'JOURNAL_UNAVAILABLE', message: `etcd ${reason}; it is started again in ${delayMs} ms`, data: { delayMs } })
    this.#probe.down()
    this.#retry = clock.setTimeout(() => { if (this.#running && !this.#child) this.#spawn() }, delayMs)
  }

  #heard(line: string) {
    this.#log.write(line)
    const trouble = troubleIn(line)
    // Of copies that are there already it speaks with every start.
    if (trouble === 'repaired') for (const [copy, atMs] of brokenLogs(this.dataDir)) if (this.#broken.get(copy) !== atMs) { this.#broken.set(copy, atMs); void this.#repaired(copy) }
    if (!trouble || trouble === 'repaired' || this.#told.has(trouble)) return
    this.#told.add(trouble)
    if (trouble === 'disk-full') this.#event({ severity: 'critical', component: 'etcd', name: 'etcd.disk-full', code: 'DISK_FULL', message: 'etcd cannot write: its disk is full' })
    if (trouble === 'corrupt') this.#event({ severity: 'critical', component: 'etcd', name: 'etcd.corrupt', code: 'JOURNAL_CORRUPT', message: `The data of etcd in ${this.dataDir} is damaged: ${line.slice(0, 300)}`, say: 'The shared journal on this board is damaged.' })
    if (trouble === 'removed') this.#event({ severity: 'critical', component: 'etcd', name: 'etcd.removed', code: 'NO_QUORUM', message: 'This member was removed from the cluster: it must join anew' })
  }

  async #repaired(copy: string) {
    const what = await cutOff(copy).catch(() => 'entries' as const)
    if (what === 'entries') this.#event({ severity: 'critical', component: 'etcd', name: 'etcd.repaired', code: 'JOURNAL_CORRUPT', message: `etcd found its log in ${this.dataDir} damaged, cut off its end and went on; what only this member had is lost. The former log is ${copy}`, say: 'The shared journal on this board was damaged and repaired.' })
    else {
      // It has the size of a whole log, and etcd would keep it for good.
      await rm(copy, { force: true }).catch(() => { /* It is in nobody's way. */ })
      this.#event({ severity: 'warning', component: 'etcd', name: 'etcd.repaired', message: `the last entry in the log of etcd in ${this.dataDir} was never finished, as when the disk is full or power fails, and was dropped: it had not been acknowledged, so that nothing is lost` })
    }
  }

  #healthChanged(health: EtcdHealth, before: EtcdHealth) {
    if (health === 'ok') {
      this.#told.clear()
      this.#event({ severity: 'info', component: 'etcd', name: 'etcd.up', message: 'A write went round through etcd' })
    }
    if (health === 'no-quorum') this.#event({ severity: 'critical', component: 'etcd', name: 'etcd.no-quorum', code: 'NO_QUORUM', message: 'etcd runs, but has lost the majority of its members' })
    if (health === 'silent' && before === 'ok') this.#event({ severity: 'error', component: 'etcd', name: 'etcd.silent', code: 'JOURNAL_UNAVAILABLE', message: 'etcd does not answer' })
    if (health === 'full') this.#event({ severity: 'critical', component: 'etcd', name: 'etcd.disk-full', code: 'DISK_FULL', message: 'etcd has reached its quota and takes no more writes' })
  }

  #event(event: SystemEventInput) { this.#o.onEvent?.(event) }
}

/** True when a member with this data has been in a cluster. A start that failed leaves a folder too, but no log in it. */
export const hasData = (dataDir: string): boolean => existsSync(join(dataDir, 'member', 'wal'))

/** Renames data that is of no more use, for a person to look at. Returns the new name, or undefined where there was none. */
export function setAside(dataDir: string, clock: Clock): string | undefined {
  if (!existsSync(dataDir)) return undefined
  const wall = clock.wallMs()
  const time = wall === undefined ? 'unknown-time' : new Date(wall).toISOString().replace(/[-:]|\.\d+/g, '')
  let aside = `${dataDir}.aside-${time}`
  for (let i = 2; existsSync(aside); i++) aside = `${dataDir}.aside-${time}-${i}`
  renameSync(dataDir, aside)
  return aside
}

/** "3.4.23"; undefined where there is no etcd that starts. */
export function etcdVersion(binary: string): string | undefined {
  const { stdout } = spawnSync(binary, ['--version'], { encoding: 'utf8', timeout: 5_000, env: etcdEnvironment(process.env) })
  return /^etcd Version: (\S+)/m.exec(stdout ?? '')?.[1]
}
