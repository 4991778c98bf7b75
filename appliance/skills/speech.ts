import { MtorError } from '../contracts/errors.ts'
import type { AnswerKind } from '../contracts/intents.ts'
import type { Skill } from './port.ts'

/** A question to be asked aloud; `timeoutMs` left out: the usual answer window. */
export interface SpokenQuestion { question: string; kind: AnswerKind; values?: readonly string[]; timeoutMs?: number }

/** What the skill needs of the voice. */
export interface SkillVoice {
  /** Resolves once it was said. Rejects with SPEECH_DOWN where nothing can be said. */
  say(text: string, options: { interrupt: boolean; signal: AbortSignal }): Promise<void>
  /** Resolves with the answer, quantities in SI units. Rejects with NO_ANSWER, NOT_UNDERSTOOD, CANCELLED or BUSY. */
  ask(question: SpokenQuestion, signal: AbortSignal): Promise<{ answer: boolean | number | string; text: string }>
}

/** Says what a program wants said, and asks what it wants to know. What was said is no sentence to be said again when it is done. */
export function makeSpeechSkill({ voice }: { voice: SkillVoice }): Skill {
  return {
    name: 'speech',
    types: ['speech.say', 'speech.ask'],
    async run({ intent, slots, signal }) {
      if (intent.type === 'speech.say') {
        const { text, interrupt = false } = slots as { text: string; interrupt?: boolean }
        await voice.say(text, { interrupt, signal })
        return { say: '' }
      }
      const { question, kind, values, timeoutS } = slots as { question: string; kind: AnswerKind; values?: string[]; timeoutS?: number }
      if ((kind === 'choice') !== (values !== undefined)) throw new MtorError('INVALID_SLOTS', kind === 'choice' ? 'a question with a choice needs values: the answers' : `values are for a choice, and this asks for ${kind}`)
      const { answer, text } = await voice.ask({ question, kind, ...(values ? { values } : {}), ...(timeoutS === undefined ? {} : { timeoutMs: timeoutS * 1000 }) }, signal)
      return { say: '', data: { answer, text } }
    },
  }
}
