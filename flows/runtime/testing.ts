import type { ExecutionContext } from 'ava'
import { randomBytes } from 'node:crypto'
import { systemClock, type Clock } from '../../appliance/contracts/clock.ts'
import type { BusConfig, FlowsConfig } from '../../appliance/config/schema.ts'
import { makeConfig } from '../../appliance/config/load.ts'
import { MtorError } from '../../appliance/contracts/errors.ts'
import type { InternalClient } from '../../appliance/bus/identity.ts'
import { startBus, type Bench as BusBench } from '../../appliance/bus/testing.ts'
import { FlowsHost, type FlowsHostOptions } from './host.ts'

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

export interface Bench extends BusBench { host: FlowsHost; values: ReturnType<typeof memoryValues>; /** Requests to Node-RED's admin API. */ admin(path: string, options?: RequestInit & { json?: unknown }): Promise<Response> }
export interface BenchOptions { config?: Partial<FlowsConfig>; clients?: BusConfig['clients']; clock?: Clock; probe?: FlowsHostOptions['probe']; before?(stateDir: string): Promise<void> }

/** Node-RED as the appliance runs it, on the real bus, with state of its own; ends with the test. */
export async function startFlows(t: ExecutionContext, options: BenchOptions = {}): Promise<Bench> {
  const client: InternalClient = { username: 'mtor-flows', password: randomBytes(24).toString('base64url'), role: 'flow' }
  const bench = await startBus(t, { clients: options.clients ?? [] }, { internal: [client] })
  const { flows, bus } = makeConfig({ flows: { port: 0, ...options.config }, bus: { clients: options.clients ?? [] } }, bench.stateDir)
  const values = memoryValues()
  await options.before?.(bench.stateDir)
  const host = new FlowsHost({
    config: flows, bus, realm: 'home', node: 'base', stateDir: bench.stateDir, hub: bench.hub, clock: options.clock ?? systemClock, values, client, addresses: () => bench.bus.addresses(), probe: options.probe ?? (async () => {}),
  })
  t.teardown(() => host.stop())
  await host.open()
  host.start()
  return {
    ...bench, host, values,
    admin: async (path, { json, ...init } = {}) => {
      const { url } = host.status()
      if (url === undefined) throw new MtorError('FLOWS_DOWN', 'the editor does not listen')
      return fetch(new URL(path, url), json === undefined ? init : { method: 'POST', ...init, headers: { 'content-type': 'application/json', ...init.headers }, body: JSON.stringify(json) })
    },
  }
}
