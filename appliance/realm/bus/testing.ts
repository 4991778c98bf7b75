import type { Socket } from 'node:net'
import type { ExecutionContext } from 'ava'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import { Bus, type BusOptions } from '../../bus/index.ts'
import type { Mesh } from '../../bus/mesh/index.ts'
import { makeConfig } from '../../config/load.ts'
import { systemClock, type Clock } from '../../contracts/clock.ts'
import { PROTOCOL_VERSION } from '../../contracts/envelope.ts'
import { topicsOf } from '../../contracts/topics.ts'
import { EmergencyStop } from '../../guard/emergency-stop.ts'
import { becomes, temporary, three, type NodeOptions, type TestNode } from '../testing.ts'
import { OneBus } from './index.ts'

export const topics = topicsOf('home')
export const app = (name: string) => `${topics.root}/app/${name}`

/** A node with a broker of its own that is one bus with the others. */
export interface BusNode extends TestNode {
  bus: Bus; mesh: Mesh; oneBus: OneBus; stopPath: EmergencyStop
  /** Reasons of the stops that were carried out here. */
  stops: { reason: string; atMs: number }[]
  mqttPort(): number
  client(options?: IClientOptions): Promise<MqttClient>
}
export interface BusNodeOptions { bus?: Partial<BusOptions>; config?: Record<string, unknown>; clock?: Clock; maxQueueBytes?: number }

export async function withBus(t: ExecutionContext, node: TestNode, options: BusNodeOptions = {}): Promise<BusNode> {
  const { clock = systemClock } = options
  const stateDir = await temporary(t)
  const { hub, peers, membership } = node
  const stopPath = new EmergencyStop(hub)
  const stops: BusNode['stops'] = []
  stopPath.addDriver({ id: 'wheels', emergencyStop: (reason) => { stops.push({ reason, atMs: performance.now() }) } })
  const oneBus = new OneBus({ membership, peers, clock, hub, stop: stopPath, ...(options.maxQueueBytes === undefined ? {} : { maxQueueBytes: options.maxQueueBytes }) })
  const { mesh } = oneBus
  const bus: Bus = new Bus({
    config: makeConfig({ bus: { listeners: [{ kind: 'tcp', port: 0 }], ...options.config } }, stateDir).bus,
    realm: 'home', node: node.node, stateDir, hub, clock, mesh,
    submit: async (envelope) => ({ v: PROTOCOL_VERSION, id: (envelope as { id: string }).id, accepted: true, at: hub.now() }),
    emergencyStop: (reason) => stopPath.trigger(reason),
    ...options.bus,
  })
  const clients: MqttClient[] = []
  t.teardown(async () => {
    for (const client of clients) client.end(true)
    await bus.stop()
    oneBus.stop()
  })
  oneBus.start()
  oneBus.join(bus)
  await bus.start()
  const mqttPort = () => bus.addresses()[0]!.port
  return {
    ...node, bus, mesh, oneBus, stopPath, stops, mqttPort,
    async client(more = {}) {
      const client = mqtt.connect({ protocol: 'mqtt', host: '127.0.0.1', port: mqttPort(), reconnectPeriod: 0, connectTimeout: 5_000, ...more } as IClientOptions)
      clients.push(client)
      client.on('error', () => {})
      await new Promise<void>((resolve, reject) => { client.once('connect', () => resolve()); client.once('error', reject); client.once('close', () => reject(new TypeError('closed before connected'))) })
      ;(client.stream as Partial<Socket>).setNoDelay?.(true)
      return client
    },
  }
}

export const isMet = (node: BusNode, count = 2) => node.oneBus.stats().filter(({ isUp }) => isUp).length === count

/** Three nodes, linked, each with a bus. */
export async function threeBuses(t: ExecutionContext, options: BusNodeOptions = {}, nodeOptions: NodeOptions = {}): Promise<[BusNode, BusNode, BusNode]> {
  const nodes = await three(t, nodeOptions)
  const [a, b, c] = await Promise.all(nodes.map((node) => withBus(t, node, options)))
  await becomes('all buses have met', () => [a!, b!, c!].every((node) => isMet(node)))
  return [a!, b!, c!]
}

/** What a client gets on `filter`: collected from the moment that the subscription is granted. */
export async function heard(client: MqttClient, filter: string | string[], qos: 0 | 1 = 1) {
  const got: { topic: string; text: string; retain: boolean }[] = []
  client.on('message', (topic, payload, packet) => { got.push({ topic, text: payload.toString(), retain: packet.retain }) })
  await client.subscribeAsync(filter, { qos })
  return { got, texts: (topic?: string) => got.filter((one) => topic === undefined || one.topic === topic).map(({ text }) => text) }
}
