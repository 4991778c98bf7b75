import test from 'ava'
import { join } from 'node:path'
import type { DeclaredIntent } from '../contracts/handlers.ts'
import { MtorError } from '../contracts/errors.ts'
import { answerCompleteness, answerPhrases, type AnswerForm } from '../understand/index.ts'
import type { UtteranceMessage } from './messages.ts'
import { concatenate, silence, synthesise, type TestVoice } from './sounds.ts'
import { synthesise as intoFile } from './speak/index.ts'
import { speech } from './testing.ts'
import { hearing } from './testing-pipeline.ts'

const airlock: DeclaredIntent = { type: 'airlock.open', title: 'Open the airlock', slots: [], sentences: ['open [the] airlock'], actuates: true, hazardous: false, repeatable: false, deadlineMs: 10_000 }
const other: DeclaredIntent = { ...airlock, type: 'pump.start', sentences: ['start the pump'] }

const { understander, pipeline, messages, play, hear: hearAll, clear } = await hearing()
test.after.always(() => { pipeline.close() })
test.beforeEach(() => { pipeline.reset(); clear() })

async function hear(...parts: Int16Array[]): Promise<UtteranceMessage[]> {
  clear()
  return (await hearAll(...parts)).filter((message) => message.kind === 'utterance')
}
const say = (text: string, voice: TestVoice = 'flite:rms') => synthesise(text, voice)
const learn = (declares: DeclaredIntent[], answers: string[] = []) => { understander.learn(declares); return pipeline.learn(understander.learnedGrammar(answers)) }
const expect = (form: AnswerForm) => pipeline.expectAnswer(8_000, { completeness: (text) => answerCompleteness(form, text), phrases: answerPhrases(form) })

test.serial('a declared sentence is heard once learnt, and no longer once dropped', async (t) => {
  const said = await say('computer, open the airlock')
  t.is((await hear(said))[0]?.how, 'rejected')
  t.deepEqual((await learn([airlock])).unknownWords, [])
  t.like((await hear(said))[0], { text: 'open the airlock', how: 'command' })
  t.like((await hear(await say('computer, drive forward two metres')))[0], { text: 'drive forward two meters', how: 'command' })
  await learn([])
  t.not((await hear(said))[0]?.how, 'command')
})

test.serial('words that no dictionary has are told', async (t) => {
  t.deepEqual((await learn([airlock, { ...airlock, type: 'x.y', sentences: ['frobnicate the (airlock|zorkmid)'] }])).unknownWords, ['frobnicate', 'zorkmid'])
})

test.serial('free words of a declared sentence are heard, also where our own sentences begin alike, and those are not kept waiting', async (t) => {
  const text: DeclaredIntent['slots'][number] = { name: 'place', kind: 'words', required: true }
  await learn([{ ...airlock, type: 'go.to', sentences: ['go to {place}'], slots: [text] }, { ...airlock, type: 'crew.tell', sentences: ['announce {news...}'], slots: [{ ...text, name: 'news', kind: 'text' }] }])
  t.like((await hear(await say('computer, announce the coffee machine is broken', 'flite:slt')))[0], { text: 'announce the coffee machine is broken', how: 'free' })
  t.like((await hear(await say('computer, go to the old library', 'flite:slt')))[0], { text: 'go to the old library', how: 'free' })
  const [own] = await hear(await say('computer, go to safe mode', 'flite:slt'))
  t.like(own, { text: 'go to safe mode', how: 'command' })
  t.true(own!.timeline.endpointMs - own!.timeline.speechEndMs < 300, 'ended by the short silence')
})

test.serial('a lesson in the midst of a command waits for its end; in the midst of other talk it does not', async (t) => {
  await learn([])
  const command = concatenate([silence(0.4), await say('computer, drive forward three meters')])
  await play(command.subarray(0, 24_000))
  let learnt = false
  const lesson = learn([airlock]).then(() => { learnt = true })
  await play(command.subarray(24_000, 25_600))
  t.false(learnt)
  await play(command.subarray(25_600))
  await pipeline.flush()
  await lesson
  t.is(messages.find((message) => message.kind === 'utterance')?.text, 'drive forward three meters')
  const talk = await say('yesterday my grandmother bought seven yellow umbrellas')
  await play(silence(1), talk.subarray(0, talk.length - 8_000))
  await learn([other])
  await play(talk.subarray(talk.length - 8_000))
  t.is((await hear(silence(1), await say('computer, start the pump')))[0]?.text, 'start the pump')
})

