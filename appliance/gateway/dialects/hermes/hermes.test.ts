import test, { type ExecutionContext } from 'ava'
import { inbox, json, startBus, topics } from '../../../bus/testing.ts'
import { PROTOCOL_VERSION, type Envelope } from '../../../contracts/envelope.ts'
import type { IntentEvent } from '../../../contracts/events.ts'
import { ManualClock } from '../../../contracts/clock.ts'
import { uuidv7 } from '../../../contracts/ids.ts'
import type { Identity } from '../../../contracts/intents.ts'
import { Understander } from '../../../understand/index.ts'
import { FOREIGN, Hermes } from './index.ts'
import { hermesClient } from './testing.ts'

const understander = Understander.load()
test.after.always(async () => { (await understander).stop() })

type Ending = Partial<Pick<IntentEvent, 'state' | 'code' | 'data'>>
/** The dialect on a real broker, with the real templates; of the intents it submits, the test says how they end. */
async function start(t: ExecutionContext, { siteId = 'default', speech: ears = true } = {}) {
  const bench = await startBus(t, {}, { foreign: FOREIGN })
  const { hub, bus } = bench
  const clock = new ManualClock()
  const ran: { type: string; slots: Record<string, unknown>; identity: Identity; signal: AbortSignal | undefined; end: (ending: Ending) => void }[] = []
  let look = () => {}
  const opened: number[] = []
  const hermes = new Hermes({
    hub, bus, clock, topics, siteId, speech: ears, wakeWord: 'computer', answerWindowMs: 8_000, understander: await understander,
    conversation: { hear: async function* () {} }, expectAnswer: (forMs) => { opened.push(forMs) },
    service: {
      envelope: (type, slots, source) => ({ v: PROTOCOL_VERSION, id: uuidv7(), type, slots, source: { ...source, node: 'base' }, issuedAt: hub.now(), ttlMs: 1_000, priority: 5 }) satisfies Envelope,
      run: ({ id, type, slots }, identity, signal) => new Promise((resolve) => {
        const end = (ending: Ending) => resolve({ v: PROTOCOL_VERSION, id, type, at: hub.now(), node: 'base', state: 'succeeded', ...ending })
        signal?.addEventListener('abort', () => end({ state: 'aborted', code: 'CANCELLED' }))
        ran.push({ type, slots, identity, signal, end })
        look()
      }),
    },
  })
  hermes.start()
  t.teardown(() => hermes.stop())
  const speech = (name: string, message?: string, data?: Record<string, unknown>) => hub.system({ severity: 'info', component: 'speech', name, ...(message === undefined ? {} : { message }), ...(data ? { data } : {}) })
  return {
    bench, clock, speech, opened,
    /** The next intent that the dialect submits. */
    asked: () => new Promise<(typeof ran)[number]>((resolve) => { look = () => { const next = ran.shift(); if (next) { look = () => {}; resolve(next) } }; look() }),
  }
}

test.serial('a spoken sentence is told as hot word, session, text, intent with slots, and end of session', async (t) => {
  t.timeout(180_000)
  const box = await start(t)
  const client = await hermesClient(t, box.bench.port)
  box.speech('wake', undefined, { confidence: 0.9 })
  t.like(await client.next('HotwordDetected'), { topic: 'hermes/hotword/computer/detected', message: { modelId: 'computer', siteId: 'default' } })
  await client.next('DialogueSessionStarted')
  box.speech('heard', 'drive forward two metres', { how: 'command', confidence: 0.93, tookMs: 310 })
  const { message: text } = await client.next('AsrTextCaptured')
  t.like(text, { text: 'drive forward two metres', likelihood: 0.93, seconds: 0.31, wakewordId: 'computer' })
  const { topic, message: intent } = await client.next('NluIntent')
  t.is(topic, 'hermes/intent/drive.move')
  t.like(intent, { input: 'drive forward two metres', sessionId: text.sessionId, intent: { intentName: 'drive.move', confidenceScore: 1 } })
  t.like(intent.slots, [{ entity: 'distanceM', slotName: 'distanceM', value: { kind: 'Number', value: 2, unit: 'm' }, rawValue: '2' }])
  box.speech('answered', 'drive forward two metres')
  await box.clock.advance(2_000)
  t.like((await client.next('DialogueSessionEnded')).message, { sessionId: text.sessionId, termination: { reason: 'nominal' } })
})

