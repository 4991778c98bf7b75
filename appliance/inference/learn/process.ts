import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { FromLearner, ToLearner } from './messages.ts'

/**
 * The learning process: takes one task, tells how it gets on, hands over what it has learned, and ends. Only here is
 * TensorFlow.js loaded; whatever happens to it happens to nobody else.
 */
if (!process.send) throw new MtorError('USAGE', 'this is the learning process; it is started by: mtor learn', { hint: 'See: mtor learn --help' })
const send = (message: FromLearner) => new Promise<void>((resolve) => { if (process.connected) process.send!(message, undefined, undefined, () => resolve()); else resolve() })

process.once('disconnect', () => process.exit(0))
process.once('message', (message: ToLearner) => {
  void learn(message).then(send, (thrown: unknown) => {
    const { code, message: text, hint, data } = toMtorError(thrown)
    return send({ kind: 'failed', error: { code, message: text, hint, ...(data ? { data } : {}) } })
  }).finally(() => process.exit(0))
})

async function learn(message: ToLearner): Promise<FromLearner> {
  const progress = (told: Extract<FromLearner, { kind: 'progress' }>) => { void send(told) }
  if (message.kind === 'word') {
    const { learnWord } = await import('./learn-word.ts')
    return { kind: 'learned-word', result: await learnWord(message.options, message.folder, progress) }
  }
  const { learnNormal } = await import('./learn-normal.ts')
  return { kind: 'learned-normal', result: await learnNormal(message.options, message.folder, progress) }
}
