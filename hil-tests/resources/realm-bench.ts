import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { freePort } from '../../appliance/contracts/free-port.ts'
import { makeConfig } from '../../appliance/config/load.ts'
import { MtorError } from '../../appliance/contracts/errors.ts'
import { createRealm, joinWith } from '../../appliance/realm/routes.ts'
import type { DeviceView } from '../../appliance/realm/ownership/index.ts'
import { SimulatorProcess, type SimulatorOptions } from '../../drivers/rover/simulator/host.ts'
import { Appliance } from './appliance.ts'

export interface RealmBenchOptions {
  /** Names of full nodes; each has a line to the one controller, unless `wired` says otherwise. */
  full?: readonly string[]
  wired?: readonly string[]
  witness?: string | undefined
  /** Devices that every node may command alone. */
  standAlone?: readonly string[]
  settings?: Record<string, unknown>
  /** Settings of one node, by name. */
  own?: Record<string, Record<string, unknown>>
  /** Versions that a node pretends to have, by name; read with each of its starts. */
  pretend?: Record<string, { protocol?: number; schema?: number; envelope?: number }>
  simulator?: Partial<SimulatorOptions>
}

/** Another etcd than Debian's. */
const BINARY = process.env['MTOR_ETCD']

/** Several daemons on this machine that are one realm, and one simulated rover with a line to each that is wired to it. */
export class RealmBench {
  readonly dir: string
  readonly nodes = new Map<string, Appliance>()
  readonly simulator: SimulatorProcess
  readonly #o: Required<Omit<RealmBenchOptions, 'witness'>> & { witness: string | undefined }

  constructor(dir: string, options: RealmBenchOptions = {}) {
    this.dir = resolve(dir)
    const full = options.full ?? ['a', 'b']
    this.#o = { full, wired: options.wired ?? full, witness: 'witness' in options ? options.witness : 'w', standAlone: options.standAlone ?? [], settings: options.settings ?? {}, own: options.own ?? {}, pretend: options.pretend ?? {}, simulator: options.simulator ?? {} }
    const [first, ...more] = this.#o.wired.map((node) => this.line(node))
    mkdirSync(this.dir, { recursive: true })
    this.simulator = new SimulatorProcess({ link: first!, moreLinks: more, logFile: join(this.dir, 'controller.jsonl'), stateFile: join(this.dir, 'controller.state'), controlPath: join(this.dir, 'controller.control'), ...this.#o.simulator })
  }

  line(node: string): string { return join(this.dir, `line-${node}`) }
  node(name: string): Appliance { return this.nodes.get(name)! }

  async start(): Promise<void> {
    await this.simulator.start()
    const { full, witness, wired, settings, own: ofNode, standAlone, pretend } = this.#o
    for (const name of witness === undefined ? full : [...full, witness]) {
      const [port, clientPort, peerPort] = [await freePort(), await freePort(), await freePort()]
      const own = {
        realm: 'bench', node: name, speech: { enabled: false }, flows: { enabled: false }, vision: { camera: 'none' },
        peers: { host: '127.0.0.1', port, ...(pretend[name] ? { pretend: pretend[name] } : {}) }, realmMode: { etcd: { clientPort, peerPort, ...(BINARY === undefined ? {} : { binary: BINARY }) }, standAloneDevices: [...standAlone] },
        devices: wired.includes(name) ? [{ id: 'rover', driver: 'rover', port: this.line(name) }] : [], ...settings, ...ofNode[name],
      }
      const appliance = new Appliance(join(this.dir, name), own)
      const config = makeConfig({ ...own, stateDir: appliance.stateDir })
      const given = { stateDir: appliance.stateDir, node: name, config: config.peers }
      const [founder] = this.nodes.values()
      if (!founder) await createRealm(given, { name: 'bench' })
      else {
        const { address, token } = await founder.control.call('POST', '/realm/token', { role: name === witness ? 'witness' : 'full' }) as { address: string; token: string }
        await joinWith(given, { at: address, token })
      }
      this.nodes.set(name, appliance)
      await appliance.start()
    }
    await this.until('a node commands the rover', async () => (await this.owner()) !== undefined)
  }

  async devices(of: string): Promise<DeviceView[]> { return await this.node(of).control.call('GET', '/devices') as DeviceView[] }

  /** The node that says that it commands the device. */
  async owner(device = 'rover'): Promise<string | undefined> {
    for (const [name, { control }] of this.nodes) {
      const devices = await control.call('GET', '/devices').catch(() => []) as DeviceView[]
      if (devices.some((one) => one.device === device && one.here === 'commands')) return name
    }
    return undefined
  }

  async until(what: string, check: () => Promise<boolean>, timeoutMs = 30_000): Promise<void> {
    const untilMs = performance.now() + timeoutMs
    while (!await check().catch(() => false)) {
      if (performance.now() > untilMs) throw new MtorError('DEADLINE', `${what}: not within ${timeoutMs} ms`)
      await new Promise((done) => setTimeout(done, 20))
    }
  }

  /** Submits an intent at a node; resolves with its receipt and all events up to its end. */
  async submit(at: string, type: string, slots: Record<string, unknown>): Promise<{ receipt: Record<string, unknown>; events: Record<string, unknown>[] }> {
    let receipt: Record<string, unknown> = {}
    const events: Record<string, unknown>[] = []
    for await (const turn of this.node(at).control.lines('POST', '/intents', { type, slots }, AbortSignal.timeout(60_000)) as AsyncIterable<{ kind: string; receipt?: Record<string, unknown>; event?: Record<string, unknown> }>) {
      if (turn.receipt) receipt = turn.receipt
      if (turn.event) events.push(turn.event)
    }
    return { receipt, events }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.nodes.values()].map((node) => node.stop()))
    await this.simulator.stop()
  }
}