test.serial('an answer to a question of the box is told as the intent that came of it; what nobody understood is told as that', async (t) => {
  const box = await start(t)
  const client = await hermesClient(t, box.bench.port)
  box.speech('wake')
  const { message: { sessionId } } = await client.next('DialogueSessionStarted')
  box.speech('heard', 'twenty metres', { how: 'command', confidence: 1, tookMs: 200 })
  box.bench.hub.intent({ id: uuidv7(), type: 'drive.move', state: 'accepted', source: { kind: 'voice', node: 'base' }, data: { slots: { distanceM: 20 } } })
  t.like((await client.next('NluIntent')).message, { input: 'twenty metres', sessionId, slots: [{ value: { value: 20 } }] })
  box.speech('answered', 'twenty metres')
  // Heard without the wake word, while the session still lingers.
  box.speech('heard', 'not in the grammar: mumble', { how: 'rejected', confidence: 0.2, tookMs: 150 })
  box.speech('refused', 'mumble')
  box.speech('answered', 'mumble')
  t.like((await client.next('AsrTextCaptured')).message, { text: 'mumble', sessionId, seconds: 0.15 })
  t.like((await client.next('DialogueIntentNotRecognized')).message, { input: 'mumble', sessionId })
  t.like((await client.next('DialogueSessionEnded')).message, { sessionId, termination: { reason: 'intentNotRecognized' } })
  box.speech('wake')
  await client.next('DialogueSessionStarted')
  box.speech('wake.timeout')
  t.like((await client.next('DialogueSessionEnded')).message, { termination: { reason: 'timeout' } })
  // A stop is spotted before any sentence is heard.
  box.bench.hub.intent({ id: uuidv7(), type: 'stop', state: 'accepted', source: { kind: 'voice', node: 'base' }, data: { slots: {} } })
  t.like((await client.next('NluIntent')).message, { intent: { intentName: 'stop' }, sessionId: null })
})

test.serial('a query is answered with its meaning and carries out nothing; an intent filter and a guess leave it not recognised', async (t) => {
  const box = await start(t)
  const client = await hermesClient(t, box.bench.port)
  client.send('NluQuery', { input: 'turn left by ninety degrees', id: 'q1', session_id: 's', custom_data: 'mine' })
  t.like((await client.next('NluIntentParsed')).message, { id: 'q1', intent: { intentName: 'drive.turn' } })
  t.like(await client.next('NluIntent'), { topic: 'hermes/intent/drive.turn', message: { id: 'q1', sessionId: 's', customData: 'mine', slots: [{ slotName: 'angleDeg', value: { value: 90, unit: 'deg' } }] } })
  client.send('NluQuery', { input: 'turn left by ninety degrees', id: 'q2', intent_filter: ['time.tell'] })
  t.like((await client.next('NluIntentNotRecognized')).message, { id: 'q2', input: 'turn left by ninety degrees' })
  client.send('NluQuery', { input: 'purple elephants', id: 'q3' })
  t.is((await client.next('NluIntentNotRecognized')).message.id, 'q3')
  // Whatever a query would have submitted would come before this.
  client.send('TtsSay', { text: 'Hello.', id: 'mark' })
  t.is((await box.asked()).type, 'speech.say')
})

test.serial('say is spoken by whoever asks for it, as an intent, and its end is told, also where it cannot be said', async (t) => {
  const box = await start(t)
  const client = await hermesClient(t, box.bench.port)
  client.send('TtsSay', { text: 'The kettle boils.', id: 'one', session_id: 's' })
  const first = await box.asked()
  t.like(first, { type: 'speech.say', slots: { text: 'The kettle boils.' }, identity: { client: 'hermes-client', role: 'operator', kind: 'mqtt' } })
  first.end({})
  t.like((await client.next('TtsSayFinished')).message, { id: 'one', sessionId: 's', siteId: 'default' })
  client.send('TtsSay', { text: 'Nobody hears this.', id: 'two' })
  ;(await box.asked()).end({ state: 'failed', code: 'SPEECH_DOWN' })
  t.like((await client.next('TtsError')).message, { context: 'Nobody hears this.' })
  t.is((await client.next('TtsSayFinished')).message.id, 'two')
})

