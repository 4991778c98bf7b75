import { PROTOCOL_VERSION, type Envelope, type Instant } from '../contracts/envelope.ts'
import type { Clock } from '../contracts/clock.ts'
import { uuidv7 } from '../contracts/ids.ts'
import { intentDefinition, type IntentType } from '../contracts/intents.ts'
import { validator } from '../contracts/validate.ts'
import type { SkillContext } from './port.ts'

/** For tests: a context whose slots pass the schema of the type, and which records commands and progress. */
export function contextOf(type: IntentType, slots: Record<string, unknown> = {}, options: { envelope?: Partial<Envelope>; signal?: AbortSignal; answer?: (command: string, args: Record<string, unknown>) => Record<string, unknown> } = {}) {
  validator(intentDefinition(type)!.slots).assert(slots, 'INVALID_SLOTS', type)
  const commands: [string, Record<string, unknown>][] = []
  const progress: Record<string, unknown>[] = []
  const intent: Envelope = { v: PROTOCOL_VERSION, id: uuidv7(), type, slots, source: { kind: 'voice', node: 'box' }, issuedAt: { boot: 0, mono: 0 }, ttlMs: 60_000, priority: 5, ...options.envelope }
  const context: SkillContext = {
    intent, slots, signal: options.signal ?? new AbortController().signal,
    progress: (data) => { progress.push(data) },
    async command(command, args) {
      commands.push([command, args])
      return options.answer?.(command, args) ?? {}
    },
  }
  return { ...context, commands, reported: progress }
}

/** For tests: the hub's `now` of a clock and a boot. */
export const instantOf = (clock: Pick<Clock, 'monoMs' | 'wallMs'>, boot: () => number) => (): Instant => {
  const wall = clock.wallMs()
  return { boot: boot(), mono: clock.monoMs(), ...(wall === undefined ? {} : { wall }) }
}
