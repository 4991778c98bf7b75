import { execFile, execFileSync } from 'node:child_process'
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { freePort } from '../../appliance/contracts/free-port.ts'
import { hashPassword } from '../../appliance/bus/index.ts'
import { makeConfig } from '../../appliance/config/load.ts'
import { MtorError, toMtorError } from '../../appliance/contracts/errors.ts'
import { createRealm, joinWith } from '../../appliance/realm/routes.ts'
import type { RealmStatus } from '../../appliance/realm/status.ts'
import { SimulatorProcess } from '../../drivers/rover/simulator/host.ts'
import { Appliance } from './appliance.ts'
import type { RealmNet } from './realm-net.ts'

const run = promisify(execFile)
export const REALM = 'bench'
export const CLIENT = { username: 'load', password: 'campaign' }
/** Motions are short: how soon a realm works again is not to be how long its queue is. */
const SPEED_FACTOR = 6
const CLOCK_PRELOAD = join(import.meta.dirname, '../faults/realm/clock-preload.mjs')

export interface RealmNodesOptions {
  net: RealmNet
  full: readonly string[]
  witness: string
  seed: number
  /** Further settings of a node. */
  settings?: Readonly<Record<string, Record<string, unknown>>>
  /** A node whose state lies on a disk of its own, of this size. */
  smallDisk?: { node: string; megabytes: number }
}

/** Three boards that are one realm, each where it is in the net, with one simulated rover that every full node has a line to. */
export class RealmNodes {
  readonly dir: string
  readonly nodes = new Map<string, Appliance>()
  readonly controller: SimulatorProcess
  readonly #o: RealmNodesOptions
  readonly #own = new Map<string, Record<string, unknown>>()
  readonly #mqttPorts = new Map<string, number>()
  #mounted: string | undefined
  #keeps = 0
  #hasStopped = false

  constructor(dir: string, options: RealmNodesOptions) {
    this.dir = resolve(dir)
    this.#o = options
    const [link, ...moreLinks] = options.full.map((node) => this.line(node))
    this.controller = new SimulatorProcess({ link: link!, moreLinks, logFile: join(this.dir, 'controller.jsonl'), stateFile: join(this.dir, 'controller.state'), controlPath: join(this.dir, 'controller.control'), seed: options.seed, speedFactor: SPEED_FACTOR })
  }

