import { readFileSync } from 'node:fs'
import test from 'ava'
import type { UtteranceMessage } from './messages.ts'
import { concatenate, silence, synthesise, type TestVoice } from './sounds.ts'
import { hearing } from './testing-pipeline.ts'

const GO_FORWARD = '/usr/share/pocketsphinx/test/data/goforward.raw'
/** A person, Debian's pocketsphinx-testdata: "go forward ten meters". */
function goForward(): Int16Array {
  const bytes = readFileSync(GO_FORWARD)
  return new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + (bytes.length & ~1)))
}

const { pipeline, messages, push, play, hear, clear } = await hearing()
test.after.always(() => { pipeline.close() })
test.beforeEach(() => { pipeline.reset(); pipeline.setSpeaking(false); clear() })

const say = (text: string, voice: TestVoice = 'flite:rms') => synthesise(text, voice)
const kinds = () => messages.map((message) => message.kind)
const utterances = () => messages.filter((message): message is UtteranceMessage => message.kind === 'utterance')

test.serial('wake word and command in one breath', async (t) => {
  await hear(await say('computer, drive forward two metres'))
  t.deepEqual(kinds(), ['wake', 'utterance'])
  const [heard] = utterances()
  t.is(heard!.text, 'drive forward two meters')
  t.is(heard!.how, 'command')
  const { speechStartMs, wakeMs, speechEndMs, endpointMs, transcriptMs } = heard!.timeline
  t.true(speechStartMs < wakeMs! && wakeMs! < speechEndMs && speechEndMs < endpointMs && endpointMs <= transcriptMs, JSON.stringify(heard!.timeline))
  t.true(endpointMs - speechEndMs < 300, 'a complete sentence is ended by the short silence')
})

test.serial('wake word, a pause, then a person’s command', async (t) => {
  await hear(await say('computer'), silence(1.2), goForward())
  t.deepEqual(kinds(), ['wake', 'utterance'])
  t.like(utterances()[0], { text: 'go forward ten meters', how: 'command' })
  t.truthy(utterances()[0]!.timeline.wakeMs)
})

test.serial('wake word and a person’s command with hardly a pause between them', async (t) => {
  await hear(await say('computer'), goForward())
  t.deepEqual(kinds(), ['wake', 'utterance'])
  t.like(utterances()[0], { text: 'go forward ten meters', how: 'command' })
})

test.serial('speech without the wake word is not for the box', async (t) => {
  await hear(goForward(), silence(1), await say('drive forward two metres'))
  t.deepEqual(messages, [])
})

test.serial('speech outside the grammar is rejected, not forced into a command', async (t) => {
  await hear(await say('computer'), silence(0.8), await say('yesterday my grandmother bought seven yellow umbrellas', 'flite:slt'))
  t.deepEqual(kinds(), ['wake', 'utterance'])
  t.is(utterances()[0]!.how, 'rejected')
})

test.serial('a wake word with nothing behind it ends in a timeout', async (t) => {
  await hear(await say('computer'), silence(9))
  t.deepEqual(kinds(), ['wake', 'wake-timeout'])
})

test.serial('words that sound like the wake word do not wake', async (t) => {
  for (const text of ['commuter', 'compute', 'pewter', 'the computer said so', 'my computer is broken']) {
    await hear(await say(text), silence(1))
    t.deepEqual(kinds(), [], text)
  }
})

test.serial('stop is spotted without the wake word', async (t) => {
  for (const [text, voice] of [['stop', 'flite:awb'], ['stop', 'flite:rms'], ['emergency stop', 'flite:slt']] as const) {
    clear()
    await hear(await say(text, voice), silence(1))
    t.deepEqual(kinds(), ['stop-word'], `${text}, ${voice}`)
  }
})

test.serial('start and smart are no stop', async (t) => {
  await hear(await say('start'), silence(1), await say('smart'), silence(1), await say('start', 'flite:awb'), silence(1))
  t.deepEqual(messages, [])
})

test.serial('while the box speaks only stop counts', async (t) => {
  pipeline.setSpeaking(true)
  await hear(await say('computer, drive forward two metres'), silence(1), await say('stop', 'flite:awb'), silence(1))
  t.deepEqual(kinds(), ['stop-word'])
})

test.serial('after a question the answer needs no wake word, and only for the time given', async (t) => {
  pipeline.expectAnswer(5_000)
  await hear(silence(0.5), await say('confirm'))
  t.like(utterances()[0], { text: 'confirm', how: 'command' })
  pipeline.expectAnswer(1_000)
  clear()
  await hear(silence(1.5), await say('confirm'))
  t.deepEqual(messages, [])
})

