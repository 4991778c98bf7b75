import type { ExecutionContext } from 'ava'
import { randomBytes } from 'node:crypto'
import type { Bus } from '../../appliance/bus/index.ts'
import type { InternalClient } from '../../appliance/bus/identity.ts'
import { startBus, topics, type Bench as BusBench } from '../../appliance/bus/testing.ts'
import { makeConfig } from '../../appliance/config/load.ts'
import type { BusConfig, FlowsConfig } from '../../appliance/config/schema.ts'
import { systemClock, type Clock } from '../../appliance/contracts/clock.ts'
import { MtorError } from '../../appliance/contracts/errors.ts'
import { Hub } from '../../appliance/contracts/hub.ts'
import { Handlers } from '../../appliance/dispatch/handlers.ts'
import type { FlowNode } from './flow.ts'
import { FlowsHost } from './host.ts'
import { PROBE_TYPE } from './probe-flow.ts'

/** Durable values, in memory. */
export function memoryValues() {
  const kept = new Map<string, unknown>()
  return {
    kept,
    put: async (key: string, value: unknown) => { if (value === undefined) kept.delete(key); else kept.set(key, structuredClone(value)) },
    read: async (key: string) => structuredClone(kept.get(key)),
    keys: async (prefix: string) => [...kept.keys()].filter((key) => key.startsWith(prefix)),
  }
}

/** Resolves once it is so; the test's own limit is the end of patience. */
export async function becomes(is: () => boolean | Promise<boolean>): Promise<void> { while (!await is()) await new Promise((done) => { setTimeout(done, 25) }) }

export interface Bench extends BusBench {
  host: FlowsHost
  handlers: Handlers
  values: ReturnType<typeof memoryValues>
  /** A request to Node-RED's admin API; with `json` it is posted. */
  admin(path: string, options?: Omit<RequestInit, 'body'> & { json?: unknown }): Promise<Response>
  /** How often an event of that name was raised by flows. */
  told(name: string): number
}
export interface BenchOptions { config?: Partial<FlowsConfig>; clients?: BusConfig['clients']; clock?: Clock; /** Before the folder is opened. */ prepare?(stateDir: string): Promise<void>; /** Before Node-RED is started. */ before?(host: FlowsHost): Promise<void> }

/** Node-RED as the appliance runs it, on the real bus with real handlers, with state of its own; ends with the test. */
export async function startFlows(t: ExecutionContext, { config = {}, clients = [], clock = systemClock, prepare, before }: BenchOptions = {}): Promise<Bench> {
  const client: InternalClient = { username: 'mtor-flows', password: randomBytes(24).toString('base64url'), role: 'flow' }
  const values = memoryValues()
  const reached: { bus?: Bus } = {}
  const handlers = new Handlers({
    hub: new Hub(systemClock, 'base'), clock: systemClock, topics, values, publish: (topic, payload, options) => reached.bus?.publish(topic, payload, options),
    check: () => [], learn: async () => ({ unknownWords: [] }), isVacant: () => false,
  })
  const bench = await startBus(t, { clients }, { internal: [client], handlers })
  reached.bus = bench.bus
  const { flows, bus } = makeConfig({ flows: { port: 0, ...config }, bus: { clients } }, bench.stateDir)
  const host = new FlowsHost({
    config: flows, bus, realm: 'home', node: 'base', stateDir: bench.stateDir, hub: bench.hub, clock, values, client, handlers, addresses: () => bench.bus.addresses(),
    probe: async (nonce, timeoutMs) => { if ((await handlers.probe(PROBE_TYPE, { nonce }, timeoutMs)).data?.['nonce'] !== nonce) throw new MtorError('FLOW_INVALID', 'another nonce') },
  })
  t.teardown(async () => { await host.stop(); handlers.stop() })
  await prepare?.(bench.stateDir)
  await host.open()
  await before?.(host)
  host.start()
  return {
    ...bench, host, handlers, values,
    admin: async (path, { json, ...init } = {}) => {
      const { url } = host.status()
      if (url === undefined) throw new MtorError('FLOWS_DOWN', 'the editor does not listen')
      return fetch(new URL(path, url), json === undefined ? init : { method: 'POST', ...init, headers: { 'content-type': 'application/json', ...init.headers }, body: JSON.stringify(json) })
    },
    told: (name) => bench.events.filter((event) => event.component === 'flows' && event.name === name).length,
  }
}

/** A tab with an HTTP endpoint `/<path>` behind which a function node does `func`; its answer is what the function returns. */
export function endpoint(path: string, func: string, more: Partial<FlowNode> = {}): FlowNode[] {
  const id = (part: string) => `${path}-${part}`
  return [
    { id: id('tab'), type: 'tab', label: path },
    { id: id('in'), type: 'http in', z: id('tab'), url: `/${path}`, method: 'get', wires: [[id('function')]] },
    { id: id('function'), type: 'function', z: id('tab'), name: path, func, outputs: 1, timeout: 0, wires: [[id('out')]], ...more },
    { id: id('out'), type: 'http response', z: id('tab'), statusCode: '', wires: [] },
  ]
}
