import type { Outcome, Submitted } from '../refusal/box.ts'
import { isAct } from '../refusal/judge.ts'
import type { NumberItem } from './items.ts'

/** 'asked right': a "yes" to the question of the box gives the right value. */
export type NumberVerdict = 'right' | 'wrong' | 'asked right' | 'asked' | 'refused'

/** Of the value: what two ways of working out the same number may differ by. */
const TOLERANCE = 1e-6

function isSame(got: unknown, want: unknown): boolean {
  if (typeof got !== 'number' || typeof want !== 'number') return got === want
  return Math.abs(got - want) <= TOLERANCE * Math.max(1e-3, Math.abs(want))
}

/** The same type, the same slots, no other number. A right value that the schema refuses is right. */
export function isRight({ type, slots }: NumberItem, got: Submitted): boolean {
  const others = Object.keys(got.slots).filter((name) => typeof got.slots[name] === 'number')
  return got.type === type && [...Object.keys(slots), ...others].every((name) => isSame(got.slots[name], slots[name]))
}

export function judgeNumber(item: NumberItem, { submitted, asked, afterYes = [] }: Outcome): NumberVerdict {
  const acted = submitted.filter((one) => isAct(one) || one.type === item.type)
  if (acted.length > 0) return acted.length === 1 && isRight(item, acted[0]!) ? 'right' : 'wrong'
  if (asked.length === 0) return 'refused'
  return afterYes.some((one) => isRight(item, one)) ? 'asked right' : 'asked'
}
