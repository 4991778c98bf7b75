import type { BoxReader, BoxState } from './box.ts'
import type { Skill } from './port.ts'
import { list, number, percent, quantity, sentence } from './words.ts'

const GIGABYTE = 1e9

/** What an operator should know at once: words of trouble, worst first. */
function troubles(box: BoxState): string[] {
  const found: string[] = []
  if (box.temperatureC !== undefined && box.temperatureC > 85) found.push('the processor is hot')
  if (box.diskFreeFraction !== undefined && box.diskFreeFraction < 0.05) found.push('the disk is nearly full')
  if (box.memoryUsedFraction !== undefined && box.memoryUsedFraction > 0.9) found.push('memory is nearly full')
  if (box.load1 > 2 * box.processors) found.push('the processors are overloaded')
  return found
}

/** State of the box: load, memory, disk, temperature. */
export function makeSystemSkill({ box }: { box: BoxReader }): Skill {
  return {
    name: 'system',
    types: ['system.status'],
    start: () => box.start(),
    async run() {
      const state = await box.read()
      const facts = [`the load is ${number(state.load1, 1)} on ${quantity(state.processors, 'processor')}`]
      if (state.memoryUsedFraction !== undefined) facts.push(`memory is ${percent(state.memoryUsedFraction)} used`)
      if (state.diskFreeBytes !== undefined) facts.push(`${quantity(state.diskFreeBytes / GIGABYTE, 'gigabyte', state.diskFreeBytes < 10 * GIGABYTE ? 1 : 0)} of disk are free`)
      if (state.temperatureC !== undefined) facts.push(`the processor is at ${quantity(state.temperatureC, 'degree', 0)}`)
      const found = troubles(state)
      const summary = found.length > 0 ? `Attention: ${list(found)}.` : 'I am well.'
      return { say: `${summary} ${sentence(list(facts))}.`, data: { ...state, troubles: found } }
    },
  }
}
