import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { InternalClient } from '../../appliance/bus/identity.ts'
import type { Address } from '../../appliance/bus/listeners.ts'
import type { BusConfig, FlowsConfig } from '../../appliance/config/schema.ts'
import type { Clock, Timer } from '../../appliance/contracts/clock.ts'
import { MtorError, toMtorError } from '../../appliance/contracts/errors.ts'
import type { SystemEventInput } from '../../appliance/contracts/events.ts'
import type { Hub } from '../../appliance/contracts/hub.ts'
import { Keeper, type Gone } from '../../appliance/inference/keeper.ts'
import type { Journal } from '../../appliance/journal/port.ts'
import { EditorAccess } from './access.ts'
import { answerTo, type AnswersOptions } from './answers.ts'
import { environmentOf, flagsOf, makePlaces, placesOf, realmUrl, type Places } from './confinement.ts'
import { CrashLoop } from './crash-loop.ts'
import { Deploys } from './deploys.ts'
import { Exchange } from './exchange.ts'
import { keepFile } from './files.ts'
import type { Credentials, Flows } from './flow.ts'
import { Health } from './health.ts'
import type { Ask, FromNodeRed, ToNodeRed } from './messages.ts'
import { editorUrl, setupOf } from './setup.ts'
import type { FlowsState, FlowsStatus } from './status.ts'
import type { DeployMeta } from './store.ts'

export interface FlowsHostOptions {
  config: FlowsConfig
  bus: Pick<BusConfig, 'clients' | 'anonymousRole'>
  realm: string
  node: string
  stateDir: string
  /** Pictures, which flows may read. */
  framesDir?: string
  hub: Hub
  clock: Clock
  values: Pick<Journal, 'put' | 'read' | 'keys'>
  /** What the bus knows Node-RED as. */
  client: InternalClient
  addresses(): readonly Address[]
  /** Who has declared intent types. Flows that crashed did not take theirs back. */
  handlers?: { status(): readonly { client: string; online: boolean }[]; forget(client: string): Promise<void> }
  /** Has an intent with that nonce go through the probe flow and back. */
  probe(nonce: string, timeoutMs: number): Promise<void>
}

const PROCESS = join(import.meta.dirname, 'process.ts')
/** Flows yield to the core, to hearing and to models. @see nice(1) */
const NICENESS = 10
/** Where memory is short, the kernel ends flows before the rest. @see proc(5), oom_score_adj */
const OOM_SCORE = 500
const MEMORY_MS = 250
/** A folder that could not be read is tried again after this. */
const REOPEN_MS = 30_000
const START_MS = 20_000
const DEPLOY_MS = 30_000
/** After a start, until whoever handles intents must have come back. */
const RETURN_MS = 10_000
/** It ran this long: the next end is the first again. */
const CALM_MS = 60_000

/**
 * The core's side of Node-RED: keeps it running in a process that can harm nothing else, proves its health, keeps what is
 * deployed, and goes back to the last good flows where the present ones end it again and again.
 */
export class FlowsHost {
  readonly deploys: Deploys
  readonly #o: FlowsHostOptions
  readonly #access: EditorAccess
  readonly #answers: AnswersOptions
  readonly #places: Places
  readonly #health: Health
  readonly #crashes = new CrashLoop()
  readonly #deploying = new Exchange()
  readonly #ready = Promise.withResolvers<FlowsStatus>()
  #keeper: Keeper<ToNodeRed, FromNodeRed> | undefined
  #state: FlowsState = 'off'
  #isOpen = false
  #isToldClosed = false
  #isStopped = false
  #startedMs = 0
  #startMs: number | undefined
  #isProven = false
  /** Node-RED has been given the flows: from then on they may be what ends it. */
  #gaveFlows = false
  #listening: { port: number; version: string } | undefined
  #types: string[] = []
  #missing: string[] = []
  #failure: string | undefined
  /** Resolved when a start has come to something. */
  #settled = Promise.withResolvers<void>()
  #timers: Partial<Record<'open' | 'start' | 'good' | 'calm' | 'memory' | 'return', Timer>> = {}

