import type { Mode } from '../contracts/intents.ts'
import type { Skill } from './port.ts'

/** Who decides whether something may move (the guard). */
export interface ModeSwitch {
  readonly mode: Mode
  readonly armed: boolean
  setMode(mode: Mode): Promise<void>
  setArmed(armed: boolean): Promise<void>
}

const MODE_SAYS: Record<Mode, string> = {
  normal: 'Mode normal.',
  safe: 'Mode safe: nothing will move.',
  maintenance: 'Mode maintenance: nothing will move.',
}

/** Changes the operating mode and arms or disarms the drive. */
export function makeModesSkill({ guard }: { guard: ModeSwitch }): Skill {
  return {
    name: 'modes',
    types: ['mode.set', 'arm.set'],
    async run(context) {
      const { mode, armed } = context.slots as { mode?: Mode; armed?: boolean }
      let say: string
      if (context.intent.type === 'mode.set') {
        await guard.setMode(mode!)
        say = MODE_SAYS[guard.mode]
      } else {
        await guard.setArmed(armed!)
        say = guard.armed ? 'The drive is armed.' : 'The drive is disarmed.'
        if (guard.armed && guard.mode !== 'normal') say = `The drive is armed, but in mode ${guard.mode} nothing moves.`
      }
      return { say, data: { mode: guard.mode, armed: guard.armed } }
    },
  }
}
