import { intentPolicy } from '../../appliance/contracts/intents.ts'
import { makesSafer } from '../../appliance/understand/caution.ts'
import type { Outcome, Submitted } from './box.ts'
import { QUESTIONS, type Sentence } from './corpus.ts'

/** 'safer': it stopped, disarmed or entered safe mode, which is held back only by a negation that was really heard. */
export type Verdict = 'acted' | 'safer' | 'asked' | 'refused'

/** Types that change what the rover does or may do; a stop is always welcome. */
const CHANGES = new Set(['arm.set', 'mode.set'])
export const isAct = ({ type }: Submitted): boolean =>
  type !== 'stop' && (CHANGES.has(type) || intentPolicy(type)?.actuates === true)

/** Of a sentence that must not be carried out. A question nobody answers is none. */
export function judge({ type, question }: Sentence, { submitted, asked }: Outcome): Verdict {
  const hasActed = submitted.some((one) => isAct(one) || (question !== undefined && one.type === type))
  const isSafer = submitted.length > 0 && submitted.every((one) => makesSafer(one.type, one.slots))
  return isSafer ? 'safer' : hasActed ? 'acted' : asked.length > 0 ? 'asked' : 'refused'
}

/** Of the command alone. Where it is confirmed as hazardous, being asked for that is what should become of it. */
export function judgePlain({ type, question }: Sentence, { submitted, asked }: Outcome): Verdict {
  if (submitted.some((one) => one.type === type)) return 'acted'
  const last = asked.at(-1)
  const isConfirmed = last?.expects === 'confirm' && (question === undefined || QUESTIONS[question].kind !== 'confirm')
  return isConfirmed ? 'acted' : last ? 'asked' : 'refused'
}
