import { MtorError, toMtorError } from '../contracts/errors.ts'
import type { ChildIntents, Skill } from './port.ts'
import { list, quantity } from './words.ts'

export interface SequenceStep { type: string; slots: Record<string, unknown> }
export type Sequences = Readonly<Record<string, readonly SequenceStep[]>>

const MAX_DEPTH = 4
const MAX_STEPS = 200

const plain = (name: string) => name.trim().toLowerCase().replaceAll(/\s+/g, ' ')

/**
 * Counts the steps of a sequence with all sequences it runs. Steps and their slots are fixed in the configuration, so
 * what would nest without end is known before the first wheel turns.
 * @throws MtorError CONFIG_INVALID when it nests deeper than 4 or has more than 200 steps in all
 */
function countSteps(sequences: ReadonlyMap<string, readonly SequenceStep[]>, name: string, path: readonly string[] = []): number {
  if (path.length >= MAX_DEPTH) throw new MtorError('CONFIG_INVALID', `sequences may nest ${MAX_DEPTH} deep, got ${[...path, name].join(' → ')}`, { say: 'That sequence runs itself, or nests too deep.' })
  let steps = 0
  for (const step of sequences.get(name) ?? []) {
    steps += step.type === 'sequence.run' ? 1 + countSteps(sequences, plain(String(step.slots.name)), [...path, name]) : 1
    if (steps > MAX_STEPS) throw new MtorError('CONFIG_INVALID', `a sequence may have ${MAX_STEPS} steps with all it runs; ${name} has more`, { say: 'That sequence is too long.' })
  }
  return steps
}

/** Runs the named sequences of the configuration, one step after the other, each as an intent of its own. */
export function makeSequencesSkill({ sequences, children }: { sequences: Sequences; children: ChildIntents }): Skill {
  const byName = new Map(Object.entries(sequences).map(([name, steps]) => [plain(name), steps]))
  return {
    name: 'sequences',
    types: ['sequence.run'],
    async run(context) {
      const name = plain(String(context.slots.name))
      const steps = byName.get(name)
      if (!steps) {
        const known = [...byName.keys()]
        throw new MtorError('NOT_FOUND', `no sequence ${JSON.stringify(name)}; known: ${known.join(', ') || 'none'}`, { say: `I have no sequence called ${name}. I know ${list(known)}.`, data: { known } })
      }
      countSteps(byName, name)
      for (const [index, step] of steps.entries()) {
        if (context.signal.aborted) throw endOf(context.signal)
        context.progress({ sequence: name, step: index + 1, steps: steps.length, type: step.type })
        // A step may also be refused before it is an intent; that ends the sequence just as a failure does.
        const end = await unlessAborted(children.run(step.type, step.slots, context.intent, context.signal).catch((error: unknown) => toMtorError(error)), context.signal)
        if (end instanceof MtorError || end.state !== 'succeeded') {
          throw new MtorError(end.code ?? 'INTERNAL', `step ${index + 1} of ${steps.length} (${step.type})${end.message ? `: ${end.message}` : ''}`,
            { say: `The ${name} sequence ended at step ${index + 1} of ${steps.length}.${end.say ? ` ${end.say}` : ''}`, data: { sequence: name, step: index + 1, type: step.type, ...(end instanceof MtorError ? {} : { child: end.id, state: end.state }) } })
        }
      }
      return { say: `Finished ${name}, ${quantity(steps.length, 'step')}.`, data: { sequence: name, steps: steps.length } }
    },
  }
}

/** Why the run was aborted: whoever aborted says it in the reason; without one it was a stop. */
const endOf = (signal: AbortSignal): MtorError => signal.reason instanceof MtorError ? signal.reason : new MtorError('STOPPED', 'the sequence was stopped')

/** Waits for the step's intent, but no longer than until the abort: a child that is slow to end must not hold the sequence. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(endOf(signal))
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try { return await Promise.race([work, aborted.promise]) } finally { signal.removeEventListener('abort', onAbort) }
}
