import type { Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import mqtt from 'mqtt'
import type { FromWorker, StopWorkerData, ToWorker } from './messages.ts'

/**
 * The stop's own connection in a thread of its own: it sends although Node-RED's event loop is stuck in a function, and
 * sees that it is. A stop that finds no connection is sent with the next one, for as long as somebody may expect that.
 */
const EXPECTED_MS = 10_000
const CLOSE_MS = 1000

const { settings, topic, heartbeat, deadManMs } = workerData as StopWorkerData
const tell = (message: FromWorker) => parentPort!.postMessage(message)
const waiting = new Map<number, { reason: string; timer: NodeJS.Timeout }>()

const client = mqtt.connect(settings.url, {
  ...settings.options, protocolVersion: 4, clean: true, queueQoSZero: false, reconnectOnConnackError: true, reconnectPeriod: Math.min(settings.options.reconnectPeriod ?? 1000, 1000),
  // With a dead man the end of the whole process is one, too.
  ...(heartbeat ? { will: { topic, payload: Buffer.from(JSON.stringify({ reason: `${settings.clientId} is gone` })), qos: 1 as const, retain: false } } : {}),
})
client.on('connect', () => {
  ;(client.stream as Partial<Socket>).setNoDelay?.(true)
  tell({ connected: true })
  for (const [id, { reason }] of waiting) send(id, reason)
})
client.on('close', () => tell({ connected: false }))
client.on('error', (error) => tell({ connected: false, trouble: error.message || String((error as { code?: unknown }).code) }))

function settle(id: number, message: FromWorker): void {
  const entry = waiting.get(id)
  if (!entry) return
  clearTimeout(entry.timer)
  waiting.delete(id)
  tell(message)
}

function send(id: number, reason: string): void {
  if (client.connected) client.publish(topic, JSON.stringify({ reason }), { qos: 1 }, (error) => { if (!error) settle(id, { stopped: id }) })
}

function stop(id: number, reason: string): void {
  waiting.set(id, { reason, timer: setTimeout(() => settle(id, { failed: id, message: `no connection to ${settings.url}: the stop was not sent` }), EXPECTED_MS) })
  send(id, reason)
}

if (heartbeat) {
  const beats = new Int32Array(heartbeat)
  let seen = Atomics.load(beats, 0), seenAtMs = performance.now(), isArmed = true
  const DEAD_MAN = -1
  setInterval(() => {
    const now = Atomics.load(beats, 0)
    if (now !== seen) {
      seen = now
      seenAtMs = performance.now()
      isArmed = true
    } else if (isArmed && performance.now() - seenAtMs >= deadManMs) {
      // Once: what stands still does not move again by being stopped again.
      isArmed = false
      stop(DEAD_MAN, `Node-RED has not answered for ${deadManMs} ms`)
      tell({ deadMan: true })
    }
  }, Math.max(10, Math.floor(deadManMs / 8)))
}

parentPort!.on('message', (message: ToWorker) => {
  if ('stop' in message) return stop(message.stop, message.reason)
  const late = setTimeout(() => process.exit(0), CLOSE_MS)
  client.end(!client.connected, {}, () => { clearTimeout(late); process.exit(0) })
})
