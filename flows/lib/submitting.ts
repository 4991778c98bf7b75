import type { Receipt } from '../../appliance/contracts/envelope.ts'
import type { IntentEvent } from '../../appliance/contracts/events.ts'
import { attach, attached, type Attached, type Handle, type RealmUser } from './node.ts'
import type { Message, NodeStatus, Red, RedNode } from './red.ts'
import type { Submission, Submitted } from './submitter.ts'

export interface Submitting {
  to: Attached | undefined
  /**
   * Submits and gives how it ended, well or not. Where the message is of an intent that this flow carries out, what is
   * submitted is a step of that and ends with it. @throws MtorError where it was not accepted, or no answer came
   */
  run(msg: Message, submission: Submission, onReceipt?: (receipt: Receipt, id: string) => void): Promise<IntentEvent>
}

/** What a node that submits intents needs: its realm, its status with how many run, and an end to the waiting when it closes. */
export function submitting(RED: Red, node: RedNode, config: RealmUser, idle: () => NodeStatus = () => ({})): Submitting {
  const open = new Set<Submitted>()
  const to = attach(RED, node, config, () => open.size === 0 ? idle() : { fill: 'blue', shape: 'dot', text: RED._('common.status.running', { count: open.size }) })
  node.on('close', (_removed, done) => {
    for (const { forget } of open) forget()
    done()
  })
  return {
    to,
    run: async (msg, submission, onReceipt) => {
      const realm = attached(to)
      const parent = (msg._mtor as Partial<Handle> | undefined)?.intent ?? realm.handler.heldBy({ msgid: msg._msgid })?.task.id
      const submitted = await realm.submitter.submit({ ...submission, parent })
      open.add(submitted)
      to!.refresh()
      try {
        onReceipt?.(submitted.receipt, submitted.id)
        return await submitted.final
      } finally {
        open.delete(submitted)
        to!.refresh()
      }
    },
  }
}
