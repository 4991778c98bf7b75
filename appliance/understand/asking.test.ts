import test from 'ava'
import { ManualClock } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'
import type { SystemEvent } from '../contracts/events.ts'
import { Hub } from '../contracts/hub.ts'
import { answerCompleteness, answerOf, type AnswerForm } from './answers.ts'
import { Asking, Dialogue, Understander, type Asked } from './index.ts'

const understander = await Understander.load()

/** A dialogue with the real sentences; only the mouth is recorded. */
function start(options: { speaks?: boolean; say?: (text: string) => Promise<void> } = {}) {
  const clock = new ManualClock()
  const hub = new Hub(clock, 'n')
  const did: string[] = []
  const events: SystemEvent[] = []
  hub.onSystem((event) => { events.push(event) })
  const asking: Asking = new Asking({ clock, hub, mouth: {
    speaks: options.speaks ?? true, say: async (text) => { did.push(`say ${text}`); await options.say?.(text) },
    listen: (forMs, form) => { did.push(`listen ${forMs}${form ? ` ${form.kind}` : ''}`) }, free: () => dialogue.closed('voice'),
  } })
  const dialogue: Dialogue = new Dialogue({ understander, clock, answerTimeoutMs: 10_000, isHazardous: (type) => type === 'arm.set', proposals: false, asking })
  const abort = new AbortController()
  const ask = (asked: Partial<Asked> = {}) => {
    const answer = asking.ask({ question: 'Shall I?', kind: 'yes-no', timeoutMs: 8_000, ...asked }, abort.signal)
    answer.catch(() => {})
    return answer
  }
  return { clock, did, events, asking, dialogue, abort, ask, hear: (text: string, answer?: { inGrammar?: string }, session = 'voice') => dialogue.hear(session, text, { spoken: session === 'voice', answer }) }
}
const settle = () => new Promise<void>((resolve) => { setImmediate(resolve) })
const code = async (promise: Promise<unknown>) => promise.then(() => 'answered', (error: unknown) => error instanceof MtorError ? error.code : String(error))

test('a question is spoken, then the ears are open, and the answer is given back', async (t) => {
  const { ask, hear, did, events } = start()
  const answer = ask()
  await settle()
  t.deepEqual(did, ['say Shall I?', 'listen 8000 yes-no'])
  t.like(events[0], { component: 'speech', name: 'asked', message: 'Shall I?', say: undefined })
  t.is((await hear('yes please')).act, 'answered')
  t.deepEqual(await answer, { answer: true, text: 'yes please' })
  t.is(did.at(-1), 'listen 0')
})

test('answers of each kind', (t) => {
  const cases: [AnswerForm['kind'], string, unknown, string[]?][] = [
    ['yes-no', 'yeah', true], ['yes-no', 'No, thank you.', false], ['yes-no', 'Yes?', undefined], ['yes-no', 'perhaps', undefined],
    ['confirm', 'Yes, go ahead', true], ['confirm', 'sure', undefined], ['confirm', 'no', false],
    ['length', 'two and a half metres', 2.5], ['length', 'twelve', 12], ['angle', 'a quarter turn', 90], ['speed', 'half a metre per second', 0.5], ['duration', 'an hour and a half', 5400],
    ['fraction', 'thirty', 0.3], ['count', 'twenty two', 22], ['count', 'two point five', undefined], ['length', 'two minutes', undefined],
    ['choice', 'the red one please', 'red', ['red', 'green']], ['choice', 'not the red one', undefined, ['red', 'green']], ['choice', 'red or green', undefined, ['red', 'green']],
    ['choice', 'bay two', 'bay 2', ['bay 1', 'bay 2']], ['choice', 'blue', undefined, ['red']], ['text', ' Turn left at the rock. ', 'Turn left at the rock.'], ['text', '', undefined],
  ]
  for (const [kind, text, expected, values] of cases) t.is(answerOf({ kind, values }, text), expected as never, `${kind}: ${text}`)
})

