import test from 'ava'
import { MtorError } from '../contracts/errors.ts'
import type { Envelope } from '../contracts/envelope.ts'
import type { IntentEvent } from '../contracts/events.ts'
import { makeSequencesSkill, type Sequences } from './sequences.ts'
import { contextOf } from './testing.ts'

const square = [1, 2].flatMap(() => [{ type: 'drive.move', slots: { distanceM: 0.5 } }, { type: 'drive.turn', slots: { angleDeg: 90 } }])

function runner(sequences: Sequences, outcome: (step: number) => Partial<IntentEvent> | Promise<never> = () => ({ state: 'succeeded' })) {
  const ran: [string, Record<string, unknown>][] = []
  const parents: Envelope[] = []
  const skill = makeSequencesSkill({ sequences, children: {
    async run(type, slots, parent) {
      ran.push([type, slots])
      parents.push(parent)
      return { ...contextOf('stop').intent, at: { boot: 1, mono: 1 }, node: 'box', type, ...await outcome(ran.length) } as unknown as IntentEvent
    },
  } })
  return { skill, ran, parents }
}
const failure = (work: Promise<unknown>) => work.then(() => { throw new TypeError('succeeded') }, (error: MtorError) => error)

test('a sequence runs its steps in order, each told as progress, as children of the request', async (t) => {
  const { skill, ran, parents } = runner({ square })
  const context = contextOf('sequence.run', { name: ' Square ' })
  t.is((await skill.run(context)).say, 'Finished square, 4 steps.')
  t.deepEqual(ran, square.map((s) => [s.type, s.slots]))
  t.deepEqual(context.reported.map((p) => p.step), [1, 2, 3, 4])
  t.true(parents.every((parent) => parent.id === context.intent.id))
})

test('a failed step ends the sequence with its code and its sentence', async (t) => {
  const { skill, ran } = runner({ square }, (step) => step === 2 ? { state: 'failed', code: 'STALLED', say: 'The wheels are stalled.' } : { state: 'succeeded' })
  const error = await failure(skill.run(contextOf('sequence.run', { name: 'square' })))
  t.is(error.code, 'STALLED')
  t.is(error.say, 'The square sequence ended at step 2 of 4. The wheels are stalled.')
  t.is(ran.length, 2)
})

test('a step that is refused ends the sequence with the code of the refusal', async (t) => {
  const { skill } = runner({ square }, () => Promise.reject(new MtorError('NOT_ARMED', 'drive.move needs the drive armed')))
  const error = await failure(skill.run(contextOf('sequence.run', { name: 'square' })))
  t.is(error.code, 'NOT_ARMED')
  t.is(error.message, 'step 1 of 4 (drive.move): drive.move needs the drive armed')
  t.is(error.say, 'The square sequence ended at step 1 of 4. The drive is not armed.')
})

test('an abort ends the sequence at once, even while a step hangs, with the reason of the abort', async (t) => {
  const { skill, ran } = runner({ square }, () => new Promise<never>(() => {}))
  for (const [reason, code] of [[undefined, 'STOPPED'], [new MtorError('CANCELLED', 'by the operator'), 'CANCELLED']] as const) {
    const controller = new AbortController()
    const work = failure(skill.run(contextOf('sequence.run', { name: 'square' }, { signal: controller.signal })))
    controller.abort(reason)
    t.is((await work).code, code)
  }
  t.is(ran.length, 2)
  const aborted = await failure(skill.run(contextOf('sequence.run', { name: 'square' }, { signal: AbortSignal.abort() })))
  t.is(aborted.code, 'STOPPED')
  t.is(ran.length, 2)
})

test('an unknown sequence is told with the known ones', async (t) => {
  const { skill, ran } = runner({ square, patrol: square })
  for (const name of ['circle', 'constructor']) {
    const error = await failure(skill.run(contextOf('sequence.run', { name })))
    t.is(error.code, 'NOT_FOUND')
    t.is(error.say, `I have no sequence called ${name}. I know square and patrol.`)
  }
  t.is(ran.length, 0)
})

test('sequences that run each other without end, or multiply, are refused before the first step', async (t) => {
  const run = (name: string) => ({ type: 'sequence.run', slots: { name } })
  const { skill, ran } = runner({ a: [...square, run('B')], b: [run('a')], wide: Array.from({ length: 50 }, () => run('four')), four: square, nested: [run('four'), run('four')], deep: [run('one')], one: [run('two')], two: [run('three')], three: [run('four')] })
  for (const name of ['a', 'b', 'wide', 'deep']) t.is((await failure(skill.run(contextOf('sequence.run', { name })))).code, 'CONFIG_INVALID')
  t.is(ran.length, 0)
  t.is((await skill.run(contextOf('sequence.run', { name: 'nested' }))).say, 'Finished nested, 2 steps.')
  t.is((await skill.run(contextOf('sequence.run', { name: 'one' }))).say, 'Finished one, 1 step.')
})
