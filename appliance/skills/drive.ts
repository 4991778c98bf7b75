import type { Skill, SkillContext, SkillResult } from './port.ts'
import { number, quantity, sentence } from './words.ts'

/** Movement within 5 % and this much of what was asked counts as done as asked. */
const SLACK = { m: 0.05, deg: 3 }

const finite = (value: unknown): number | undefined => typeof value === 'number' && Number.isFinite(value) ? value : undefined

/** What is said of a movement. Along the direction asked for, positive; `measured` undefined when the device did not say. */
function report(past: string, unit: string, asked: number, measured: number | undefined, slack: number, positive: string, negative: string): string {
  const way = asked < 0 ? negative : positive
  const goal = Math.abs(asked)
  if (measured === undefined) return `The device says it is done, but it did not measure how far it ${past}.`
  const done = asked < 0 ? -measured : measured
  if (Math.abs(done - goal) <= 0.05 * goal + slack) return goal === 0 ? `I was asked for 0 ${unit}s, so I stayed.` : `${sentence(past)} ${quantity(goal, unit)} ${way}.`
  if (done < 0) return `I ${past} ${quantity(-done, unit)} ${asked < 0 ? positive : negative} instead of ${quantity(goal, unit)} ${way}.`
  return done < goal ? `I ${past} only ${number(done)} of ${quantity(goal, unit)}.` : `I ${past} ${quantity(done, unit)} instead of ${number(goal)}.`
}

async function move(context: SkillContext): Promise<SkillResult> {
  const { distanceM, speedMps } = context.slots as { distanceM: number; speedMps?: number }
  const data = await context.command('move', { distanceM, ...(speedMps === undefined ? {} : { speedMps }) })
  return { say: report('moved', 'metre', distanceM, finite(data.distanceM), SLACK.m, 'forward', 'back'), data: { askedM: distanceM, ...data } }
}

async function turn(context: SkillContext): Promise<SkillResult> {
  const { angleDeg } = context.slots as { angleDeg: number }
  const data = await context.command('turn', { angleDeg })
  return { say: report('turned', 'degree', angleDeg, finite(data.angleDeg), SLACK.deg, 'left', 'right'), data: { askedDeg: angleDeg, ...data } }
}

async function speed(context: SkillContext): Promise<SkillResult> {
  const { speedMps } = context.slots as { speedMps: number }
  const data = await context.command('speed', { speedMps })
  return { say: `I now drive at ${quantity(speedMps, 'metre per second')}.`, data: { speedMps, ...data } }
}

/** Drives, turns and sets the travel speed; says what the device measured, not what was asked. */
export function makeDriveSkill(): Skill {
  return {
    name: 'drive',
    types: ['drive.move', 'drive.turn', 'drive.speed'],
    run: (context) => context.intent.type === 'drive.move' ? move(context) : context.intent.type === 'drive.turn' ? turn(context) : speed(context),
  }
}