  get net(): RealmNet { return this.#o.net }
  get full(): readonly string[] { return this.#o.full }
  get names(): string[] { return [...this.#o.full, this.#o.witness] }
  get smallDisk(): string | undefined { return this.#mounted === undefined ? undefined : this.#o.smallDisk!.node }
  line(node: string): string { return join(this.dir, `line-${node}`) }
  node(name: string): Appliance { return this.nodes.get(name)! }
  url(node: string): string { return `mqtt://${this.#o.net.clientAddress(node)}:${this.#mqttPorts.get(node)}` }
  clockFile(node: string): string { return join(this.dir, `clock-${node}`) }
  /** Every fact that a node has told, also those of former disks, in one file. */
  factsOf(node: string): string { return join(this.dir, `facts-${node}.jsonl`) }

  async start(progress: (text: string) => void): Promise<void> {
    mkdirSync(this.dir, { recursive: true })
    await this.controller.start()
    this.#mount()
    const { full, witness } = this.#o
    for (const name of [...full, witness]) {
      await this.#prepare(name)
      const founder = full[0]!
      if (name === founder) await createRealm(this.#given(name), { name: REALM })
      else {
        const { address, token } = await this.node(founder).control.call('POST', '/realm/token', { role: name === witness ? 'witness' : 'full' }) as { address: string; token: string }
        await joinWith(this.#given(name), { at: address, token })
      }
      progress(`starting node ${name}`)
      await this.node(name).start()
    }
  }

  async #prepare(name: string): Promise<void> {
    const { net, full, settings } = this.#o
    const host = net.address(name), clientHost = net.clientAddress(name)
    const [port, clientPort, peerPort, mqttPort] = net.cuts ? [7717, 7718, 7719, 1883] : [await freePort(), await freePort(), await freePort(), await freePort()]
    this.#mqttPorts.set(name, mqttPort)
    const own = {
      realm: REALM, node: name, speech: { enabled: false }, flows: { enabled: false }, vision: { camera: 'none' }, log: { level: 'debug' },
      peers: { host, port }, realmMode: { etcd: { clientPort, peerPort } },
      bus: { listeners: [{ kind: 'tcp', host: clientHost, port: mqttPort, tls: false }], clients: [{ username: CLIENT.username, passwordHash: await hashPassword(CLIENT.password, { N: 1024 }), role: 'operator' }] },
      devices: full.includes(name) ? [{ id: 'rover', driver: 'rover', port: this.line(name) }] : [], ...settings?.[name],
    }
    this.#own.set(name, own)
    this.nodes.set(name, new Appliance(join(this.dir, name), own, { launch: net.enter(name), env: { NODE_OPTIONS: `--import ${pathToFileURL(CLOCK_PRELOAD).href}`, MTOR_CAMPAIGN_CLOCK: this.clockFile(name) } }))
  }

  #given(name: string) {
    const { stateDir } = this.node(name)
    return { stateDir, node: name, config: makeConfig({ ...this.#own.get(name), stateDir }).peers }
  }

  /** A disk of its own for one node; where that may not be had, there is no full disk in this run. */
  #mount(): void {
    const { smallDisk } = this.#o
    if (!smallDisk) return
    const folder = join(this.dir, smallDisk.node, 'state')
    mkdirSync(folder, { recursive: true })
    try { execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${smallDisk.megabytes}M,mode=700`, 'tmpfs', folder], { stdio: 'ignore' }); this.#mounted = folder } catch { /* Not allowed here. */ }
  }

  /** The realm as a node sees it; undefined while it does not answer. */
  async status(name: string): Promise<RealmStatus | undefined> { return await within(this.node(name).control.call('GET', '/realm'), 2_000).catch(() => undefined) as RealmStatus | undefined }

  /** Submits at a node over its control socket; the final state, or why it was not accepted. */
  async ask(name: string, type: string, slots: Record<string, unknown> = {}, timeoutMs = 5_000): Promise<{ accepted: boolean; durable: boolean; state?: string; code?: string }> {
    let accepted = false, durable = false
    try {
      for await (const { receipt, event } of this.node(name).control.lines('POST', '/intents', { type, slots }, AbortSignal.timeout(timeoutMs)) as AsyncIterable<{ receipt?: { accepted: boolean; durable?: boolean; code?: string }; event?: { state: string; code?: string } }>) {
        if (receipt) { if (!receipt.accepted) return { accepted, durable, ...(receipt.code ? { code: receipt.code } : {}) }; accepted = true; durable = receipt.durable !== false }
        if (event && ['succeeded', 'failed', 'aborted', 'expired'].includes(event.state)) return { accepted, durable, state: event.state, ...(event.code ? { code: event.code } : {}) }
      }
    } catch (error) { return { accepted, durable, code: toMtorError(error).code } }
    return { accepted, durable }
  }

  /** True when every node is linked to every other, accepts with a majority, and `through` gets a command to the rover. */
  async isWhole(through: string): Promise<boolean> {
    for (const name of this.names) {
      const status = await this.status(name)
      if (!status || status.nodes.length < this.names.length || !status.nodes.every(({ online }) => online)) return false
    }
    for (const name of this.names) { const { durable, state } = await this.ask(name, 'time.tell'); if (!durable || state !== 'succeeded') return false }
    return (await this.ask(through, 'light.set', { on: true })).state === 'succeeded'
  }

  /** The process of a node's etcd; undefined while there is none. */
  etcdPid(name: string): number | undefined {
    const mark = `--data-dir=${join(this.node(name).stateDir, 'realm', 'etcd', 'data')}`
    for (const entry of readdirSync('/proc')) {
      if (!/^\d+$/.test(entry)) continue
      try { const words = readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0'); if (words.includes(mark) && words[0]!.endsWith('etcd')) return Number(entry) } catch { /* It has ended. */ }
    }
    return undefined
  }

  /** kill −9, an empty disk, and a new board that takes the name and role of the lost one. */
  async wipe(name: string, helper: string): Promise<void> {
    const appliance = this.node(name)
    await appliance.kill()
    this.#keepFacts(name)
    this.#keepJournals(name)
    for (const entry of readdirSync(appliance.stateDir)) rmSync(join(appliance.stateDir, entry), { recursive: true, force: true })
    const untilMs = performance.now() + 30_000
    for (;;) {
      try {
        const { address, token } = await this.node(helper).control.call('POST', '/realm/replace', { node: name, force: true }) as { address: string; token: string }
        await joinWith(this.#given(name), { at: address, token })
        break
      } catch (error) {
        // Taken off the list already by a try before: then a token is all that is needed.
        if (performance.now() > untilMs) throw error
        const invited = await this.node(helper).control.call('POST', '/realm/token', { role: name === this.#o.witness ? 'witness' : 'full' }).catch(() => undefined) as { address: string; token: string } | undefined
        if (invited && await joinWith(this.#given(name), { at: invited.address, token: invited.token }).then(() => true, () => false)) break
        await new Promise((done) => setTimeout(done, 300))
      }
    }
    await appliance.start()
  }

  /** Half lines, of a writer that was killed or a disk that was full, are no facts. */
  #keepFacts(name: string): void {
    const { factLog } = this.node(name)
    const isWhole = (line: string) => { try { JSON.parse(line); return true } catch { return false } }
    for (const file of [`${factLog}.1`, factLog]) if (existsSync(file)) appendFileSync(this.factsOf(name), readFileSync(file, 'utf8').split('\n').filter(isWhole).map((line) => `${line}\n`).join(''))
  }

  /** What the shared journal has, as etcd itself tells it. @throws MtorError NO_QUORUM when no member answers */
  async dumpEtcd(file: string): Promise<void> {
    let reason: unknown
    for (const name of this.#o.full) {
      const { stateDir } = this.node(name)
      const { peers: _, realmMode } = this.#own.get(name) as { peers: unknown; realmMode: { etcd: { clientPort: number } } }
      const of = (pem: string) => join(stateDir, 'realm', pem)
      const [command, ...args] = [...this.net.enter(name), 'etcdctl', '--endpoints', `https://${this.net.address(name)}:${realmMode.etcd.clientPort}`, '--cacert', of('ca-cert.pem'), '--cert', of('node-cert.pem'), '--key', of('node-key.pem'), '--command-timeout', '10s', 'get', '--prefix', `/mtor/1/${REALM}/`, '--write-out', 'json']
      try {
        const { stdout } = await run(command!, args, { maxBuffer: 512 * 1024 * 1024, env: { ...process.env, ETCDCTL_API: '3' } })
        writeFileSync(file, stdout)
        return
      } catch (error) { reason = error }
    }
    throw new MtorError('NO_QUORUM', `etcd could not be read at the end: ${String(reason)}`)
  }

  /** Ends all of it; afterwards the facts of every node are in `factsOf`. */
  async stop(): Promise<void> {
    await Promise.all([...this.nodes.values()].map((node) => node.stop()))
    await this.controller.stop()
    if (this.#hasStopped) return
    this.#hasStopped = true
    for (const name of this.nodes.keys()) { this.#keepFacts(name); this.#keepJournals(name) }
    if (this.#mounted === undefined) return
    execFileSync('umount', ['-l', this.#mounted])
    this.#mounted = undefined
  }

  /** What the judge reads of a node's disk stays when that is gone or lost. */
  #keepJournals(name: string): void {
    const { stateDir } = this.node(name)
    const kept = join(this.dir, `kept-${name}-${++this.#keeps}`)
    for (const folder of ['', 'realm-archive']) {
      const from = join(stateDir, folder)
      for (const file of existsSync(from) ? readdirSync(from).filter((file) => /\.sqlite(-wal)?$/.test(file)) : []) {
        mkdirSync(join(kept, folder), { recursive: true })
        copyFileSync(join(from, file), join(kept, folder, file))
      }
    }
  }

  #kept(folder: string, pattern: RegExp): string[] {
    return readdirSync(this.dir).filter((name) => name.startsWith('kept-')).flatMap((name) => {
      const from = join(this.dir, name, folder)
      return existsSync(from) ? readdirSync(from).filter((file) => pattern.test(file)).map((file) => join(from, file)) : []
    })
  }

  /** Each node's own journal, of when it stood alone. */
  ownJournals(): string[] { return this.#kept('', /^journal\.sqlite$/) }
  /** What each node has archived of the shared journal. */
  archives(): string[] { return this.#kept('realm-archive', /\.archive-\d+\.sqlite$/) }
}

async function within<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  try { return await Promise.race([work, new Promise<never>((_, reject) => { timer = setTimeout(() => reject(new MtorError('DEADLINE', `not within ${ms} ms`)), ms) })]) } finally { clearTimeout(timer) }
}
