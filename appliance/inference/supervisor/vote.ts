import { isEqual, type Asked } from '../equality.ts'
import type { TaskName } from '../port.ts'

export interface Vote<T> { worker: string; output: T }
export interface Tally<V> { winner?: V; agreed: number; dissenters: string[] }

/**
 * Counts votes: those that say the same as one of them stand together (each is compared with the first of its camp,
 * because likeness does not carry over: a like b and b like c leaves a and c open). The winner is the first vote of the camp
 * that has more than half of all that were asked, lost ones included; without one nobody is called a dissenter.
 */
export function tally<V extends Vote<unknown>>(task: TaskName, votes: readonly V[], asked: number, input: Asked = {}): Tally<V> {
  const camps: V[][] = []
  for (const vote of votes) {
    const camp = camps.find(([first]) => isEqual(task, first!.output, vote.output, input))
    if (camp) camp.push(vote)
    else camps.push([vote])
  }
  const largest = camps.sort((a, b) => b.length - a.length)[0] ?? []
  if (largest.length * 2 <= asked) return { agreed: largest.length, dissenters: [] }
  return { winner: largest[0]!, agreed: largest.length, dissenters: camps.slice(1).flat().map(({ worker }) => worker) }
}
