import { toMtorError } from '../contracts/errors.ts'
import type { DeclaredIntent } from '../contracts/handlers.ts'
import type { Hub } from '../contracts/hub.ts'
import type { DeclaredProblem, Understander } from '../understand/index.ts'
import type { SpeechHost } from './host.ts'

/** How what handlers declare becomes sentences that are understood and heard. */
export interface Lessons {
  /** What is wrong with declared types, beside those of other handlers, which stay in force. Changes nothing. */
  check(declares: readonly DeclaredIntent[], others: readonly DeclaredIntent[]): DeclaredProblem[]
  /**
   * Understands and hears all of these, and nothing declared before. Understood at once, when this returns; resolves once
   * the ears have learnt it too, with the words they cannot hear: none where speech is off or just down (the ears
   * learn it when they are back). @throws MtorError TEMPLATE_INVALID, and nothing has changed
   */
  learn(declares: readonly DeclaredIntent[], answers: readonly string[]): Promise<{ unknownWords: string[] }>
}

/** `host` is undefined where speech is off. */
export const makeLessons = ({ understander, host, hub }: { understander: Understander; host: Pick<SpeechHost, 'learn'> | undefined; hub: Hub }): Lessons => ({
  check: (declares, others) => understander.checkDeclared(declares, others),
  async learn(declares, answers) {
    understander.learn(declares)
    if (!host) return { unknownWords: [] }
    try { return await host.learn(declares, answers) } catch (thrown) {
      const { code, message } = toMtorError(thrown)
      hub.system({ severity: 'info', component: 'speech', name: 'learn.later', code, message: `the ears learn the sentences of flows when they are back: ${message}` })
      return { unknownWords: [] }
    }
  },
})
