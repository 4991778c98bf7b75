import { access, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { ManualClock } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'
import type { SystemEvent } from '../contracts/events.ts'
import { Hub } from '../contracts/hub.ts'
import type { Manifest } from '../inference/manifest.ts'
import type { Answer, Inference, Tasks } from '../inference/port.ts'
import { BetterEars } from './better-ears.ts'
import { chooseBySpeed } from './choose-model.ts'
import { FreeSpeechFiles } from './free-speech-files.ts'
import type { UtteranceMessage } from './messages.ts'
import { WavReader } from './wav.ts'

type Heard = Tasks['transcribe']['output']
const answer = (model: string, output: Partial<Heard>, runMs = 100): Answer<'transcribe'> => ({ output: { text: 'the wheel is loose', audioS: 2, confidence: 0.9, ...output }, model, version: '1', provider: 'cpu', queuedMs: 0, runMs, attempts: 1 })
const SAID: UtteranceMessage = {
  kind: 'utterance', text: 'take a note that the veal is lose', how: 'free', confidence: 0.7, engine: 'vosk',
  timeline: { speechStartMs: 1_000, speechEndMs: 4_000, endpointMs: 4_900, transcriptMs: 4_950 }, free: { lead: 'take a note that', fromMs: 2_000 },
}

/** Better ears over an inference that does as `run` says, with a file to hear. */
async function ears(t: ExecutionContext, run: (model: string, deadlineMs: number) => Answer<'transcribe'>, options: { transcriber?: string; models?: [name: string, memoryMB: number][] } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'mtor-ears-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const audio = join(folder, 'free-speech-1-1.wav')
  await writeFile(audio, '')
  const clock = new ManualClock()
  const hub = new Hub(clock, 'n1')
  const events: SystemEvent[] = []
  hub.onSystem((event) => { events.push(event) })
  const inference = {
    warm: async (model: string) => { run(model, Infinity) },
    run: async (_task: string, model: string, _input: unknown, { deadlineMs }: { deadlineMs: number }) => run(model, deadlineMs),
  } as unknown as Pick<Inference, 'run' | 'warm'>
  const part = new BetterEars({ transcriber: options.transcriber ?? 'whisper', inference, models: () => (options.models ?? []).map(([name, memoryMB]) => ({ name, memoryMB, task: 'transcribe' }) as Manifest), hub, clock })
  await part.start()
  return { part, message: { ...SAID, audio }, events, gone: () => access(audio).then(() => false, () => true) }
}

test('free speech gets the words of the better ears behind its lead, and its file is removed', async (t) => {
  let deadlineMs = 0
  const { part, message, gone, events } = await ears(t, (model, ms) => { deadlineMs = ms; return answer(model, { text: ' The wheel is loose.' }) })
  t.like(await part.hear(message), { text: 'take a note that the wheel is loose', how: 'free', confidence: 0.9, engine: 'whisper' })
  t.true(await gone())
  t.is(deadlineMs, 3_000, '2 s, and half a second for each of the two')
  t.like(events.at(-1), { name: 'transcribed', data: { before: SAID.text } })
})

for (const [name, capital] of [['I saw Mars', 'I saw Mars'], ['NASA called.', 'NASA called'], ['… Really?', 'really'], ['Ten percent!', 'ten percent']]) {
  test(`“${name}” stands in a sentence as “${capital}”`, async (t) => {
    const { part, message } = await ears(t, (model) => answer(model, { text: name }))
    t.is((await part.hear(message)).text, `take a note that ${capital}`)
  })
}

test('what is heard of the lead once more is left out', async (t) => {
  const { part, message } = await ears(t, (model) => answer(model, { text: 'Note that, that is all.' }))
  t.is((await part.hear({ ...message, free: { lead: 'take a note that', fromMs: 2_000 } })).text, 'take a note that that is all')
})

const PASSED: [string, () => Partial<Heard>, RegExp][] = [
  ['is late', () => { throw new MtorError('DEADLINE', 'not done within 3000 ms') }, /not done within/],
  ['is broken', () => { throw new MtorError('MODEL_UNAVAILABLE', 'its circuit is open') }, /circuit/],
  ['hears nothing', () => ({ text: ' . ' }), /heard nothing/],
  ['is not sure', () => ({ text: 'Thank you.', confidence: 0.2 }), /not sure of “thank you”/],
  ['goes round in circles', () => ({ text: 'and so on '.repeat(20) }), /more words than anybody says/],
]
for (const [what, output, why] of PASSED) {
  test(`a transcriber that ${what} leaves the words of the engine, tells so, and the file is removed`, async (t) => {
    let started = false
    const { part, message, gone, events } = await ears(t, (model) => { const ready = started; started = true; return answer(model, ready ? output() : {}) })
    t.deepEqual(await part.hear(message), message)
    t.true(await gone())
    t.is(events.at(-1)!.name, 'transcriber.passed')
    t.regex(events.at(-1)!.message!, why)
  })
}

test('speech without a file is left as it is', async (t) => {
  const { part } = await ears(t, (model) => answer(model, {}))
  t.is(await part.hear(SAID), SAID)
})

test('a model that cannot be loaded is told once and asked again when there is something to hear', async (t) => {
  let there = false
  const { part, message, events } = await ears(t, (model) => { if (!there) throw new MtorError('NOT_FOUND', 'there is no model whisper'); return answer(model, {}) })
  t.like(events.at(-1), { severity: 'warning', name: 'transcriber.missing', code: 'NOT_FOUND' })
  there = true
  t.is((await part.hear(message)).engine, 'whisper')
})

test('auto takes the largest model that keeps up with speech here', async (t) => {
  // Two seconds of sound: 1.4 s of work are 0.7 of real time, 0.6 s are 0.3.
  const runMs: Record<string, number> = { huge: NaN, large: 1_400, small: 600, tiny: 100 }
  const { part, events, message } = await ears(t, (model) => { if (model === 'huge') throw new MtorError('NOT_FOUND', 'not pulled'); return answer(model, {}, runMs[model]) }, { transcriber: 'auto', models: [['tiny', 200], ['huge', 4_000], ['small', 400], ['large', 900]] })
  t.is(part.model, 'small')
  t.deepEqual(events.at(-1)!.data, { measured: [{ model: 'huge', error: 'not pulled' }, { model: 'large', realTimeFactor: 0.7 }, { model: 'small', realTimeFactor: 0.3 }, { model: 'tiny', realTimeFactor: 0.05 }] })
  t.is((await part.hear(message)).engine, 'small')
})

test('auto on a board that is too slow, or without models, leaves the engine its words', async (t) => {
  const { part, message, gone } = await ears(t, (model) => answer(model, {}, 5_000), { transcriber: 'auto', models: [['tiny', 200]] })
  t.is(part.model, undefined)
  t.is(await part.hear(message), message)
  t.true(await gone())
  t.is(chooseBySpeed([]), undefined)
})

test('the speech process keeps what follows the lead as a file, and removes what a killed core left', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'mtor-free-'))
  t.teardown(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'free-speech-99-3.wav'), 'left')
  await writeFile(join(folder, 'other.wav'), 'kept')
  const files = new FreeSpeechFiles(folder)
  for (let i = 1; i <= 200; i++) files.push(new Int16Array(512).fill(i), i * 32)
  const { audio } = await files.attach(SAID)
  t.deepEqual((await readdir(folder)).sort(), [`free-speech-${process.pid}-1.wav`, 'other.wav'])
  const wav = await WavReader.open(audio!)
  t.teardown(() => wav.close())
  // From 2.0 s − 0.12 s to 4.0 s + 0.3 s.
  t.true(Math.abs(wav.format.durationS - 2.42) <= 0.064, `${wav.format.durationS} s`)
  t.true(Math.abs((await wav.all())[0]! * 32 - 1_880) <= 32)
  t.is((await files.attach({ ...SAID, free: undefined })).audio, undefined)
  t.is((await files.attach({ ...SAID, free: { lead: 'x', fromMs: 90_000 }, timeline: { ...SAID.timeline, speechEndMs: 91_000 } })).audio, undefined)
})
