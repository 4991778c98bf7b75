import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { MtorError } from '../../../appliance/contracts/errors.ts'
import { failed, numberOf, realmOf, type RealmUser } from '../../lib/node.ts'
import type { Done, Red, RedNode } from '../../lib/red.ts'
import type { FromWorker, StopWorkerData, ToWorker } from './messages.ts'

interface Config extends RealmUser { reason?: string; deadMan?: boolean; deadManMs?: number | string }

const CLOSE_MS = 1500
const LEAST_DEAD_MAN_MS = 100
/** Bundled beside the node, else as source. */
const workerFile = () => [join(import.meta.dirname, 'stop-worker.cjs'), join(import.meta.dirname, 'worker.ts')].find(existsSync)!

function start(settings: StopWorkerData['settings'], topic: string, guard: Pick<StopWorkerData, 'heartbeat' | 'deadManMs'>, id: string): Worker {
  const clientId = `${settings.clientId}-stop-${id}`.slice(0, 128)
  const data: StopWorkerData = { settings: { ...settings, clientId, options: { ...settings.options, clientId } }, topic, ...guard }
  return new Worker(workerFile(), { workerData: data, resourceLimits: { maxOldGenerationSizeMb: 48, maxYoungGenerationSizeMb: 4 } })
}

/** The emergency stop, by a connection and a thread of its own. */
export default function register(RED: Red): void {
  RED.nodes.registerType('mtor-stop', function (this: RedNode, config: Config) {
    RED.nodes.createNode(this, config)
    const deadManMs = Math.max(LEAST_DEAD_MAN_MS, numberOf(config.deadManMs, 1000))
    let connected = false, trouble: string | undefined
    const show = () => this.status(connected ? { fill: 'green', shape: 'ring', text: RED._(config.deadMan ? 'status.guarding' : 'status.ready', { ms: deadManMs }) } : { fill: 'red', shape: 'ring', text: trouble ?? RED._('common.status.notConnected') })
    const realm = realmOf(RED, this, config)
    const heartbeat = config.deadMan ? new SharedArrayBuffer(4) : undefined
    const worker = realm ? start(realm.connection.settings, realm.topics.stop, { deadManMs, ...(heartbeat ? { heartbeat } : {}) }, this.id) : undefined
    const open = new Map<number, Done>()
    let last = 0

    this.on('input', (msg, send, done) => {
      const { payload } = msg
      // At once, in the same turn of the event loop.
      if (!worker) return failed(this, done, new MtorError('CONFIG_INVALID', 'this node has no realm: choose one in its settings'))
      worker.postMessage({ stop: ++last, reason: config.reason || (typeof payload === 'string' && payload) || 'a flow' } satisfies ToWorker)
      open.set(last, (error) => { if (error) return failed(this, done, error); send(msg); done() })
    })

    if (!worker) return
    const beats = heartbeat ? setInterval(() => Atomics.add(new Int32Array(heartbeat), 0, 1), Math.floor(deadManMs / 4)) : undefined

    worker.on('message', (message: FromWorker) => {
      if ('connected' in message) { connected = message.connected; trouble = message.trouble; return show() }
      if ('deadMan' in message) return this.error(new MtorError('STOPPED', `Node-RED had not answered for ${deadManMs} ms, so everything was stopped`))
      const id = 'stopped' in message ? message.stopped : message.failed
      open.get(id)?.('failed' in message ? new MtorError('NOT_RUNNING', message.message) : undefined)
      open.delete(id)
    })
    worker.on('error', (error) => { connected = false; trouble = error.message; show(); this.error(error) })
    show()
    this.on('close', (_removed, done) => {
      clearInterval(beats)
      const late = setTimeout(() => { void worker.terminate() }, CLOSE_MS)
      worker.once('exit', () => { clearTimeout(late); done() })
      worker.postMessage({ close: true } satisfies ToWorker)
    })
  })
}
