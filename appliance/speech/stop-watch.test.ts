import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import test from 'ava'
import { silence, synthesise, type TestVoice } from './sounds.ts'
import { StopRule } from './stop/rule.ts'
import { STOP_HEAD, STOP_HEAD_SHA256 } from './stop/spotter.ts'
import { amplified, inNoise, overVoice } from './testing-mixing.ts'
import { hearing } from './testing-pipeline.ts'
import { mulberry32 } from '../contracts/random.ts'

const { pipeline, messages, clear, hear } = await hearing()
test.after.always(() => pipeline.close())
test.beforeEach(() => {
  pipeline.reset()
  pipeline.setSpeaking(false)
  clear()
})

const VOICES: TestVoice[] = ['flite:rms', 'flite:slt', 'flite:awb', 'espeak-ng:en-us+m7', 'espeak-ng:en-gb+f1']
const own = () => synthesise('Moved two metres forward, and the battery is at eighty percent.', 'flite:rms')
const stops = () => messages.filter(({ kind }) => kind === 'stop-word').length

for (const gainDb of [-20, 10, 20, 30]) {
  test.serial(`a stop that comes ${gainDb} dB louder, cut off at full scale, is heard once`, async (t) => {
    for (const voice of VOICES) {
      clear()
      await hear(amplified(await synthesise('stop', voice), gainDb), silence(1))
      t.is(stops(), 1, voice)
    }
  })
}

test.serial('a stop over the voice of the box, 6 dB louder than it, is heard while the box speaks', async (t) => {
  for (const [index, voice] of VOICES.slice(1).entries()) {
    clear()
    pipeline.setSpeaking(true)
    await hear(overVoice(await synthesise('stop', voice), await own(), 6, 0.5 + 0.3 * index), silence(1))
    t.true(stops() >= 1, voice)
  }
})

test.serial('the voice of the box does not stop it', async (t) => {
  for (const sentence of [await own(), await synthesise('I did not understand that. Say confirm to arm the drive.', 'flite:rms')]) {
    await pipeline.aboutToSay(sentence)
    pipeline.setSpeaking(true)
    await hear(sentence, silence(1))
    pipeline.setSpeaking(false)
    t.is(stops(), 0)
  }
})

test.serial('a stop in noise of a tenth of its power is heard', async (t) => {
  for (const voice of VOICES) {
    clear()
    await hear(inNoise(await synthesise('stop', voice), 10, mulberry32(1)), silence(1))
    t.is(stops(), 1, voice)
  }
})

test.serial('a stop is heard with other words around it', async (t) => {
  for (const text of ['computer, stop', 'stop now', 'please stop', 'oh no, stop']) {
    clear()
    await hear(await synthesise(text, 'flite:rms'), silence(1))
    t.true(stops() >= 1, text)
  }
})

test.serial('words that sound alike do not stop', async (t) => {
  for (const text of ['start', 'top', 'shop', 'story', 'stand', 'drive forward two metres']) {
    await hear(await synthesise(text, 'flite:rms'), silence(1))
    t.is(stops(), 0, text)
  }
})

test('the rule fires once for a word, and again for the next one', (t) => {
  const rule = new StopRule()
  const fired = [0.2, 0.9, 0.95, 0.99, 0.9, ...Array<number>(12).fill(0.1), 0.9, 0.9].map((score) => rule.push(score, 0.8) !== undefined)
  t.deepEqual(fired.flatMap((isFired, index) => isFired ? [index] : []), [2, 18])
})

test('the head in the tree is the one that was measured', async (t) => {
  const bytes = await readFile(STOP_HEAD)
  t.is(createHash('sha256').update(bytes).digest('hex'), STOP_HEAD_SHA256)
  t.true(bytes.length <= 200_000)
})
