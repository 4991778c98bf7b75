import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect as connectTcp, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import { makeConfig } from '../config/load.ts'
import { systemClock, type Clock } from '../contracts/clock.ts'
import { PROTOCOL_VERSION, type Receipt } from '../contracts/envelope.ts'
import type { SystemEvent } from '../contracts/events.ts'
import { Hub } from '../contracts/hub.ts'
import { uuidv7 } from '../contracts/ids.ts'
import type { Identity } from '../contracts/intents.ts'
import { topicsOf } from '../contracts/topics.ts'
import { Bus, type BusOptions } from './index.ts'

/** Parts of a running bus, for tests: the real broker on free loopback ports. */
export interface Bench {
  bus: Bus; hub: Hub; events: SystemEvent[]; stops: string[]; submitted: { envelope: unknown; identity: Identity }[]
  port: number; wsPort: number; stateDir: string
  client(options?: IClientOptions): Promise<MqttClient>
  raw(): Promise<Socket>
  /** The next event of that name, or one that has been. */
  event(name: string, code?: string): Promise<SystemEvent>
}
export const topics = topicsOf('home')

export const receiptOf = (hub: Hub, id: string | null, more: Partial<Receipt> = {}): Receipt => ({ v: PROTOCOL_VERSION, id, accepted: true, at: hub.now(), ...more })

export const envelope = (hub: Hub, id = uuidv7()) => ({
  v: 1, id, type: 'time.tell', slots: {}, source: { kind: 'mqtt', node: 'test' }, issuedAt: hub.now(), ttlMs: 10_000, priority: 5,
})

/** Starts a bus that accepts every object with an id; everything is stopped and removed when the test ends. */
export async function startBus(t: ExecutionContext, config: Record<string, unknown> = {}, parts: Partial<BusOptions> & { clock?: Clock } = {}): Promise<Bench> {
  const clock = parts.clock ?? systemClock
  const hub = new Hub(clock, 'base')
  const stateDir = await mkdtemp(join(tmpdir(), 'mtor-bus-'))
  const events: SystemEvent[] = []
  const stops: string[] = []
  const submitted: Bench['submitted'] = []
  hub.onSystem((event) => { events.push(event) })
  const bus = new Bus({
    config: makeConfig({ bus: { listeners: [{ kind: 'tcp', port: 0 }, { kind: 'ws', port: 0 }], ...config } }, stateDir).bus,
    realm: 'home', node: 'base', stateDir, hub, clock,
    submit: async (submittedEnvelope, identity) => {
      submitted.push({ envelope: submittedEnvelope, identity })
      const id = (submittedEnvelope as { id?: unknown } | null)?.id
      return typeof id === 'string' ? receiptOf(hub, id) : receiptOf(hub, null, { accepted: false, code: 'INVALID_ENVELOPE' })
    },
    emergencyStop: (reason) => { stops.push(reason) },
    ...parts,
  })
  const clients: MqttClient[] = []
  const sockets: Socket[] = []
  t.teardown(async () => {
    for (const client of clients) client.end(true)
    for (const socket of sockets) socket.destroy()
    await bus.stop()
    await rm(stateDir, { recursive: true, force: true })
  })
  await bus.start()
  const port = bus.addresses().find((a) => a.kind === 'tcp')?.port ?? 0
  return {
    bus, hub, events, stops, submitted, stateDir, port, wsPort: bus.addresses().find((a) => a.kind === 'ws')?.port ?? 0,
    async client(options = {}) {
      const client = mqtt.connect({ protocol: 'mqtt', host: '127.0.0.1', port, reconnectPeriod: 0, connectTimeout: 5_000, ...options } as IClientOptions)
      clients.push(client)
      client.on('error', () => {})
      await new Promise<void>((resolve, reject) => { client.once('connect', () => resolve()); client.once('error', reject); client.once('close', () => reject(new TypeError('closed before connected'))) })
      // Else Nagle's algorithm and the delayed acknowledgement make every small exchange take 40 ms.
      ;(client.stream as Partial<Socket>).setNoDelay?.(true)
      return client
    },
    async raw() {
      const socket = connectTcp({ host: '127.0.0.1', port, noDelay: true })
      sockets.push(socket)
      socket.on('error', () => {})
      await once(socket, 'connect')
      return socket
    },
    event: (name, code) => new Promise((resolve) => {
      const fits = (e: SystemEvent) => e.name === name && (code === undefined || e.code === code)
      const there = events.find(fits)
      if (there) { resolve(there); return }
      const off = hub.onSystem((e) => { if (fits(e)) { off(); resolve(e) } })
    }),
  }
}

/** Subscribes and collects; `next` waits for the next message in order. */
export async function inbox(client: MqttClient, filter: string | string[], qos: 0 | 1 | 2 = 1) {
  const got: { topic: string; payload: Buffer; retain: boolean }[] = []
  const waiting: ((m: { topic: string; payload: Buffer; retain: boolean }) => void)[] = []
  client.on('message', (topic, payload, packet) => {
    const message = { topic, payload, retain: packet.retain }
    const waiter = waiting.shift()
    if (waiter) waiter(message); else got.push(message)
  })
  const granted = await client.subscribeAsync(filter, { qos })
  return {
    granted,
    next: () => new Promise<{ topic: string; payload: Buffer; retain: boolean }>((resolve) => { const there = got.shift(); if (there) resolve(there); else waiting.push(resolve) }),
    waiting: () => got.length,
  }
}
export const json = (message: { payload: Buffer }) => JSON.parse(message.payload.toString())

/** Resolves when an MQTT packet of that command reaches the client. */
export const packet = (client: MqttClient, cmd: string) => new Promise<void>((resolve) => {
  const look = (p: { cmd: string }) => { if (p.cmd === cmd) { client.off('packetreceive', look); resolve() } }
  client.on('packetreceive', look)
})

/** MQTT CONNECT of a raw socket. */
export function connectPacket(clientId: string, { clean = true, username }: { clean?: boolean; username?: string } = {}): Buffer {
  const text = (s: string) => { const b = Buffer.from(s); return Buffer.concat([Buffer.from([b.length >> 8, b.length & 255]), b]) }
  const body = Buffer.concat([text('MQTT'), Buffer.from([4, (clean ? 2 : 0) | (username ? 0x80 : 0), 0, 60]), text(clientId), ...(username ? [text(username)] : [])])
  return Buffer.concat([Buffer.from([0x10, body.length]), body])
}
export function publishPacket(topic: string, payload: Buffer | string, qos = 0, messageId = 1): Buffer {
  const name = Buffer.from(topic)
  const body = Buffer.concat([Buffer.from([name.length >> 8, name.length & 255]), name, qos ? Buffer.from([messageId >> 8, messageId & 255]) : Buffer.alloc(0), Buffer.from(payload)])
  const length: number[] = []
  for (let n = body.length; ;) { const digit = n & 127; n >>= 7; length.push(n ? digit | 128 : digit); if (!n) break }
  return Buffer.concat([Buffer.from([0x30 | qos << 1, ...length]), body])
}
export function subscribePacket(filter: string, qos = 0, messageId = 1): Buffer {
  const name = Buffer.from(filter)
  return Buffer.concat([Buffer.from([0x82, name.length + 5, messageId >> 8, messageId & 255, name.length >> 8, name.length & 255]), name, Buffer.from([qos])])
}
