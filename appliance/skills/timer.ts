import { MtorError } from '../contracts/errors.ts'
import type { Skill } from './port.ts'
import { Timers, spokenTimer, type TimersOptions } from './timers.ts'
import { duration, list, quantity, sentence } from './words.ts'

const MAX_SPOKEN = 5

/** Durable timers: set, list, cancel; done, late and lost ones are announced. */
export function makeTimerSkill(options: TimersOptions): Skill {
  const timers = new Timers(options)
  const tell = (timer: ReturnType<Timers['list']>[number]) => `${spokenTimer(timer)} has ${timer.leftS === undefined ? 'an unknown time' : duration(timer.leftS)} left`
  return {
    name: 'timer',
    types: ['timer.set', 'timer.list', 'timer.cancel'],
    start: () => timers.start(),
    stop: () => timers.stop(),
    async run(context) {
      const { name, durationS } = context.slots as { name?: string; durationS?: number }
      switch (context.intent.type) {
        case 'timer.set': {
          const timer = await timers.set(context.intent, durationS!, name)
          return { say: `${timer.name ? sentence(`${timer.name} timer`) : 'Timer'} set for ${duration(timer.durationS)}.`, data: { ...timer } }
        }
        case 'timer.list': {
          const running = timers.list()
          if (running.length === 0) return { say: 'No timer is running.', data: { timers: [] } }
          const said = running.slice(0, MAX_SPOKEN).map(tell)
          if (running.length > MAX_SPOKEN) said.push(`${running.length - MAX_SPOKEN} more are running`)
          return { say: `${sentence(list(said))}.`, data: { timers: running } }
        }
        default: {
          const cancelled = await timers.cancel(name)
          if (cancelled.length > 0) return { say: cancelled.length === 1 ? `Cancelled ${spokenTimer(cancelled[0]!)}.` : `Cancelled ${quantity(cancelled.length, 'timer')}.`, data: { timers: cancelled } }
          const running = timers.list().map(spokenTimer)
          if (running.length === 0) return { say: 'No timer is running.', data: { timers: [] } }
          throw new MtorError('NOT_FOUND', `no timer called ${JSON.stringify(name)}`, { say: `No timer is called ${name}. Running ${running.length === 1 ? 'is' : 'are'} ${list(running)}.` })
        }
      }
    },
  }
}
