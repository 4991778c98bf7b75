import { MtorError } from '../../../appliance/contracts/errors.ts'
import { failed, valueOf, type RealmUser } from '../../lib/node.ts'
import type { Red, RedNode } from '../../lib/red.ts'
import { submitting } from '../../lib/submitting.ts'
import { errorOf } from '../../lib/submitter.ts'

interface Config extends RealmUser { text?: string; textType?: string; interrupt?: boolean }

/** Says a sentence; sends its message on once that was said. */
export default function register(RED: Red): void {
  RED.nodes.registerType('mtor-say', function (this: RedNode, config: Config) {
    RED.nodes.createNode(this, config)
    const { run } = submitting(RED, this, config)
    this.on('input', (msg, send, done) => {
      void (async () => {
        const text = String(await valueOf(RED, this, msg, config.text ?? 'payload', config.textType ?? 'msg') ?? '').trim()
        if (text === '') throw new MtorError('INVALID_SLOTS', 'nothing to say: the text is empty')
        const event = await run(msg, { type: 'speech.say', slots: { text, ...(config.interrupt ? { interrupt: true } : {}) }, ttlMs: 60_000 })
        if (event.state !== 'succeeded') throw errorOf(event)
        send(msg)
      })().then(() => done(), (error: unknown) => failed(this, done, error))
    })
  })
}
