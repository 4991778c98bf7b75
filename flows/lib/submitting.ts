import type { Receipt } from '../../appliance/contracts/envelope.ts'
import type { IntentEvent } from '../../appliance/contracts/events.ts'
import { attach, attached, type Attached, type RealmUser } from './node.ts'
import type { NodeStatus, Red, RedNode } from './red.ts'
import type { Submission, Submitted } from './submitter.ts'

export interface Submitting {
  to: Attached | undefined
  /** Submits and gives how it ended, well or not. @throws MtorError where it was not accepted, or no answer came */
  run(submission: Submission, onReceipt?: (receipt: Receipt, id: string) => void): Promise<IntentEvent>
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
    run: async (submission, onReceipt) => {
      const submitted = await attached(to).submitter.submit(submission)
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
