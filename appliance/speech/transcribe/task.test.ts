import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import * as ort from 'onnxruntime-node'
import { TinyWhisper } from '../../inference/convert/ctranslate2-testing.ts'
import { convertWhisper } from '../../inference/convert/ctranslate2.ts'
import type { Manifest } from '../../inference/manifest.ts'
import { encodeWav } from '../wav.ts'
import { loopLength } from './decode.ts'
import { LogMel } from './mel.ts'
import { task } from './task.ts'
import { testSound } from './test-sound.ts'
import { Vocabulary } from './tokens.ts'
import { windowsOf } from './windows.ts'

/** Words, then signs, as in a real vocabulary. */
const TOKENS = ['Ġone', 'Ġtwo', 'three', 'Ã', '©', 'Ġ', 'Ċ', 'x', 'Ġfour', '<|endoftext|>', '<|startoftranscript|>', '<|notimestamps|>', '<|0.00|>']
const END = TOKENS.indexOf('<|endoftext|>')
const MAX_TOKENS = 12

async function load(t: ExecutionContext, whisper: TinyWhisper, config: object = { suppress_ids: [6], suppress_ids_begin: [5, END] }) {
  const folder = await mkdtemp(join(tmpdir(), 'mtor-whisper-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const files = { ...convertWhisper(whisper.file()), 'vocabulary.txt': `${TOKENS.join('\n')}\n`, 'config.json': JSON.stringify(config) }
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
  const manifest = { name: 'tiny', options: { prompt: ['<|startoftranscript|>', '<|notimestamps|>'], windowS: 2, maxTokens: MAX_TOKENS } } as unknown as Manifest
  const loaded = await task.load({ model: { manifest, folder }, threads: 1, open: async (path) => ({ session: await ort.InferenceSession.create(join(folder, path)), ort, provider: 'cpu' }) })
  t.teardown(() => loaded.close())
  return { loaded, folder }
}

const hum = (seconds: number) => Int16Array.from({ length: seconds * 16_000 }, (_, n) => Math.round(9_000 * Math.sin(n / 9) * Math.sin(n / 4_000)))

for (const seed of [4, 5, 8, 11]) {
  test(`seed ${seed}: a recording becomes the text that the formulas give`, async (t) => {
    const whisper = new TinyWhisper(seed, { bands: 80, positions: 100, textPositions: 40, vocabulary: TOKENS.length })
    const { loaded, folder } = await load(t, whisper)
    const file = join(folder, 'hum.wav')
    await writeFile(file, encodeWav(hum(1), { sampleRateHz: 16_000 }))
    // What a plain loop finds: 2 s are 200 frames, the likeliest allowed token each time.
    const mel = new LogMel(80).of(hum(1), 200)
    const encoded = whisper.encode(Array.from({ length: 200 }, (_, frame) => Array.from({ length: 80 }, (__, band) => mel[band * 200 + frame]!)))
    const prompt = [10, 11]
    const tokens: number[] = []
    let sum = 0
    while (tokens.length < MAX_TOKENS && loopLength(tokens) === 0) {
      const logits = whisper.next(encoded, [...prompt, ...tokens]).map((value, id) => id === 6 || id > END || (tokens.length === 0 && (id === 5 || id === END)) ? -Infinity : value)
      const best = logits.indexOf(Math.max(...logits))
      sum -= Math.log(logits.reduce((total, value) => total + Math.exp(value - logits[best]!), 0))
      if (best === END) break
      tokens.push(best)
    }
    const steps = tokens.length === MAX_TOKENS || loopLength(tokens) > 0 ? tokens.length : tokens.length + 1
    const kept = loopLength(tokens) > 0 ? tokens.slice(0, -3 * loopLength(tokens)) : tokens
    const output = await loaded.run({ file })
    t.is(output.text, new Vocabulary(TOKENS.join('\n')).text(kept).trim())
    t.is(output.audioS, 1)
    t.true(Math.abs(Math.log(output.confidence) - sum / steps) < 1e-3, `${output.confidence}, expected ${Math.exp(sum / steps)}`)
    t.log(`“${output.text}” after ${steps} steps`)
    const digest = loaded.digest!()
    await loaded.run({ file })
    t.is(loaded.digest!(), digest)
  })
}

test('the voice for known answers needs no file; a file that is no sound is refused', async (t) => {
  const { loaded, folder } = await load(t, new TinyWhisper(5, { bands: 80, positions: 100, textPositions: 40, vocabulary: TOKENS.length }))
  t.is((await loaded.run({ file: { pattern: 'voice' } })).audioS, 1.6)
  await writeFile(join(folder, 'no.wav'), 'no sound')
  await t.throwsAsync(async () => loaded.run({ file: join(folder, 'no.wav') }), { code: 'AUDIO_INVALID' })
})

test('files that do not fit together are refused when the model is loaded', async (t) => {
  const whisper = new TinyWhisper(5, { bands: 80, positions: 100, textPositions: 40, vocabulary: TOKENS.length })
  await t.throwsAsync(load(t, whisper, { suppress_ids: 'none' }), { code: 'MODEL_INVALID', message: /config\.json of tiny/ })
})

test('byte-level tokens become text again, across characters of several bytes; signs are left out', (t) => {
  const vocabulary = new Vocabulary(TOKENS.join('\n'))
  t.is(vocabulary.text([10, 11, 0, 1, 12, 5, 2, 3, 4, END]), ' one two threeé')
  t.is(vocabulary.text([3]), '\uFFFD')
  t.is(vocabulary.size, TOKENS.length)
  t.throws(() => vocabulary.id('<|nothing|>'), { code: 'MODEL_INVALID' })
})

test('what is said four times in a row is a loop, however long it is up to a bound', (t) => {
  t.is(loopLength([1, 2, 3]), 0)
  t.is(loopLength([9, 1, 2, 1, 2, 1, 2]), 0)
  t.is(loopLength([9, 1, 2, 1, 2, 1, 2, 1, 2]), 2)
  t.is(loopLength([5, 5, 5, 5]), 1)
  const long = Array.from({ length: 16 }, (_, i) => i)
  t.is(loopLength([...long, ...long, ...long, ...long]), 16)
})

test('long speech is cut where it is quietest, and nothing is lost', (t) => {
  const sound = hum(70)
  sound.fill(0, 25 * 16_000, 26 * 16_000)
  const windows = windowsOf(sound)
  t.true(windows.every(({ length }) => length <= 30 * 16_000))
  t.true(Math.abs(windows[0]!.length / 16_000 - 25.5) <= 0.5, `${windows[0]!.length / 16_000} s`)
  t.is(windows.reduce((sum, { length }) => sum + length, 0), sound.length)
  t.deepEqual(windowsOf(hum(30)).map(({ length }) => length), [30 * 16_000])
})

test('the voice for known answers is loud, ends in silence and is the same each time', (t) => {
  const sound = testSound()
  t.is(Math.max(...sound.map(Math.abs)), Math.round(0.5 * 32_767))
  t.true(sound.subarray(-1_600).every((value) => Math.abs(value) < 300))
  t.deepEqual(testSound(), sound)
})
