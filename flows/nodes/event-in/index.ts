import type { Severity, SystemEvent } from '../../../appliance/contracts/events.ts'
import { attach, type RealmUser } from '../../lib/node.ts'
import { parsed } from '../../lib/json.ts'
import type { Red, RedNode } from '../../lib/red.ts'

interface Config extends RealmUser { severity?: Severity; component?: string; event?: string }

const RANK: Readonly<Record<Severity, number>> = { debug: 0, info: 1, warning: 2, error: 3, critical: 4 }

/** A name with * for anything, as a test. */
function namedAs(pattern: string): (name: string) => boolean {
  const trimmed = pattern.trim()
  if (trimmed === '' || trimmed === '*') return () => true
  const parts = trimmed.split('*').map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&'))
  const expression = new RegExp(`^${parts.join('.*')}$`)
  return (name) => expression.test(name)
}

/** Sends what happens to the appliance itself: a device lost, a disk full, a declaration refused. */
export default function register(RED: Red): void {
  RED.nodes.registerType('mtor-event-in', function (this: RedNode, config: Config) {
    RED.nodes.createNode(this, config)
    let last: string | undefined
    const to = attach(RED, this, config, () => last === undefined ? { fill: 'green', shape: 'ring', text: RED._('common.status.listening') } : { fill: 'green', shape: 'dot', text: last })
    if (!to) return
    const isWanted = namedAs(config.event ?? ''), least = RANK[config.severity ?? 'info'] ?? RANK.info
    const component = config.component?.trim() || '+'
    const { off } = to.realm.connection.subscribe(to.realm.topics.event('+' as Severity, component), (message) => {
      const event = parsed(message) as SystemEvent | undefined
      if (!event || !((RANK[event.severity] ?? 0) >= least) || !isWanted(event.name)) return
      last = event.name
      to.refresh()
      this.send({ topic: `${event.component}/${event.name}`, payload: event })
    })
    to.refresh()
    this.on('close', (_removed, done) => { off(); done() })
  })
}
