import { toMtorError } from '../../../appliance/contracts/errors.ts'
import { declarationOf, type DeclarationFields } from '../../lib/declaration.ts'
import { attach, type RealmUser } from '../../lib/node.ts'
import type { NodeStatus, Red, RedNode } from '../../lib/red.ts'

/** Declares an intent type with its slots and sentences, for as long as it is deployed. */
export default function register(RED: Red): void {
  RED.nodes.registerType('mtor-intent-define', function (this: RedNode, config: RealmUser & DeclarationFields) {
    RED.nodes.createNode(this, config)
    let status: NodeStatus = { fill: 'grey', shape: 'ring', text: RED._('status.offered') }
    const to = attach(RED, this, config, () => status)
    if (!to) return
    const warned = new Set<string>()
    try {
      const intent = declarationOf(config)
      const off = to.realm.handler.declare(this.id, {
        intent,
        told: (problems, unknownWords) => {
          const words = unknownWords.filter((word) => intent.sentences.join(' ').toLowerCase().includes(word))
          status = problems.length > 0 ? { fill: 'red', shape: 'dot', text: `${problems[0]!.code}: ${problems[0]!.message}`.slice(0, 120) }
            : words.length > 0 ? { fill: 'yellow', shape: 'dot', text: RED._('status.unknownWords', { words: words.join(', ') }).slice(0, 120) }
              : { fill: 'green', shape: 'dot', text: RED._('status.learned', { count: intent.sentences.length }) }
          to.refresh()
          // Every receipt tells them again.
          const news = problems.map(({ code, message }) => `${code}: ${message}`).filter((text) => !warned.has(text))
          for (const text of news) { warned.add(text); this.warn(text) }
        },
      })
      to.refresh()
      this.on('close', (_removed, done) => { off(); done() })
    } catch (error) {
      const { code, message } = toMtorError(error)
      status = { fill: 'red', shape: 'dot', text: `${code}: ${message}`.slice(0, 120) }
      to.refresh()
      this.error(toMtorError(error))
    }
  })
}
