import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import * as ort from 'onnxruntime-node'
import { systemClock } from '../../../contracts/clock.ts'
import { MtorError } from '../../../contracts/errors.ts'
import type { SystemEvent } from '../../../contracts/events.ts'
import { Hub } from '../../../contracts/hub.ts'
import { GraphWriter } from '../../../inference/convert/onnx-writer.ts'
import type { Manifest } from '../../../inference/manifest.ts'
import type { Inference, Tasks } from '../../../inference/port.ts'
import { encodeWav, WavReader } from '../../wav.ts'
import { openSink } from '../sink.ts'
import { Speaker } from '../speaker.ts'
import { AskedVoice } from './asked-voice.ts'
import { BetterVoice } from './better-voice.ts'
import { clausesOf, phonemesOf } from './phonemes.ts'
import { idsOf, task } from './task.ts'

async function folder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'mtor-neural-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  return path
}

test('text is cut where a voice pauses, and what has no sound is left out', (t) => {
  t.deepEqual(clausesOf('Done. I drove 2.5 metres, at 1,000 volts … Really?! - ok'), [
    { words: 'Done', sign: '.' }, { words: 'I drove 2.5 metres', sign: ',' }, { words: 'at 1,000 volts … Really', sign: '?' }, { words: '- ok', sign: '' },
  ])
  t.deepEqual(clausesOf(' … !'), [])
})

test('espeak-ng says how words are spoken; text that looks like an option is only text', async (t) => {
  t.regex(await phonemesOf('Hello there, friend.', 'en-us'), /^həlˈoʊ ðˈɛɹ, fɹˈɛnd\.$/)
  t.regex(await phonemesOf('--version; -v de', 'en-us'), /vˈɜːʒən.*; .*/)
})

test('phonemes become numbers, each with a pad behind it; marks above letters are phonemes of their own', (t) => {
  const map = { _: [0], '^': [1], $: [2], a: [14], ' ': [3], 'ç': [40], 'ɔ': [54], '\u0303': [141] }
  t.deepEqual([...idsOf('a ɔ̃ä^', map)].map(Number), [1, 0, 14, 0, 3, 0, 54, 0, 141, 0, 14, 0, 2])
  t.throws(() => idsOf('a', { a: [1] }), { code: 'MODEL_INVALID' })
})

const RATE_HZ = 16_000
const SAMPLES = 800
const CONFIG = { audio: { sample_rate: RATE_HZ }, espeak: { voice: 'en-us' }, inference: { noise_scale: 0.6, length_scale: 1, noise_w: 0.8 }, phoneme_id_map: { _: [0], '^': [1], $: [2], h: [20], 'ə': [59], l: [24], 'ˈ': [120], o: [27], 'ʊ': [100] }, num_speakers: 1 }

/** A graph with the inputs of a voice: each phoneme is 800 samples of its number over 200, and all the noise is added. */
async function tinyVoice(t: ExecutionContext, config: object = CONFIG) {
  const graph = new GraphWriter('voice')
  graph.input('input', 'int64', [1, 'n'])
  graph.input('input_lengths', 'int64', [1])
  graph.input('scales', 'float32', [3])
  const constant = (name: string, ...shape: number[]) => graph.constant(name, BigInt64Array.from(shape, BigInt), [shape.length])
  graph.node('Cast', ['input'], ['numbers'], { to: 1 })
  graph.node('Div', ['numbers', graph.constant('most', Float32Array.of(200), [])], ['levels'])
  graph.node('Unsqueeze', ['levels', constant('last', 2)], ['column'])
  graph.node('Tile', ['column', constant('times', 1, 1, SAMPLES)], ['wave'])
  graph.node('Slice', ['scales', constant('from', 0), constant('to', 1)], ['noise'])
  graph.node('Add', ['wave', 'noise'], ['noisy'])
  graph.node('Reshape', ['noisy', constant('shape', 1, 1, 1, -1)], ['output'])
  graph.output('output', 'float32', [1, 1, 1, 'samples'])
  const path = await folder(t)
  await writeFile(join(path, 'voice.onnx'), graph.bytes())
  await writeFile(join(path, 'voice.json'), JSON.stringify(config))
  const loaded = await task.load({ model: { manifest: { name: 'tiny', options: {} } as unknown as Manifest, folder: path }, threads: 1, open: async (file) => ({ session: await ort.InferenceSession.create(join(path, file)), ort, provider: 'cpu' }) })
  t.teardown(() => loaded.close())
  return { loaded, path }
}

