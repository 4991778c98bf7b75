import type { Source } from '../contracts/envelope.ts'
import { MtorError } from '../contracts/errors.ts'
import { intentDefinition } from '../contracts/intents.ts'
import type { Skill } from './port.ts'
import { list } from './words.ts'

/** Ends what a source has asked for. */
export interface Canceller {
  /** Cancels the waiting and running intents of `source`, except `exceptId` (the cancel itself). @returns the types that were cancelled */
  cancel(source: Source, exceptId: string): Promise<readonly string[]>
}

/** Says the last sentence again and drops what was asked for. */
export function makeDialogueSkill({ lastSpoken, canceller }: { lastSpoken(): string | undefined; canceller: Canceller }): Skill {
  return {
    name: 'dialogue',
    types: ['repeat', 'cancel'],
    async run(context) {
      if (context.intent.type === 'repeat') {
        const say = lastSpoken()
        if (say === undefined) throw new MtorError('NOT_FOUND', 'nothing has been said since the start', { say: 'I have not said anything yet.' })
        return { say }
      }
      const cancelled = await canceller.cancel(context.intent.source, context.intent.id)
      if (cancelled.length === 0) return { say: 'There is nothing to cancel.', data: { cancelled } }
      const titles = cancelled.map((type) => (intentDefinition(type)?.title ?? type).toLowerCase())
      return { say: `Cancelled: ${list(titles)}.`, data: { cancelled } }
    },
  }
}