test.serial('an answer is heard when it comes right after the box has spoken', async (t) => {
  pipeline.expectAnswer(2_000)
  pipeline.setSpeaking(true)
  await play(silence(0.4), await say('do you mean drive forward two metres', 'flite:slt'))
  pipeline.setSpeaking(false)
  await play(silence(0.1))
  await hear(await say('confirm'))
  t.deepEqual(utterances().map(({ text, how }) => ({ text, how })), [{ text: 'confirm', how: 'command' }])
})

test.serial('what follows "log" is decoded with the open vocabulary', async (t) => {
  await hear(await say('computer, log the bearing sounds rough on the left side', 'flite:rms'))
  const [heard] = utterances()
  t.is(heard?.how, 'free')
  t.regex(heard!.text, /^log .*rough on the left side$/)
})

test.serial('noise, clipping, zeros and odd pieces neither crash nor wake', async (t) => {
  let seed = 7
  const random = () => (seed = (seed * 1_664_525 + 1_013_904_223) >>> 0) / 2 ** 32
  const noise = (seconds: number, amplitude: number) => Int16Array.from({ length: seconds * 16_000 }, () => (random() - 0.5) * 2 * amplitude)
  const square = Int16Array.from({ length: 32_000 }, (_, i) => i % 80 < 40 ? 32_767 : -32_768)
  for (const samples of [silence(2), noise(3, 300), noise(3, 32_767), square]) {
    for (let i = 0; i < samples.length;) {
      const n = 1 + Math.floor(random() * 1_500)
      const piece = samples.subarray(i, i + n)
      i += n
      await push(piece)
    }
  }
  await push(new Int16Array(0))
  await hear(silence(0.5))
  t.deepEqual(messages.filter(({ kind }) => kind !== 'log'), [])
  await hear(await say('computer, turn left ninety degrees', 'flite:awb'))
  t.is(utterances()[0]?.text, 'turn left ninety degrees', 'it hears as before')
})

test.serial('pieces of any length give the same as whole frames', async (t) => {
  const audio = concatenate([silence(0.4), await say('computer, drive forward two metres'), silence(1.5)])
  for (let i = 0; i < audio.length; i += 777) {
    const piece = audio.subarray(i, i + 777)
    void push(piece)
  }
  await pipeline.flush()
  t.is(utterances()[0]?.text, 'drive forward two meters', 'also when nobody waits for the one before')
})

test.serial('memory does not grow with utterances', async (t) => {
  const audio = await say('computer, drive forward two metres')
  const rounds = async (n: number) => { for (let i = 0; i < n; i++) { await hear(audio); clear() } }
  await rounds(8)
  const before = process.memoryUsage.rss()
  await rounds(20)
  const grownMB = (process.memoryUsage.rss() - before) / 1e6
  t.true(grownMB < 25, `${grownMB.toFixed(1)} MB over 20 utterances`)
})


test.serial('a wake message tells how loud the word was, the same sound at half the height 6 dB less', async (t) => {
  const sound = await say('computer, drive forward two metres')
  await hear(sound)
  await hear(sound.map((sample) => sample / 2))
  const [loud, soft] = messages.filter((message) => message.kind === 'wake').map(({ levelDb }) => levelDb)
  t.true(loud! < 0 && loud! > -40, `${loud}`)
  t.true(Math.abs(loud! - soft! - 6.02) < 0.5, `${loud} and ${soft}`)
})

test.serial('of what is to be forgotten only a command is told, and the next wake word counts again', async (t) => {
  const sound = await say('computer, drive forward two metres'), talk = await say('computer, whatever the weather may bring tomorrow')
  await play(silence(0.4), sound.subarray(0, 16_000 * 1.3))
  t.deepEqual(kinds(), ['wake'])
  pipeline.forget()
  await play(sound.subarray(16_000 * 1.3))
  await pipeline.flush()
  t.deepEqual(kinds(), ['wake', 'utterance'])
  t.true(utterances()[0]!.timeline.wakeMs! > 0, 'it is known what it belongs to')
  clear()
  await play(silence(0.4), talk.subarray(0, 16_000 * 1.3))
  t.deepEqual(kinds(), ['wake'])
  pipeline.forget()
  await play(talk.subarray(16_000 * 1.3))
  await pipeline.flush()
  t.deepEqual(kinds(), ['wake'])
  await hear(sound)
  t.deepEqual(kinds(), ['wake', 'wake', 'utterance'])
})

test.serial('nor is a command that comes after a pause, and no timeout is told of it', async (t) => {
  await hear(await say('computer'), silence(1.2))
  pipeline.forget()
  await hear(goForward(), silence(9))
  t.deepEqual(kinds(), ['wake'])
})
