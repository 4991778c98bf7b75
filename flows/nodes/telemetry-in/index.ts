import { attach, type RealmUser } from '../../lib/node.ts'
import { packetsOf, valueAt, type Source } from '../../lib/readings.ts'
import type { Red, RedNode } from '../../lib/red.ts'

interface Config extends RealmUser, Source { property?: string; emit?: 'change' | 'every' }

/** Sends values of a device's state, of a node's telemetry, or of what others publish below `app/`. */
export default function register(RED: Red): void {
  RED.nodes.registerType('mtor-telemetry-in', function (this: RedNode, config: Config) {
    RED.nodes.createNode(this, config)
    let shown: string | undefined
    const to = attach(RED, this, config, () => shown === undefined ? { fill: 'green', shape: 'ring', text: RED._('common.status.listening') } : { fill: 'green', shape: 'dot', text: shown })
    if (!to) return
    /** The last value of each, as text. */
    const before = new Map<string, string>()
    const off = packetsOf(to.realm, config, ({ of, topic, values }) => {
      const value = valueAt(RED, values, config.property)
      // What could not be read is absent: it is no value, not zero.
      if (value === undefined) return
      const text = JSON.stringify(value)
      if ((config.emit ?? 'change') === 'change' && before.get(topic) === text) return
      before.set(topic, text)
      if (typeof value !== 'object') { shown = `${of}: ${String(value)}`.slice(0, 40); to.refresh() }
      this.send({ topic: config.property?.trim() ? `${of}/${config.property.trim()}` : of, payload: value, state: values })
    })
    to.refresh()
    this.on('close', (_removed, done) => { off(); done() })
  })
}
