import { MtorError } from '../contracts/errors.ts'
import type { IntentType } from '../contracts/intents.ts'
import type { Skill } from './port.ts'

/** Types whose skill comes with hardware or models that this box does not have, and what is missing. */
const MISSING = {
  'chat.ask': 'No language model is fitted.',
  'weather.report': 'No weather source is fitted.',
  'mail.send': 'No mail is fitted.',
} as const satisfies Partial<Record<IntentType, string>>

/** True for a type that this box cannot carry out itself; a flow may. */
export const isNotFitted = (type: string): boolean => Object.hasOwn(MISSING, type)

/** Answers NOT_FITTED and names what is missing. */
export function makeNotFittedSkill(): Skill {
  return {
    name: 'not-fitted',
    types: Object.keys(MISSING) as (keyof typeof MISSING)[],
    async run(context) {
      const say = MISSING[context.intent.type as keyof typeof MISSING]
      throw new MtorError('NOT_FITTED', `${context.intent.type}: ${say}`, { say })
    },
  }
}