test('how far an answer has come', (t) => {
  const cases: [AnswerForm['kind'], string, string, string[]?][] = [
    ['yes-no', 'yes', 'complete'], ['yes-no', 'that is', 'prefix'], ['yes-no', 'banana', 'nothing'], ['count', 'twenty', 'extendable'], ['count', 'twenty two', 'complete'], ['length', 'two point', 'prefix'],
    ['choice', 'bay', 'prefix', ['bay one', 'bay one b']], ['choice', 'bay one', 'extendable', ['bay one', 'bay one b']], ['choice', 'bay one b', 'complete', ['bay one', 'bay one b']], ['text', 'well', 'extendable'],
  ]
  for (const [kind, text, expected, values] of cases) t.is(answerCompleteness({ kind, values }, text), expected as never, `${kind}: ${text}`)
})

test('what is no answer is asked once more, then given up; a doubtful confirmation is none', async (t) => {
  const { ask, hear, did } = start()
  const answer = ask({ kind: 'length', question: 'How far?' })
  await settle()
  await hear('a bit')
  await settle()
  t.deepEqual(did.slice(2), ['say Sorry. How far?', 'listen 8000 length'])
  t.like(await hear('rather far'), { act: 'refuse', code: 'NOT_UNDERSTOOD' })
  t.is(await code(answer), 'NOT_UNDERSTOOD')
  const confirmed = ask({ kind: 'confirm' })
  await settle()
  await hear('sure')
  t.like(await hear('well, sure'), { act: 'refuse', code: 'NOT_CONFIRMED' })
  t.deepEqual(await confirmed, { answer: false, text: 'well, sure' })
})

test('nobody answers: NO_ANSWER, counted from the end of the question', async (t) => {
  const spoken = Promise.withResolvers<void>()
  const { ask, clock, asking } = start({ say: () => spoken.promise })
  const answer = ask()
  await settle()
  await clock.advance(60_000)
  t.truthy(asking.open)
  spoken.resolve()
  await settle()
  await clock.advance(7_999)
  t.truthy(asking.open)
  await clock.advance(1)
  t.is(await code(answer), 'NO_ANSWER')
  t.is(asking.open, undefined)
})

test('an answer that has begun in time is waited for', async (t) => {
  const { ask, clock, asking, hear } = start()
  const answer = ask({ kind: 'text' })
  await settle()
  await clock.advance(7_000)
  asking.hearing(true)
  await clock.advance(10_000)
  asking.hearing(false)
  await clock.advance(1_000)
  await hear('all is well', {})
  t.deepEqual(await answer, { answer: 'all is well', text: 'all is well' })
})

test('stop and cancel end the question; stop stops all the same', async (t) => {
  for (const [text, heard, act] of [['stop', {}, 'submit'], ['stop', undefined, 'submit'], ['cancel', {}, 'cancelled'], ['can sell', { inGrammar: 'cancel' }, 'cancelled'], ['top', { inGrammar: 'stop' }, 'submit']] as const) {
    const { ask, hear } = start()
    const answer = ask({ kind: 'text' })
    await settle()
    t.is((await hear(text, heard)).act, act, text)
    t.is(await code(answer), 'CANCELLED', text)
  }
})

test('another command is obeyed and the question stays open', async (t) => {
  const { ask, hear } = start()
  const answer = ask()
  await settle()
  t.like(await hear('what time is it'), { act: 'submit', type: 'time.tell' })
  t.is((await hear('no')).act, 'answered')
  t.is((await answer).answer, false)
})

test('to a question for any text a command is an answer where it was heard as one, not where it was typed or addressed', async (t) => {
  const { ask, hear } = start()
  const answer = ask({ kind: 'text' })
  await settle()
  t.like(await hear('turn left ninety degrees'), { act: 'submit', type: 'drive.turn' })
  t.like(await hear('turn left ninety degrees', undefined, 'cli'), { act: 'submit', type: 'drive.turn' })
  t.is((await hear('turn left at the big rock', { inGrammar: 'turn left' })).act, 'answered')
  t.is((await answer).text, 'turn left at the big rock')
})

