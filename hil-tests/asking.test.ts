import test from 'ava'
import { Bench } from './resources/bench.ts'
import { synthetic } from './resources/sounds.ts'

// A program asks aloud, a person answers: question out of the loudspeaker, WAV in, value out.
let bench: Bench
test.before(async () => { bench = await Bench.open() })
test.after.always(async () => { await bench?.close() })

type Event = Record<string, unknown> & { state: string; code?: string; data?: Record<string, unknown> }

/** Submits speech.ask; resolves once the question was told, with a promise of its final event. */
async function ask(slots: Record<string, unknown>): Promise<{ ended: Promise<Event> }> {
  const asked = (async () => {
    for await (const event of bench.appliance.control.lines('GET', '/events?follow=true&last=0&severity=debug')) if (event.name === 'asked' && event.message === slots.question) return
  })()
  const ended = (async () => {
    let last: Event | undefined
    for await (const turn of bench.appliance.control.lines('POST', '/intents', { type: 'speech.ask', slots: { timeoutS: 20, ...slots } })) if (turn.kind === 'event') last = turn.event as Event
    return last!
  })()
  await asked
  return { ended }
}
const answer = async (text: string, voice = 'slt') => bench.play(await synthetic(bench.dir, text, voice))

test.serial('HIL-010 yes or no', async (t) => {
  const { ended } = await ask({ question: 'Shall I open the airlock?', kind: 'yes-no' })
  await answer('no')
  t.like(await ended, { state: 'succeeded', say: '', data: { answer: false, text: 'no' } })
})

test.serial('HIL-011 a number comes back in SI units', async (t) => {
  const { ended } = await ask({ question: 'How far?', kind: 'length' })
  await answer('two and a half metres')
  t.like((await ended).data, { answer: 2.5 })
})

test.serial('HIL-012 one of a choice, whose words no sentence has', async (t) => {
  const { ended } = await ask({ question: 'Which umbrella?', kind: 'choice', values: ['purple', 'yellow'] })
  await answer('the yellow one please')
  t.like((await ended).data, { answer: 'yellow' })
})

test.serial('HIL-013 any text', async (t) => {
  const { ended } = await ask({ question: 'What shall I write down?', kind: 'text' })
  await answer('the bearing sounds rough on the left side', 'rms')
  const event = await ended
  t.is(event.state, 'succeeded')
  t.regex(String(event.data?.answer), /rough on the left side$/)
})

test.serial('HIL-014 what is no answer is asked about once more', async (t) => {
  const { ended } = await ask({ question: 'How many?', kind: 'count' })
  await answer('my grandmother bought umbrellas')
  await answer('twelve')
  t.like((await ended).data, { answer: 12 })
  t.deepEqual(bench.replies().slice(-3).map(({ text }) => text), ['How many?', 'Sorry.', 'How many?'])
})

test.serial('HIL-015 "stop" in answer to a question stops, and ends the question', async (t) => {
  const { ended } = await ask({ question: 'Shall I go on?', kind: 'yes-no' })
  await answer('stop', 'awb')
  t.like(await ended, { state: 'aborted', code: 'CANCELLED' })
  t.truthy(bench.controllerFacts().find((f) => f.fact === 'received' && f.command === 'STOP'))
})

test.serial('HIL-016 what is typed answers too; a question nobody answers ends', async (t) => {
  const { ended } = await ask({ question: 'Is anybody there?', kind: 'confirm' })
  const turns: Record<string, unknown>[] = []
  for await (const turn of bench.appliance.control.lines('POST', '/say', { text: 'yes' })) turns.push(turn)
  t.like(turns.at(-1), { kind: 'say', say: 'Thank you.' })
  t.like((await ended).data, { answer: true, text: 'yes' })
  t.like(await (await ask({ question: 'Hello?', kind: 'yes-no', timeoutS: 2 })).ended, { state: 'failed', code: 'NO_ANSWER' })
})

test.serial('HIL-017 a sentence is said once, and repeated on request', async (t) => {
  const before = bench.replies().length
  let last: Event | undefined
  for await (const turn of bench.appliance.control.lines('POST', '/intents', { type: 'speech.say', slots: { text: 'Supper is ready.' } })) if (turn.kind === 'event') last = turn.event as Event
  t.is(last?.state, 'succeeded')
  await answer('computer, say that again', 'rms')
  t.deepEqual(bench.replies().slice(before).map(({ text }) => text), ['Supper is ready.', 'Supper is ready.'])
})
