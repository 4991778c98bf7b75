import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { Bench } from '../../../../hil-tests/resources/bench.ts'
import { synthetic } from '../../../../hil-tests/resources/sounds.ts'
import { hermesClient } from './testing.ts'

const run = promisify(execFile)
// The whole box: a synthetic voice in, a real Hermes client beside it.
let bench: Bench
test.before(async () => { bench = await Bench.open({ speedFactor: 10, settings: { dialects: { hermes: { enabled: true } } } }) })
test.after.always(async () => { await bench?.close() })
/** Resolves once the box has said this. */
async function said(sentence: string) { while (!bench.replies().some(({ text }) => text === sentence)) await new Promise((resolve) => { setTimeout(resolve, 50) }) }
const port = () => Number(new URL(bench.appliance.mqttUrl).port)

test.serial('a sentence spoken to the box reaches a Hermes client, which sees it carried out and the session end', async (t) => {
  t.timeout(180_000)
  const client = await hermesClient(t, port())
  const heard = await bench.play(await synthetic(bench.dir, 'computer, drive forward two meters'))
  t.truthy(heard.find((event) => event.type === 'drive.move' && event.state === 'succeeded'), JSON.stringify(heard))
  t.is((await client.next('HotwordDetected')).topic, 'hermes/hotword/computer/detected')
  const { message: { sessionId } } = await client.next('DialogueSessionStarted')
  const { message: captured } = await client.next('AsrTextCaptured')
  t.is(captured.sessionId, sessionId)
  t.true(captured.likelihood > 0 && captured.seconds > 0, JSON.stringify(captured))
  t.like(await client.next('NluIntent'), { topic: 'hermes/intent/drive.move', message: { sessionId, slots: [{ slotName: 'distanceM', value: { value: 2 } }] } })
  t.like((await client.next('DialogueSessionEnded')).message, { sessionId, termination: { reason: 'nominal' } })
})

test.serial('what a Hermes client has said is spoken', async (t) => {
  const client = await hermesClient(t, port())
  client.send('TtsSay', { text: 'The kettle boils.', id: 'kettle' })
  t.is((await client.next('TtsSayFinished')).message.id, 'kettle')
  await said('The kettle boils.')
  t.is(bench.replies().filter(({ text }) => text === 'The kettle boils.').length, 1)
})

test.serial('a Hermes client asks aloud, a voice answers without the wake word, and the client is told what it means', async (t) => {
  const client = await hermesClient(t, port())
  const answer = join(bench.dir, 'answer.wav')
  // The ears of a bench know what time it is only while they hear something: the pause is before the answer, in the same sound.
  await run('sox', [await synthetic(bench.dir, 'the blue one'), answer, 'pad', '5', '1'])
  const played = bench.play(answer)
  client.send('DialogueStartSession', { init: { can_be_enqueued: true, text: 'What do you wish?', send_intent_not_recognized: true } })
  const { message: { sessionId } } = await client.next('DialogueSessionStarted')
  const { message: captured } = await client.next('AsrTextCaptured')
  t.is(captured.sessionId, sessionId)
  t.regex(captured.text, /one/)
  t.like((await client.next('DialogueIntentNotRecognized')).message, { sessionId, input: captured.text })
  await played
  client.send('DialogueEndSession', { session_id: sessionId, text: 'Very well.' })
  t.is((await client.next('DialogueSessionEnded')).message.termination.reason, 'nominal')
  t.is(bench.replies().at(-1)?.text, 'Very well.')
})
