import type { Instance } from '../../lib/handler.ts'
import { attach, numberOf, type Handle, type RealmUser } from '../../lib/node.ts'
import type { Red, RedNode } from '../../lib/red.ts'

interface Config extends RealmUser { intentType: string; concurrent?: number | string; failOnError?: boolean }

/** How often the time left is shown anew. */
const TICK_MS = 1000

/** Carries out intents of one type: claims them, and sends one message for each that it was given. */
export default function register(RED: Red): void {
  RED.nodes.registerType('mtor-intent-in', function (this: RedNode & { failOnError: boolean }, config: Config) {
    RED.nodes.createNode(this, config)
    this.failOnError = config.failOnError !== false
    const to = attach(RED, this, config, () => show())
    if (!to) return
    const { realm, refresh } = to
    const type = config.intentType?.trim() ?? ''
    let ticking: NodeJS.Timeout | undefined
    let problem: string | undefined

    /** How many run, and how long the one that must end first has left. */
    const show = () => {
      const running = realm.handler.running(this.id)
      if (running.length === 0) {
        clearInterval(ticking)
        ticking = undefined
        if (problem !== undefined) return { fill: 'red', shape: 'dot', text: problem.slice(0, 120) } as const
        return { fill: 'green', shape: 'ring', text: RED._('status.waiting', { type }) } as const
      }
      ticking ??= setInterval(refresh, TICK_MS)
      const seconds = Math.ceil(Math.min(...running.map((held) => realm.handler.leftMs(held))) / 1000)
      return { fill: 'blue', shape: 'dot', text: RED._('status.running', { count: running.length, seconds }) } as const
    }

    const instance: Instance = {
      id: this.id, type, limit: Math.max(1, Math.round(numberOf(config.concurrent, 1))),
      msgid: () => RED.util.generateId(),
      changed: refresh,
      told: ([first]) => {
        const now = first && `${first.code}: ${first.message}`
        if (now !== undefined && now !== problem) this.warn(now)
        problem = now
        refresh()
      },
      begin: (held) => {
        const { id, source, attempt, node, slots } = held.task
        const leftMs = realm.handler.leftMs(held)
        const handle: Handle = { realm: config.realm, intent: id, instance: this.id }
        this.send([{ _msgid: held.msgid, topic: type, payload: slots, intent: { id, type, source, attempt, node, deadlineMs: Math.round(leftMs) }, deadline: Date.now() + Math.round(leftMs), _mtor: handle }, null])
      },
      ended: (held, event) => {
        refresh()
        this.send([null, { topic: type, payload: event, intent: { id: held.task.id, type, source: held.task.source, attempt: held.task.attempt, node: held.task.node } }])
      },
    }
    const off = realm.handler.handle(instance)
    refresh()
    this.on('close', (_removed, done) => {
      clearInterval(ticking)
      off()
      done()
    })
  })
}
