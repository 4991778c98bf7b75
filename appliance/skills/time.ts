import type { Instant } from '../contracts/envelope.ts'
import type { Skill } from './port.ts'
import { dayOf, duration, timeOfDay } from './words.ts'

/** Tells the time of day, or that the box does not know it. */
export function makeTimeSkill({ now }: { now(): Instant }): Skill {
  return {
    name: 'time',
    types: ['time.tell'],
    async run() {
      const { wall, mono } = now()
      if (wall === undefined) return { say: `I do not know the time: my clock has not been set. I have been on for ${duration(mono / 1000, 2)}.`, data: { known: false, uptimeMs: mono } }
      return { say: `It is ${timeOfDay(wall)} on ${dayOf(wall)}.`, data: { known: true, wall, timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone } }
    },
  }
}