  /** @throws MtorError CONFIG_INVALID where the editor would be open to the network */
  constructor(options: FlowsHostOptions) {
    this.#o = options
    const { config, bus, stateDir, hub, clock, values } = options
    const dir = join(stateDir, 'flows')
    this.#access = new EditorAccess(bus, config)
    this.#places = placesOf(dir)
    this.deploys = new Deploys({ dir, keep: config.keepDeploys, hub, values })
    this.#answers = {
      deploys: this.deploys, access: this.#access, onFlows: () => { this.#gaveFlows = true },
      onRefused: (username) => { this.#tell({ severity: 'warning', name: 'login.refused', code: 'UNAUTHORISED', message: `wrong name or password at the editor: ${JSON.stringify(username)}` }) },
    }
    this.#health = new Health({ clock, periodMs: config.probePeriodMs, timeoutMs: config.probeTimeoutMs, probe: options.probe, onProven: () => { this.#proven() }, onHung: (reason) => { this.#kill('hung', reason) } })
  }

  /** Reads what is deployed, and mends what is damaged. A folder that cannot be used is told; the appliance goes on without flows, and it is tried again. */
  async open(): Promise<void> {
    try {
      await this.deploys.open()
      makePlaces(this.#places)
      this.#isOpen = true
    } catch (thrown) {
      const { code, message } = toMtorError(thrown)
      this.#tell({ severity: 'error', name: 'store.failed', code, message: `flows cannot be kept: ${message}`, ...(this.#isToldClosed ? {} : { say: 'I cannot read my flows.' }) })
      this.#isToldClosed = true
    }
  }

  start(): void {
    if (this.#keeper || this.#isStopped) return
    if (!this.#isOpen) {
      this.#timers.open = this.#o.clock.setTimeout(() => { void this.open().then(() => { this.start() }) }, REOPEN_MS)
      return
    }
    const { config, clock, framesDir, realm, client, addresses } = this.#o
    const environment = environmentOf(config, this.#places, { MTOR_REALM_URL: realmUrl(addresses()), MTOR_REALM_NAME: realm, MTOR_REALM_USER: client.username, MTOR_REALM_PASSWORD: client.password, MTOR_REALM_CLIENT: this.#clientId })
    this.#keeper = new Keeper<ToNodeRed, FromNodeRed>({
      file: PROCESS, env: environment, bareEnv: true, execArgv: flagsOf(config, this.#places, framesDir === undefined ? [] : [framesDir]), niceness: NICENESS, clock, shutdown: { kind: 'shutdown' },
      onStart: (pid) => { this.#begun(pid) }, onMessage: (message) => { this.#take(message) }, onGone: (gone) => this.#gone(gone),
    })
    this.#keeper.start()
    this.#watchMemory()
  }

  async stop(): Promise<void> {
    this.#state = 'off'
    this.#isStopped = true
    this.#settled.resolve()
    this.#health.stop()
    this.#clear()
    this.#o.clock.clearTimeout(this.#timers.memory)
    this.#deploying.failAll(new MtorError('FLOWS_DOWN', 'the appliance is stopping'))
    await this.#keeper?.stop()
  }

  /** Resolves when flows run for the first time, and an intent went through them where that can be proven. */
  ready(): Promise<FlowsStatus> { return this.#ready.promise }

  get types(): readonly string[] { return this.#types }
  get #clientId(): string { return `flows-${this.#o.node}` }

  status(): FlowsStatus {
    const { current } = this.deploys.store
    const { lastMs } = this.#health.state
    const rss = this.#keeper?.state?.rssBytes
    return {
      state: this.#state, ...(this.#listening ? { url: editorUrl(this.#o.config, this.#listening.port), version: this.#listening.version } : {}), login: this.#access.login,
      ...(this.#keeper?.pid === undefined ? {} : { pid: this.#keeper.pid }), ...(rss === undefined ? {} : { rssMB: Math.round(rss / 1e6) }), restarts: this.#keeper?.restarts ?? 0,
      ...(this.#startMs === undefined ? {} : { startMs: this.#startMs }), ...(lastMs === undefined ? {} : { probeMs: lastMs }), ...(this.#missing.length > 0 ? { missing: this.#missing } : {}),
      ...(current ? { deploy: { n: current.n, at: current.at, author: current.author, good: current.good } } : {}),
    }
  }

  /**
   * Deploys flows as the editor would: through Node-RED where it runs, else for its next start.
   * @throws MtorError FLOWS_DOWN where it did not answer; DISK_FULL and others where it could not be kept
   */
  async deploy(deploy: { flows: Flows; credentials?: Credentials; author: string; of?: number }): Promise<DeployMeta> {
    if (this.#state === 'starting') await this.#settled.promise
    if (this.#state !== 'running' && this.#state !== 'incomplete') return this.deploys.save(deploy)
    const late = this.#o.clock.setTimeout(() => { this.#deploying.failAll(new MtorError('FLOWS_DOWN', `Node-RED did not take the deploy within ${DEPLOY_MS / 1000} s`)) }, DEPLOY_MS)
    try { await this.#deploying.ask((id) => this.#keeper?.send({ kind: 'deploy', id, ...deploy }) ?? false) } finally { this.#o.clock.clearTimeout(late) }
    return this.deploys.store.list()[0] ?? Promise.reject(new MtorError('INTERNAL', 'Node-RED did not keep the deploy'))
  }

  /** Brings an older deploy back. @throws MtorError NOT_FOUND */
  async rollBack(n: number, author: string): Promise<DeployMeta> {
    const { flows, credentials } = await this.deploys.read(n)
    return this.deploy({ flows, credentials, author, of: n })
  }

  #tell(event: Omit<SystemEventInput, 'component'>): void { this.#o.hub.system({ component: 'flows', ...event }) }

  #begun(pid: number | undefined): void {
    this.#state = 'starting'
    this.#settled = Promise.withResolvers()
    this.#startedMs = this.#o.clock.monoMs()
    this.#gaveFlows = false
    this.#listening = undefined
    this.#startMs = undefined
    this.#isProven = false
    this.#failure = undefined
    if (pid !== undefined) try { writeFileSync(`/proc/${pid}/oom_score_adj`, String(OOM_SCORE)) } catch { /* No such kernel: then it is as for all. */ }
    this.#timers.start = this.#o.clock.setTimeout(() => { this.#kill('hung', `Node-RED did not run within ${START_MS / 1000} s of its start`) }, START_MS)
  }

  #take(message: FromNodeRed): void {
    // What it still asks for while it ends is answered; its news is none any more.
    if (this.#state === 'off' && message.kind !== 'ask') return
    switch (message.kind) {
      case 'up': void this.#setUp(); break
      case 'ask': void this.#answer(message.id, message.ask); break
      case 'listening':
        this.#listening = { port: message.port, version: message.version }
        this.#types = message.types
        this.#announce()
        void keepFile(join(this.deploys.store.dir, 'types.json'), JSON.stringify({ version: message.version, types: message.types })).catch((thrown: unknown) => { this.#tell({ severity: 'warning', name: 'types.unkept', code: 'INTERNAL', message: toMtorError(thrown).message }) })
        break
      case 'running': this.#running(message.missing, message.probe); break
      case 'deployed':
        if (message.error) this.#deploying.fail(message.id, new MtorError(message.error.code, message.error.message))
        else this.#deploying.answer(message.id, undefined)
        break
      case 'log': this.#tell({ severity: message.level === 'critical' ? 'error' : message.level, name: 'log', message: message.message, ...(message.leftOut > 0 ? { data: { leftOut: message.leftOut } } : {}) }); break
      case 'failed': this.#failure = message.message; break
    }
  }

  async #setUp(): Promise<void> {
    const { config, stateDir, node } = this.#o
    try { this.#keeper?.send({ kind: 'run', setup: await setupOf(config, { stateDir, node, places: this.#places, credentialSecret: this.deploys.key, login: this.#access.login }) }) } catch (thrown) { this.#keeper?.kill(toMtorError(thrown).message) }
  }

  async #answer(id: number, ask: Ask): Promise<void> {
    try { this.#keeper?.send({ kind: 'answer', id, value: await answerTo(ask, this.#answers) }) } catch (thrown) { this.#keeper?.send({ kind: 'answer', id, error: toMtorError(thrown).message }) }
  }

  /** Flows have started, at first or with a deploy. */
  #running(missing: string[], canBeProven: boolean): void {
    const isFirst = this.#state === 'starting'
    this.#missing = missing
    this.#state = missing.length > 0 ? 'incomplete' : 'running'
    this.#settled.resolve()
    for (const name of ['start', 'good', 'calm'] as const) this.#o.clock.clearTimeout(this.#timers[name])
    if (missing.length > 0) {
      this.#health.stop()
      this.#tell({ severity: 'error', name: 'types.missing', code: 'FLOW_INVALID', message: `flows need node types that are not installed, so none runs: ${missing.join(', ')}`, say: 'My flows need parts that are not installed.' })
      return
    }
    const { clock, config } = this.#o
    const { current } = this.deploys.store
    if (current && !current.good) this.#timers.good = clock.setTimeout(() => { void this.#good(current.n) }, config.goodAfterMs)
    this.#timers.calm = clock.setTimeout(() => { this.#crashes.calm() }, CALM_MS)
    if (!canBeProven) {
      this.#tell({ severity: 'error', name: 'unproven', code: 'FLOWS_DOWN', message: 'the nodes of the appliance are not built, so no intent can prove that flows run', data: { advice: 'node flows/build.mjs' } })
      this.#health.stop()
      this.#proven()
    } else if (isFirst || !this.#health.state.proven) this.#health.start()
    else this.#health.excuse()
  }

  #proven(): void {
    this.#isProven = true
    this.#keeper?.healthy()
    this.#announce()
  }

  /** Once in each life: the editor answers, and flows are proven to run. */
  #announce(): void {
    if (!this.#isProven || !this.#listening || this.#startMs !== undefined) return
    this.#startMs = Math.round(this.#o.clock.monoMs() - this.#startedMs)
    const status = this.status()
    this.#tell({ severity: 'info', name: 'ready', message: `flows run after ${(this.#startMs / 1000).toFixed(1)} s with ${status.rssMB ?? 0} MB; the editor is at ${status.url ?? '?'}`, data: { startMs: this.#startMs, ...(status.rssMB === undefined ? {} : { rssMB: status.rssMB }) } })
    this.#ready.resolve(status)
    this.#timers.return = this.#o.clock.setTimeout(() => { void this.#forgetWhoIsGone() }, RETURN_MS)
  }

  /** Types that only earlier flows declared: nobody would ever carry them out. */
  async #forgetWhoIsGone(): Promise<void> {
    const { handlers } = this.#o
    for (const { client, online } of handlers?.status() ?? []) {
      if (online || client !== this.#clientId) continue
      try { await handlers!.forget(client) } catch (thrown) { this.#tell({ severity: 'warning', name: 'declarations.kept', code: toMtorError(thrown).code, message: toMtorError(thrown).message }) }
    }
  }

  async #good(n: number): Promise<void> {
    try {
      await this.deploys.good(n)
      this.#tell({ severity: 'info', name: 'good', message: `deploy ${n} ran for ${Math.round(this.#o.config.goodAfterMs / 1000)} s without a crash` })
    } catch (thrown) { this.#tell({ severity: 'warning', name: 'good.unkept', code: toMtorError(thrown).code, message: toMtorError(thrown).message }) }
  }

  #kill(name: string, reason: string): void {
    this.#tell({ severity: 'error', name, code: 'FLOWS_DOWN', message: `${reason}: Node-RED is started anew` })
    this.#keeper?.kill(reason)
  }

  #gone({ reason, planned }: Gone): number {
    this.#clear()
    this.#health.stop()
    this.#state = 'down'
    this.#settled.resolve()
    this.#deploying.failAll(new MtorError('FLOWS_DOWN', `Node-RED ended: ${reason}`))
    this.#tell({ severity: 'warning', name: 'gone', code: 'FLOWS_DOWN', message: this.#failure ?? reason, data: { restarts: this.#keeper?.restarts ?? 0 } })
    // What ended it before it had the flows was not the flows.
    if (!planned && this.#gaveFlows && this.#crashes.ended(this.#o.clock.monoMs())) {
      void this.deploys.fallBack().catch((thrown: unknown) => { this.#tell({ severity: 'error', name: 'rollback.failed', code: toMtorError(thrown).code, message: toMtorError(thrown).message }) })
    }
    return this.#crashes.pauseMs
  }

  /** All but the watch over memory. */
  #clear(): void {
    const { clock } = this.#o
    for (const name of ['open', 'start', 'good', 'calm', 'return'] as const) clock.clearTimeout(this.#timers[name])
  }

  #watchMemory(): void {
    const { clock, config: { maxMemoryMB } } = this.#o
    const rssMB = (this.#keeper?.state?.rssBytes ?? 0) / (1024 * 1024)
    if (rssMB > maxMemoryMB && this.#keeper?.up) this.#kill('memory', `Node-RED takes ${Math.round(rssMB)} MB, more than flows.maxMemoryMB ${maxMemoryMB}`)
    this.#timers.memory = clock.setTimeout(() => { this.#watchMemory() }, MEMORY_MS)
  }
}