test('a sentence becomes a WAV file at the rate of the voice; known phonemes are said without noise, the same each time', async (t) => {
  const { loaded, path } = await tinyVoice(t)
  const file = join(path, 'said.wav')
  // ^ _ h _ ə _ l _ ˈ _ o _ ʊ _ $: 15 numbers.
  const spoken = await loaded.run({ text: 'hello', file })
  t.is(spoken.audioS, (15 * SAMPLES) / RATE_HZ)
  const wav = await WavReader.open(file)
  t.teardown(() => wav.close())
  t.is(wav.format.sampleRateHz, RATE_HZ)
  const samples = await wav.all()
  t.is(Math.max(...samples), Math.round(0.7 * 32_767))
  const quiet = await loaded.run({ text: { phonemes: 'həlˈoʊ' } })
  t.is(quiet.audioS, spoken.audioS)
  t.true(quiet.loudnessDb < spoken.loudnessDb - 3, 'the noise of the voice is left out')
  const digest = loaded.digest!()
  t.deepEqual(await loaded.run({ text: { phonemes: 'həlˈoʊ' } }), quiet)
  t.is(loaded.digest!(), digest)
  await t.throwsAsync(async () => loaded.run({ text: { phonemes: 'h'.repeat(2_000) } }), { code: 'TOO_LARGE' })
})

test('a voice of another build is refused when it is loaded', async (t) => {
  await t.throwsAsync(tinyVoice(t, { ...CONFIG, num_speakers: 4 }), { code: 'MODEL_INVALID', message: /num_speakers/ })
})

/** Core and speech process of a neural voice, joined; the model does as `run` says. */
async function voices(t: ExecutionContext, run: (input: Tasks['speak']['input']) => Promise<void>) {
  const path = await folder(t)
  await writeFile(join(path, 'spoken-99-1.wav'), 'left by a killed process')
  const events: SystemEvent[] = []
  const hub = new Hub(systemClock, 'n1')
  hub.onSystem((event) => { events.push(event) })
  const inference = {
    warm: async () => {},
    run: async (_task: string, _model: string, input: Tasks['speak']['input']) => { await run(input); return { output: { audioS: 1, loudnessDb: -20 }, runMs: 100 } },
  } as unknown as Pick<Inference, 'run' | 'warm'>
  const core = new BetterVoice({ model: 'auto', inference, models: () => [{ name: 'joe', memoryMB: 300, task: 'speak' } as Manifest], hub })
  await core.start()
  const asked: string[] = []
  const answered: Promise<void>[] = []
  const process = new AskedVoice(path, ({ requestId, text, file }) => { asked.push(text); answered.push(core.synthesise(text, file).then((ok) => { process.answer(requestId, ok) })) })
  return { core, process, path, events, asked, answered }
}
const beep = encodeWav(new Int16Array(1_600).fill(7), { sampleRateHz: RATE_HZ })

test('a sentence comes from the core as a file, which does not stay', async (t) => {
  const { core, process, path, events } = await voices(t, async ({ file }) => { if (file !== undefined) await writeFile(file, beep) })
  t.is(core.model, 'joe')
  t.like(events.at(-1), { name: 'voice.chosen', data: { measured: [{ model: 'joe', realTimeFactor: 0.1 }] } })
  t.deepEqual(await process.synthesise('Hello.', new AbortController().signal), beep)
  t.deepEqual(await readdir(path), [])
})

test('what is cut off rejects at once, and its file goes when it comes', async (t) => {
  const gate = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  const { process, path, answered } = await voices(t, async ({ file }) => { if (file !== undefined) { begun.resolve(); await gate.promise; await writeFile(file, beep) } })
  const abort = new AbortController()
  const said = process.synthesise('Hello.', abort.signal)
  await begun.promise
  abort.abort()
  await t.throwsAsync(said, { code: 'CANCELLED' })
  gate.resolve()
  await Promise.all(answered)
  for (let i = 0; i < 500 && (await readdir(path)).length > 0; i++) await new Promise((done) => { setTimeout(done, 10) })
  t.deepEqual(await readdir(path), [])
})

test('a sentence the neural voice cannot say is said by the other one, and an event says why', async (t) => {
  const { process, path, events, asked } = await voices(t, async ({ file }) => { if (file !== undefined) throw new MtorError('MODEL_UNAVAILABLE', 'its circuit is open') })
  const out = join(path, 'out')
  const done = Promise.withResolvers<string>()
  const speaker = new Speaker({
    engine: 'flite', voice: 'rms', mute: false, earcons: false, sink: openSink(`file:${out}`, '/'), better: (text, signal) => process.synthesise(text, signal),
    onState: (_id, state, message) => { if (state !== 'started') done.resolve(`${state} ${message ?? ''}`.trim()) }, onSpeaking: () => {}, onError: (error) => t.fail(error.message),
  })
  t.teardown(() => speaker.stop())
  speaker.speak(1, 'Hello there.')
  t.is(await done.promise, 'done')
  t.deepEqual(asked, ['Hello there.'])
  const wav = await WavReader.open(join(out, '000001.wav'))
  t.teardown(() => wav.close())
  t.true(wav.format.durationS > 0.4)
  t.like(events.at(-1), { name: 'voice.passed', code: 'MODEL_UNAVAILABLE' })
})
