import { readFileSync } from 'node:fs'
import test from 'ava'
import { GARBAGE, textOf, type SpeechEngine, type Transcript } from '../engine.ts'
import { decode } from '../wake.ts'
import { silence, synthesise } from '../sounds.ts'
import { ENGINES, openEngine } from './index.ts'
import { bigramArpa } from './bigram.ts'

const bytes = readFileSync('/usr/share/pocketsphinx/test/data/goforward.raw')
/** A person: "go forward ten meters". */
const GO_FORWARD = new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + (bytes.length & ~1)))
const PHRASES = ['go forward ten meters', 'go back ten meters', 'turn left', 'turn right', 'stop', 'lights on', 'help']
const plausible = (t: { true(value: boolean, message?: string): unknown }, { words }: Transcript, lengthS: number) => {
  let before = 0
  for (const { word, startS, endS, confidence } of words) {
    t.true(startS >= before - 0.05 && endS > startS && endS <= lengthS + 0.1 && confidence >= 0 && confidence <= 1.001, `${word} ${startS}–${endS} s, ${confidence}`)
    before = startS
  }
}

// The contract: what every engine must do, on the same sounds.
for (const kind of ENGINES) {
  const load = (() => { let loaded: Promise<SpeechEngine> | undefined; return () => loaded ??= kind.load({}) })()
  test.after.always(async () => { (await load()).close() })

  test.serial(`${kind.name}: a person’s command is decoded in the grammar, with times and confidences`, async (t) => {
    const recogniser = await (await load()).open({ kind: 'phrases', phrases: PHRASES, readings: 4 })
    const transcript = await decode(recogniser, GO_FORWARD)
    t.is(textOf(transcript.words), 'go forward ten meters')
    plausible(t, transcript, GO_FORWARD.length / 16_000)
    recogniser.close()
  })

  test.serial(`${kind.name}: one recogniser serves utterance after utterance, and times begin anew with each`, async (t) => {
    const recogniser = await (await load()).open({ kind: 'phrases', phrases: PHRASES })
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < GO_FORWARD.length; i += 512) await recogniser.accept(GO_FORWARD.subarray(i, i + 512))
      if ((await load()).streaming) t.regex(recogniser.partial(), /^go forward/)
      const transcript = await recogniser.final()
      t.is(textOf(transcript.words), 'go forward ten meters')
      plausible(t, transcript, GO_FORWARD.length / 16_000)
      t.is(recogniser.partial(), '')
    }
    recogniser.close()
  })

  test.serial(`${kind.name}: what was dropped does not come back`, async (t) => {
    const recogniser = await (await load()).open({ kind: 'phrases', phrases: PHRASES })
    await decodeHalf(recogniser)
    recogniser.reset()
    t.deepEqual((await recogniser.final()).words, [])
    t.is(textOf((await decode(recogniser, GO_FORWARD)).words), 'go forward ten meters')
    recogniser.close()
  })

  test.serial(`${kind.name}: other speech is garbage or no sentence of the grammar`, async (t) => {
    const recogniser = await (await load()).open({ kind: 'phrases', phrases: PHRASES })
    const { words } = await decode(recogniser, await synthesise('yesterday my grandmother bought seven yellow umbrellas', 'flite:slt'))
    t.false(PHRASES.includes(textOf(words)) && !words.some((w) => w.word === GARBAGE), textOf(words))
    recogniser.close()
  })

  test.serial(`${kind.name}: silence and nothing at all give no words`, async (t) => {
    const recogniser = await (await load()).open({ kind: 'phrases', phrases: PHRASES })
    t.deepEqual((await recogniser.final()).words, [])
    await recogniser.accept(new Int16Array(0))
    t.is(textOf((await decode(recogniser, silence(1))).words), '')
    recogniser.close()
  })

  test.serial(`${kind.name}: the open vocabulary decodes what no grammar holds`, async (t) => {
    const recogniser = await (await load()).open({ kind: 'open' })
    const { words } = await decode(recogniser, GO_FORWARD)
    t.regex(textOf(words), /forward/)
    recogniser.close()
  })

  test.serial(`${kind.name}: it knows which words it can hear`, async (t) => {
    const engine = await load()
    t.deepEqual(['computer', 'forward', 'xyzzyqux'].map((word) => engine.knows(word)), [true, true, false])
  })

  test.serial(`${kind.name}: a closed recogniser says so instead of crashing, and closing twice is fine`, async (t) => {
    const recogniser = await (await load()).open({ kind: 'phrases', phrases: PHRASES })
    recogniser.close()
    recogniser.close()
    await t.throwsAsync(async () => recogniser.accept(GO_FORWARD), { code: 'INTERNAL' })
  })
}

async function decodeHalf(recogniser: Awaited<ReturnType<SpeechEngine['open']>>) {
  await recogniser.accept(GO_FORWARD.subarray(0, GO_FORWARD.length / 2))
}

test.serial('auto takes the first engine that works', async (t) => {
  const { engine, refused } = await openEngine('auto', {})
  t.is(engine.name, process.arch === 'x64' ? 'vosk' : 'pocketsphinx')
  t.is(refused.length, process.arch === 'x64' ? 0 : 1)
  engine.close()
})

test('the bigram model is a probability distribution after every word', (t) => {
  const lines = bigramArpa(PHRASES, ['garbage_a', 'garbage_b']).split('\n')
  const uni = new Map<string, { p: number; back: number }>()
  const pairs = new Map<string, Map<string, number>>()
  for (const [a = '', b = '', c = ''] of lines.map((line) => line.split(' '))) {
    if (!/^-?\d+\.\d+$/.test(a) && a !== '-99') continue
    if (/^-?[\d.]+$/.test(c)) uni.set(b, { p: 10 ** Number(a), back: 10 ** Number(c) })
    else pairs.set(b, (pairs.get(b) ?? new Map<string, number>()).set(c, 10 ** Number(a)))
  }
  t.true(pairs.size > 5)
  for (const [history, followers] of pairs) {
    const sum = [...uni].reduce((total, [word, { p }]) => total + (followers.get(word) ?? (word === '<s>' ? 0 : p * uni.get(history)!.back)), 0)
    t.true(Math.abs(sum - 1) < 0.01, `${history}: ${sum}`)
  }
})
