import { CODES } from '../contracts/codes.ts'
import type { Skill } from './port.ts'

/** Only reports: the emergency path stopped every driver before this intent was even recorded. */
export function makeStopSkill(): Skill {
  return { name: 'stop', types: ['stop'], run: async () => ({ say: CODES.STOPPED.say }) }
}
