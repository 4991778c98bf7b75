import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { systemClock } from '../../contracts/clock.ts'
import { LearnedWords } from '../../speech/learned.ts'
import type { FromSpeech } from '../../speech/messages.ts'
import { SpeechPipeline } from '../../speech/pipeline.ts'
import { concatenate, silence, synthesise } from '../../speech/sounds.ts'
import { encodeWav } from '../../speech/wav.ts'
import { Understander } from '../../understand/index.ts'
import { ModelStore } from '../store/index.ts'
import { learnWordInto, type LearnProgress } from './learner.ts'
import type { WordOptions } from './messages.ts'
import { modelOfWord } from './names.ts'
import { workerInference } from './testing.ts'
import { similarWords } from './words.ts'

async function temporary(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mtor-learn-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}
const storeIn = (folder: string) => new ModelStore({ modelsDir: join(folder, 'models'), clock: systemClock, scrubPeriodMs: Infinity, onEvent: () => {} })
const OPTIONS: WordOptions = { word: 'marigold', quick: true, tiny: true, examples: 40, seed: 1, epochs: 6, batches: 16, threshold: 0.4, limits: { falseRejectPercent: 100, falseAcceptsPerHour: 1e6 } }
const said = async (text: string, voice: 'flite:slt' | 'espeak-ng:en-us+m3') => concatenate([silence(1), await synthesise(text, voice), silence(0.4)])

test.serial('a few examples make a model in the store; a real worker and the ears recognise the word with it, and not another word', async (t) => {
  const folder = await temporary(t)
  const store = storeIn(folder)
  const told: LearnProgress[] = []
  const { manifest, result } = await learnWordInto(OPTIONS, { store, onProgress: (progress) => { told.push(progress) } })
  const losses = told.filter(({ loss }) => loss !== undefined).map(({ loss }) => loss!)
  t.true(losses.length >= 2 && losses.at(-1)! < losses[0]!, `losses: ${losses.join(', ')}`)
  t.like(manifest, { name: 'word-marigold', task: 'keyword', source: { kind: 'learned' }, prove: 'each' })
  t.true(manifest.knownAnswers.length >= 2)
  for (const figure of ['falseRejectPercent', 'falseAcceptsPerHour', 'hours', 'threshold'] as const) t.is(typeof result.measured[figure], 'number', figure)
  t.true(result.measured.parts.some(({ what }) => what === 'the word, synthesised'))

  // With the voice it heard most; how well it does on others is what `measured` says.
  const [word, other] = [await said('marigold', 'flite:slt'), await said('forty seven', 'flite:slt')]
  const inference = await workerInference(t, await store.trusted(manifest.name))
  t.is(inference.provider, 'cpu')
  const score = async (name: string, samples: Int16Array) => {
    const file = join(folder, `${name}.wav`)
    await writeFile(file, encodeWav(samples, { sampleRateHz: 16_000 }))
    const { output } = await inference.run('keyword', manifest.name, { file }, { deadlineMs: 10_000 })
    return output.score
  }
  // The last second: the silence behind the word is shortened so that the word ends just before.
  const yes = await score('word', word.subarray(0, word.length - 0.35 * 16_000)), no = await score('other', other.subarray(0, other.length - 0.35 * 16_000))
  t.log(`the word scores ${yes.toFixed(3)}, another ${no.toFixed(3)}`)
  t.true(yes > no + 0.2, `the word scores ${yes}, another ${no}`)
  await t.throwsAsync(score('empty', new Int16Array(0)), { code: 'AUDIO_INVALID' })

  const reports: string[] = []
  const ears = await LearnedWords.load([{ word: 'marigold', does: 'event' }, { word: 'unlearned', does: 'wake' }], { modelsDir: join(folder, 'models') }, ({ message, code }) => { reports.push(`${code} ${message}`) })
  t.deepEqual(ears!.words, ['marigold'])
  t.regex(reports.join(), /NOT_FOUND the learned word “unlearned” is not listened for/)
  const heard = async (samples: Int16Array, speech: boolean) => {
    ears!.reset()
    const spotted = []
    for (let at = 0; at + 512 <= samples.length; at += 512) spotted.push(...await ears!.push(samples.subarray(at, at + 512), speech))
    return spotted.map((one) => `${one.does} ${one.word}`)
  }
  t.deepEqual(await heard(word, true), ['event marigold'])
  t.deepEqual(await heard(word, false), [], 'nothing is looked for while there is no voice')
  await ears!.close()

  const understander = await Understander.load()
  const messages: FromSpeech[] = []
  const pipeline = await SpeechPipeline.load({
    engine: 'auto', grammar: understander.speechGrammar(), completeness: (text) => understander.completeness(text), meaning: (text) => understander.meaning(text), endSilenceMs: 240, maxSilenceMs: 900, answerWindowMs: 8_000,
    modelsDir: join(folder, 'models'), learnedWords: [{ word: 'marigold', does: 'wake' }], emit: (message) => { messages.push(message) },
  })
  const command = concatenate([word, silence(0.4), await synthesise('drive forward two meters', 'flite:slt'), silence(0.6)])
  for (let at = 0; at < command.length; at += 512) await pipeline.push(command.subarray(at, at + 512), (at + 512) / 16)
  await pipeline.flush()
  pipeline.close()
  t.deepEqual(messages.map((message) => message.kind === 'utterance' ? `${message.how}: ${message.text}` : message.kind), ['wake', 'command: drive forward two meters'], 'it works like the wake word')
})

test.serial('a word that is worse than its limits is refused with the figures, and the store stays as it was', async (t) => {
  const folder = await temporary(t)
  const store = storeIn(folder)
  const error = await t.throwsAsync(learnWordInto({ ...OPTIONS, word: 'tamarind', examples: 10, epochs: 1, batches: 1, threshold: 0.999, limits: { falseRejectPercent: 5, falseAcceptsPerHour: 2 } }, { store, onProgress: () => {} }), { code: 'LEARN_FAILED' })
  t.regex(error!.message, /missed \d+\.\d % of the time \(limit 5 %\)/)
  t.false(store.list().some(({ name }) => name === 'word-tamarind'))
})

test.serial('recordings that hold no voice are told, and are no examples', async (t) => {
  const folder = await temporary(t)
  await mkdir(join(folder, 'empty'))
  await writeFile(join(folder, 'empty', 'a.wav'), encodeWav(silence(1), { sampleRateHz: 16_000 }))
  const error = await t.throwsAsync(learnWordInto({ ...OPTIONS, from: join(folder, 'empty') }, { store: storeIn(folder), onProgress: () => {} }), { code: 'AUDIO_INVALID' })
  t.regex(error!.message, /none of the 1 recordings .* no voice is heard in it/)
})

test.serial('learning can be cancelled', async (t) => {
  const abort = new AbortController()
  const learning = learnWordInto(OPTIONS, { store: storeIn(await temporary(t)), onProgress: () => abort.abort(), signal: abort.signal })
  await t.throwsAsync(learning, { code: 'CANCELLED' })
})

test('words that sound alike are found, and not those that contain the word', async (t) => {
  const near = await similarWords('computer', 20)
  t.true(near.includes('commuter'))
  t.false(near.some((word) => word.includes('computer')))
  t.is(new Set(near).size, near.length)
})

test('a name of a model is made of the word, and what is no word is refused', (t) => {
  t.is(modelOfWord('Lantern'), 'word-lantern')
  t.is(modelOfWord('open sesame'), 'word-open-sesame')
  for (const wrong of ['', 'a', 'x1', '../x', 'é', 'a'.repeat(40)]) t.throws(() => modelOfWord(wrong), { code: 'USAGE' })
})