test.serial('a session that a client starts asks aloud, tells what the answer means without carrying it out, goes on and ends with a sentence', async (t) => {
  const box = await start(t)
  const client = await hermesClient(t, box.bench.port)
  client.send('DialogueStartSession', { init: { can_be_enqueued: true, text: 'What now?', send_intent_not_recognized: true }, custom_data: 'mine' })
  const { message: { sessionId } } = await client.next('DialogueSessionStarted')
  const question = await box.asked()
  t.like(question, { type: 'speech.ask', slots: { question: 'What now?', kind: 'text' } })
  box.speech('heard', 'lights on', { how: 'free', confidence: 0.8, tookMs: 500 })
  question.end({ data: { answer: 'lights on', text: 'lights on' } })
  t.like((await client.next('AsrTextCaptured')).message, { text: 'lights on', likelihood: 0.8, seconds: 0.5, sessionId })
  t.like((await client.next('NluIntent')).message, { intent: { intentName: 'light.set' }, sessionId, customData: 'mine' })

  client.send('DialogueContinueSession', { session_id: sessionId, text: 'Are you sure?', custom_data: 'more', send_intent_not_recognized: true })
  const sure = await box.asked()
  t.is(sure.slots.question, 'Are you sure?')
  sure.end({ data: { answer: 'well maybe', text: 'well maybe' } })
  t.like((await client.next('DialogueIntentNotRecognized')).message, { input: 'well maybe', sessionId, customData: 'more' })

  client.send('DialogueEndSession', { session_id: sessionId, text: 'As you like.' })
  const last = await box.asked()
  t.like(last, { type: 'speech.say', slots: { text: 'As you like.' } })
  last.end({})
  t.like((await client.next('DialogueSessionEnded')).message, { sessionId, customData: 'more', termination: { reason: 'nominal' } })
})

test.serial('one session at a time: a notification waits its turn, an action that may not wait is refused', async (t) => {
  const box = await start(t)
  const client = await hermesClient(t, box.bench.port)
  client.send('DialogueStartSession', { init: { can_be_enqueued: false, text: 'First?' } })
  const first = await box.asked()
  client.send('DialogueStartSession', { init: { type: 'notification', text: 'Tea is ready.' }, custom_data: 'tea' })
  const { message: { sessionId } } = await client.next('DialogueSessionQueued')
  client.send('DialogueStartSession', { init: { can_be_enqueued: false, text: 'Second?' } })
  t.regex((await client.next('DialogueError')).message.error, /busy/)
  first.end({ state: 'failed', code: 'NO_ANSWER' })
  t.is((await client.next('DialogueSessionEnded')).message.termination.reason, 'timeout')
  t.is((await client.next('DialogueSessionStarted')).message.sessionId, sessionId)
  const tea = await box.asked()
  t.like(tea, { type: 'speech.say', slots: { text: 'Tea is ready.' } })
  tea.end({})
  t.like((await client.next('DialogueSessionEnded')).message, { sessionId, customData: 'tea', termination: { reason: 'nominal' } })
})

for (const [code, reason] of [['CANCELLED', 'abortedByUser'], ['STOPPED', 'abortedByUser'], ['NOT_UNDERSTOOD', 'intentNotRecognized'], ['SPEECH_DOWN', 'error']] as const) test.serial(`a question that ends with ${code} ends its session: ${reason}`, async (t) => {
  const box = await start(t)
  const client = await hermesClient(t, box.bench.port)
  client.send('DialogueStartSession', { init: { can_be_enqueued: true, text: 'Well?' } })
  ;(await box.asked()).end({ state: 'failed', code })
  t.is((await client.next('DialogueSessionEnded')).message.termination.reason, reason)
})

