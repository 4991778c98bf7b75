import type { Envelope } from '../contracts/envelope.ts'
import type { IntentEvent } from '../contracts/events.ts'
import type { IntentType } from '../contracts/intents.ts'

export interface SkillContext {
  intent: Envelope
  /** Validated slots of the intent's type. */
  slots: Record<string, unknown>
  /** Aborted on stop, cancel and deadline; the skill then ends quickly. */
  signal: AbortSignal
  progress(data: Record<string, unknown>): void
  /** Sends one command to the intent's device with the intent's ticket. */
  command(command: string, args: Record<string, unknown>): Promise<Record<string, unknown>>
}

export interface SkillResult {
  /** The sentence for the operator. */
  say: string
  data?: Record<string, unknown>
}

/** Code that carries out one family of intents. A skill never imports another skill. */
export interface Skill {
  readonly name: string
  readonly types: readonly IntentType[]
  run(context: SkillContext): Promise<SkillResult>
  start?(): Promise<void>
  stop?(): Promise<void>
}

/** For skills that run other intents (sequence.run): submits a child and waits for its final event. */
export interface ChildIntents { run(type: string, slots: Record<string, unknown>, parent: Envelope, signal: AbortSignal): Promise<IntentEvent> }
