import { MtorError } from '../../../appliance/contracts/errors.ts'
import { attach, attached, failed, numberOf, slotsFrom, type Field, type RealmUser } from '../../lib/node.ts'
import type { Red, RedNode } from '../../lib/red.ts'
import type { Submitted } from '../../lib/submitter.ts'
import { errorOf } from '../../lib/submitter.ts'

interface Config extends RealmUser {
  intentType?: string
  slotsFrom?: 'payload' | 'fields'
  slots?: readonly Field[]
  ttlS?: number | string
  priority?: number | string
  receiptS?: number | string
  resultS?: number | string
}

/** Submits intents: output 1 has the receipt, output 2 how it ended. */
export default function register(RED: Red): void {
  RED.nodes.registerType('mtor-intent-out', function (this: RedNode, config: Config) {
    RED.nodes.createNode(this, config)
    const open = new Set<Submitted>()
    const to = attach(RED, this, config, () => open.size === 0 ? {} : { fill: 'blue', shape: 'dot', text: RED._('status.running', { count: open.size }) })

    this.on('input', (msg, send, done) => {
      void (async () => {
        const realm = attached(to)
        const type = config.intentType?.trim() || String(msg.intentType ?? '')
        if (type === '') throw new MtorError('CONFIG_INVALID', 'no intent type: choose one in the node, or send it as msg.intentType')
        const seconds = (value: unknown, fallback: number | undefined) => { const got = numberOf(value, undefined) ?? fallback; return got === undefined ? undefined : Math.round(got * 1000) }
        const submitted = await realm.submitter.submit({
          type, slots: await slotsFrom(RED, this, msg, { source: config.slotsFrom ?? 'payload', fields: config.slots }),
          ttlMs: seconds(config.ttlS, undefined), priority: numberOf(config.priority, undefined),
          receiptMs: seconds(config.receiptS, undefined), resultMs: seconds(config.resultS, undefined),
        })
        open.add(submitted)
        to!.refresh()
        send([{ ...msg, payload: submitted.receipt, intentId: submitted.id }, null])
        try {
          const event = await submitted.final
          send([null, { ...RED.util.cloneMessage(msg), payload: event, intentId: submitted.id, ...(event.state === 'succeeded' ? {} : { error: errorOf(event).toJSON() }) }])
        } finally {
          open.delete(submitted)
          to!.refresh()
        }
      })().then(() => done(), (error: unknown) => failed(this, done, error))
    })
    this.on('close', (_removed, done) => {
      for (const { forget } of open) forget()
      done()
    })
  })
}
