import test from 'ava'
import type { MtorError } from '../contracts/errors.ts'
import { makeSpeechSkill, type SkillVoice, type SpokenQuestion } from './speech.ts'
import { contextOf } from './testing.ts'

function skill() {
  const said: [string, boolean][] = []
  const asked: SpokenQuestion[] = []
  const voice: SkillVoice = { say: async (text, { interrupt }) => { said.push([text, interrupt]) }, ask: async (question) => { asked.push(question); return { answer: 2.5, text: 'two and a half metres' } } }
  return { said, asked, skill: makeSpeechSkill({ voice }) }
}

test('a sentence is said once: nothing is left to be said when it is done', async (t) => {
  const { said, skill: { run } } = skill()
  t.deepEqual(await run(contextOf('speech.say', { text: 'Supper is ready.' })), { say: '' })
  await run(contextOf('speech.say', { text: 'Mind the step.', interrupt: true }))
  t.deepEqual(said, [['Supper is ready.', false], ['Mind the step.', true]])
})

test('an answer comes back as a value and as it was said', async (t) => {
  const { asked, skill: { run } } = skill()
  t.deepEqual(await run(contextOf('speech.ask', { question: 'How far?', kind: 'length', timeoutS: 5 })), { say: '', data: { answer: 2.5, text: 'two and a half metres' } })
  await run(contextOf('speech.ask', { question: 'Which?', kind: 'choice', values: ['red', 'green'] }))
  t.deepEqual(asked, [{ question: 'How far?', kind: 'length', timeoutMs: 5000 }, { question: 'Which?', kind: 'choice', values: ['red', 'green'] }])
})

test('a choice needs values, and nothing else takes any', async (t) => {
  const { asked, skill: { run } } = skill()
  for (const slots of [{ question: 'Which?', kind: 'choice' }, { question: 'Well?', kind: 'yes-no', values: ['maybe'] }]) {
    t.is((await t.throwsAsync(run(contextOf('speech.ask', slots))) as MtorError).code, 'INVALID_SLOTS')
  }
  t.deepEqual(asked, [])
})
