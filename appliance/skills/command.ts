import type { Skill } from './port.ts'

/** One command to one device, as its driver names it: for flows and programs that want more than the intents of a kind offer. */
export function makeCommandSkill(): Skill {
  return {
    name: 'command',
    types: ['device.command'],
    async run(context) {
      const { device, command, args } = context.slots as { device: string; command: string; args?: Record<string, unknown> }
      const data = await context.command(command, args ?? {})
      return { say: `The ${device} has done that.`, data: { device, command, ...data } }
    },
  }
}
