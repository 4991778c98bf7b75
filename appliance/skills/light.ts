import type { Skill } from './port.ts'
import { percent } from './words.ts'

/** The lights: on, off, or dimmed to a fraction of full. */
export function makeLightSkill(): Skill {
  return {
    name: 'light',
    types: ['light.set'],
    async run(context) {
      const { on, brightness } = context.slots as { on: boolean; brightness?: number }
      const fraction = on ? brightness ?? 1 : 0
      const data = await context.command('light', { fraction })
      return { say: fraction === 0 ? 'The lights are off.' : fraction === 1 ? 'The lights are on.' : `The lights are at ${percent(fraction)}.`, data: { fraction, ...data } }
    },
  }
}
