import { MtorError } from '../../../appliance/contracts/errors.ts'
import { failed, milliseconds, numberOf, slotsFrom, type Field, type RealmUser } from '../../lib/node.ts'
import type { Red, RedNode } from '../../lib/red.ts'
import { submitting } from '../../lib/submitting.ts'
import { errorOf } from '../../lib/submitter.ts'

interface Config extends RealmUser {
  intentType?: string
  slotsFrom?: 'payload' | 'fields'
  slots?: readonly Field[]
  confirmed?: boolean
  ttlS?: number | string
  priority?: number | string
  receiptS?: number | string
  resultS?: number | string
}

/** Submits intents: output 1 has the receipt, output 2 how it ended. */
export default function register(RED: Red): void {
  RED.nodes.registerType('mtor-intent-out', function (this: RedNode, config: Config) {
    RED.nodes.createNode(this, config)
    const { run } = submitting(RED, this, config)

    this.on('input', (msg, send, done) => {
      void (async () => {
        const type = config.intentType?.trim() || String(msg.intentType ?? '')
        if (type === '') throw new MtorError('CONFIG_INVALID', 'no intent type: choose one in the node, or send it as msg.intentType')
        const slots = await slotsFrom(RED, this, msg, { source: config.slotsFrom ?? 'payload', fields: config.slots })
        let intentId: string | undefined
        const event = await run(msg, {
          type, slots, confirmed: config.confirmed === true || msg.confirmed === true, ttlMs: milliseconds(config.ttlS), priority: numberOf(config.priority, undefined),
          receiptMs: milliseconds(config.receiptS), resultMs: milliseconds(config.resultS),
        }, (receipt, id) => {
          intentId = id
          send([{ ...RED.util.cloneMessage(msg), payload: receipt, intentId }, null])
        })
        send([null, { ...msg, payload: event, intentId, ...(event.state === 'succeeded' ? {} : { error: errorOf(event).toJSON() }) }])
      })().then(() => done(), (error: unknown) => failed(this, done, error))
    })
  })
}