test.serial('a command that is said instead of an answer is told as an intent outside the session, which the box ends', async (t) => {
  const box = await start(t)
  const client = await hermesClient(t, box.bench.port)
  client.send('DialogueStartSession', { init: { can_be_enqueued: true, text: 'Well?' } })
  const question = await box.asked()
  box.speech('heard', 'lights on', { how: 'command', confidence: 0.9, tookMs: 100 })
  box.bench.hub.intent({ id: uuidv7(), type: 'light.set', state: 'accepted', source: { kind: 'voice', node: 'base' }, data: { slots: { on: true } } })
  question.end({ state: 'failed', code: 'CANCELLED' })
  t.like((await client.next('NluIntent')).message, { input: 'lights on', intent: { intentName: 'light.set' }, sessionId: null, asrConfidence: 0.9 })
  t.is((await client.next('DialogueSessionEnded')).message.termination.reason, 'abortedByUser')
})

test.serial('a client that neither goes on nor ends a session loses it; ending one while its question is out ends the question', async (t) => {
  const box = await start(t)
  const client = await hermesClient(t, box.bench.port)
  client.send('DialogueStartSession', { init: { can_be_enqueued: true, text: 'Well?' } })
  ;(await box.asked()).end({ data: { answer: 'lights off', text: 'lights off' } })
  await client.next('NluIntent')
  await box.clock.advance(30_000)
  t.is((await client.next('DialogueSessionEnded')).message.termination.reason, 'timeout')

  client.send('DialogueStartSession', { init: { can_be_enqueued: true, text: 'And now?' } })
  const { message: { sessionId } } = await client.next('DialogueSessionStarted')
  const { signal } = await box.asked()
  client.send('DialogueEndSession', { session_id: sessionId })
  t.is((await client.next('DialogueSessionEnded')).message.termination.reason, 'nominal')
  t.true(signal!.aborted)
  client.send('DialogueEndSession', { session_id: sessionId })
  t.like((await client.next('DialogueError')).message, { sessionId, error: 'no such session is open' })
})

test.serial('a client opens the ears: what is heard then is told with its session id', async (t) => {
  const box = await start(t)
  const client = await hermesClient(t, box.bench.port)
  client.send('AsrStartListening', { session_id: 'push-to-talk' })
  client.send('NluQuery', { input: 'what time is it' })
  await client.next('NluIntent')
  t.deepEqual(box.opened, [8_000])
  box.speech('heard', 'what time is it', { how: 'command', confidence: 1, tookMs: 100 })
  t.like((await client.next('AsrTextCaptured')).message, { text: 'what time is it', sessionId: 'push-to-talk' })
  client.send('AsrStopListening', { session_id: 'push-to-talk' })
  client.send('NluQuery', { input: 'purple elephants' })
  await client.next('NluIntentNotRecognized')
  t.deepEqual(box.opened, [8_000, 0])
})

test.serial('a box without ears says so to a client that wants them open', async (t) => {
  const box = await start(t, { speech: false })
  const client = await hermesClient(t, box.bench.port)
  client.send('AsrStartListening', { session_id: 'push-to-talk' })
  t.like((await client.next('AsrError')).message, { sessionId: 'push-to-talk', siteId: 'default' })
  t.deepEqual(box.opened, [])
})

test.serial('messages for another site are not for this box', async (t) => {
  const box = await start(t, { siteId: 'kitchen' })
  const client = await hermesClient(t, box.bench.port)
  client.send('NluQuery', { input: 'what time is it', id: 'other' })
  client.send('NluQuery', { input: 'what time is it', id: 'own', site_id: 'kitchen' })
  t.like((await client.next('NluIntentParsed')).message, { id: 'own', siteId: 'kitchen' })
})

test('a message that is none is refused with an event, and nothing else happens', async (t) => {
  const box = await start(t)
  const client = await box.bench.client()
  const answers = await inbox(client, 'hermes/nlu/intentParsed')
  for (const wrong of ['no json', '{"input":7}', Buffer.from([0xff, 0xfe]), JSON.stringify({ input: 'x'.repeat(5_000) })]) await client.publishAsync('hermes/nlu/query', wrong, { qos: 1 })
  await client.publishAsync('hermes/nlu/query', JSON.stringify({ input: 'what time is it', id: 'right' }), { qos: 1 })
  t.like(json(await answers.next()), { id: 'right', intent: { intentName: 'time.tell' } })
  const refused = box.bench.events.filter(({ name, component }) => name === 'message.rejected' && component === 'hermes').map(({ code }) => code)
  t.deepEqual(refused, ['MALFORMED', 'INVALID_ENVELOPE', 'MALFORMED', 'TOO_LARGE'])
})