test.serial('"stop" is heard right after a lesson and while one is learnt', async (t) => {
  const stop = concatenate([silence(0.4), await say('stop', 'flite:awb'), silence(1)])
  await play(stop.subarray(0, 8_000))
  const lesson = learn([airlock, other])
  await play(stop.subarray(8_000))
  await lesson
  t.deepEqual(messages.map(({ kind }) => kind), ['stop-word'])
})

test.serial('lessons leave no memory behind that would matter', async (t) => {
  const lessons = async (n: number) => { for (let i = 0; i < n; i++) await learn([i % 2 ? airlock : other]) }
  await lessons(6)
  const before = process.memoryUsage.rss()
  await lessons(20)
  const grownMB = (process.memoryUsage.rss() - before) / 1e6
  t.true(grownMB < 25, `${grownMB.toFixed(1)} MB over 20 lessons`)
})

test.serial('answers are heard by what the question allows, without the wake word', async (t) => {
  await learn([])
  for (const [form, text, heard] of [
    [{ kind: 'yes-no' }, 'no', 'no'], [{ kind: 'confirm' }, 'yes', 'yes'], [{ kind: 'count' }, 'twelve', 'twelve'], [{ kind: 'length' }, 'two and a half metres', 'two and a half meters'], [{ kind: 'fraction' }, 'thirty percent', 'thirty percent'],
    [{ kind: 'choice', values: ['purple elephant', 'yellow umbrella'] }, 'purple elephant', 'purple elephant'],
  ] as const) {
    pipeline.reset()
    expect(form)
    t.like((await hear(await say(text, 'flite:slt')))[0], { text: heard, how: 'command', answer: {} }, text)
    t.deepEqual(messages.map(({ kind }) => kind), ['answering', 'utterance', 'answering'])
  }
})

test.serial('to a question for any text the open vocabulary counts; with the wake word it is a command all the same', async (t) => {
  expect({ kind: 'text' })
  const [heard] = await hear(await say('the bearing sounds rough on the left side'))
  t.regex(heard?.text ?? '', /rough on the left side$/)
  t.like(heard, { how: 'free', free: { lead: '' } })
  expect({ kind: 'text' })
  t.like((await hear(await say('computer, drive forward three meters')))[0], { text: 'drive forward three meters', how: 'command', answer: undefined })
  expect({ kind: 'text' })
  t.is((await hear(await say('cancel')))[0]?.answer?.inGrammar, 'cancel')
})

test.serial('a command is heard as one although an answer is expected', async (t) => {
  for (const kind of ['count', 'yes-no'] as const) {
    expect({ kind })
    t.like((await hear(await say('drive forward three meters')))[0], { text: 'drive forward three meters', how: 'command', answer: undefined }, kind)
  }
})

test.serial('what is no answer is told as one that was not understood', async (t) => {
  expect({ kind: 'yes-no' })
  t.like((await hear(await say('seven yellow umbrellas', 'flite:slt')))[0], { how: 'rejected', answer: {} })
})

test.serial('the speech process learns; killed, the next one knows it before it hears anything', async (t) => {
  const { host, stateDir, event, message, messages: all } = await speech(t)
  const file = join(stateDir, 'airlock.wav')
  await intoFile('Computer, open the airlock.', file)
  await host.start()
  // While it is still loading: learnt before it is ready.
  t.deepEqual(await host.learn([airlock], ['purple']), { unknownWords: [] })
  await host.ready()
  await host.listen(file)
  t.like(await message('utterance'), { text: 'open the airlock', how: 'command' })
  process.kill(host.status().pid!, 'SIGKILL')
  await event('process.lost')
  await host.ready()
  const before = all.length
  await host.listen(file)
  t.like(all.slice(before).find(({ kind }) => kind === 'utterance'), { text: 'open the airlock', how: 'command' })
  await host.learn([], [])
  const after = all.length
  await host.listen(file)
  t.false(all.slice(after).some((message) => message.kind === 'utterance' && message.how === 'command'))
})

test.serial('a lesson while speech is off is refused, and no one waits for ever', async (t) => {
  const { host } = await speech(t)
  t.is((await t.throwsAsync(host.learn([airlock], []), { instanceOf: MtorError })).code, 'SPEECH_DOWN')
  await host.start()
  const lesson = host.learn([airlock], [])
  process.kill(host.status().pid!, 'SIGKILL')
  t.is((await t.throwsAsync(lesson, { instanceOf: MtorError })).code, 'SPEECH_DOWN')
  await host.ready()
  t.deepEqual(await host.learn([airlock], []), { unknownWords: [] })
})