test('what is typed answers too, in any session, and is asked again there', async (t) => {
  const { ask, hear, did } = start()
  const answer = ask({ kind: 'choice', values: ['red', 'green'], question: 'Which?' })
  await settle()
  t.deepEqual(await hear('blue', undefined, 'cli'), { act: 'ask', say: 'Sorry. Which?', expects: 'answer' })
  t.is((await hear('green', undefined, 'cli:2')).act, 'answered')
  t.is((await answer).answer, 'green')
  t.deepEqual(did.filter((each) => each.startsWith('say')), ['say Which?'])
})

test('a box that is silent tells its question as an event to be read', async (t) => {
  const { ask, hear, did, events } = start({ speaks: false })
  const answer = ask()
  await settle()
  t.like(events[0], { component: 'speech', name: 'asked', say: 'Shall I?' })
  t.is((await hear('yes', undefined, 'cli')).act, 'answered')
  t.is((await answer).answer, true)
  t.deepEqual(did.filter((each) => each.startsWith('say')), [])
})

test('one question at a time; too many are refused', async (t) => {
  const { ask, hear, did } = start()
  const first = ask({ question: 'One?' })
  const later = [2, 3, 4, 5].map((n) => ask({ question: `${n}?` }))
  t.is(await code(ask({ question: 'Too many?' })), 'BUSY')
  await settle()
  t.deepEqual(did.filter((each) => each.startsWith('say')), ['say One?'])
  await hear('yes')
  t.is((await first).answer, true)
  await settle()
  t.is(did.filter((each) => each.startsWith('say')).at(-1), 'say 2?')
  await hear('no')
  t.is((await later[0]!).answer, false)
})

test('aborted, a question ends with the reason, also while it waits for its turn', async (t) => {
  const { ask, abort, asking, hear } = start()
  const first = ask()
  const second = ask()
  await settle()
  abort.abort(new MtorError('DEADLINE', 'too late'))
  t.deepEqual([await code(first), await code(second)], ['DEADLINE', 'DEADLINE'])
  t.is(asking.open, undefined)
  t.is((await hear('yes')).act, 'refuse')
})

test('it waits until the voice has no question of its own, so that "yes" answers one of them', async (t) => {
  const { ask, hear, did } = start()
  t.is((await hear('arm the drive')).act, 'ask')
  const answer = ask()
  await settle()
  t.deepEqual(did, [])
  t.is((await hear('yes')).act, 'submit')
  await settle()
  t.is(did[0], 'say Shall I?')
  await hear('no')
  t.is((await answer).answer, false)
})

test('the voice is lost meanwhile: it asks again when it is back', async (t) => {
  let down = true
  const { ask, hear, did, events, asking, clock } = start({ say: async () => { if (down) throw new MtorError('SPEECH_DOWN', 'down') } })
  const answer = ask()
  await settle()
  t.like(events.at(-1), { name: 'ask.unsaid', code: 'SPEECH_DOWN' })
  await clock.advance(5_000)
  down = false
  asking.back()
  await settle()
  t.is(did.filter((each) => each === 'say Shall I?').length, 2)
  await clock.advance(5_000)
  await hear('yes')
  t.is((await answer).answer, true)
})

test('what may be something else than was said is no yes and no value; a no and free text are taken', async (t) => {
  const doubt = { reason: 'sound' } as const
  for (const [asked, said] of [[{}, 'yes'], [{ kind: 'count' }, 'three'], [{ kind: 'choice', values: ['red'] }, 'red']] as const) {
    const { ask, dialogue } = start()
    const answer = ask(asked as Partial<Asked>)
    await settle()
    t.like(await dialogue.hear('voice', said, { spoken: true, answer: {}, doubt }), { act: 'answered', code: 'NOT_UNDERSTOOD' })
    t.is((await dialogue.hear('voice', said, { spoken: true, answer: {} })).act, 'answered')
    t.truthy((await answer).answer)
  }
  const { ask, dialogue } = start()
  const answer = ask()
  await settle()
  await dialogue.hear('voice', 'no', { spoken: true, answer: {}, doubt })
  t.is((await answer).answer, false)
})
