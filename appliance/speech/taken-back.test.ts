import test from 'ava'
import type { FromSpeech, UtteranceMessage } from './messages.ts'
import { confusable } from './number-check.ts'
import { silence, synthesise, type TestVoice } from './sounds.ts'
import { hearing } from './testing-pipeline.ts'

const { pipeline, hear, clear } = await hearing()
test.after.always(() => { pipeline.close() })
test.beforeEach(() => {
  pipeline.reset()
  clear()
})

const utterances = (messages: readonly FromSpeech[]) => messages.filter((message): message is UtteranceMessage => message.kind === 'utterance')
/** True where a sentence came through as a command without a doubt. */
const isPlain = (messages: readonly FromSpeech[]) => utterances(messages).some(({ how, doubt }) => how === 'command' && doubt === undefined)

for (const [voice, text] of [
  ['flite:rms', 'computer, nobody roll back one meter'], ['flite:slt', 'computer, grandfather would often say turn around'],
  ['flite:awb', 'computer, on Sunday reverse half a meter'], ['flite:kal16', 'computer, Susan, turn left ten degrees'],
  ['flite:rms', 'computer, turn off the lights when we are gone'], ['flite:slt', 'computer, leave safe mode, was her answer'],
  ['flite:awb', 'computer, on page seven, arm the drive'], ['flite:rms', 'computer, advance six meters at your peril'],
] as [TestVoice, string][]) {
  test.serial(`what stands beside a command takes it back or is asked about: ${voice} “${text}”`, async (t) => {
    const messages = await hear(await synthesise(text, voice))
    t.true(messages.some(({ kind }) => kind === 'wake'))
    t.false(isPlain(messages), JSON.stringify(messages))
  })
}

for (const [voice, text] of [
  ['flite:rms', 'computer, roll back one meter'], ['flite:slt', 'computer, turn around'], ['flite:awb', 'computer, reverse half a meter'],
  ['flite:kal16', 'computer, turn left twenty degrees'], ['flite:rms', 'computer, turn off the lights'], ['flite:slt', 'computer, leave safe mode'],
] as [TestVoice, string][]) {
  test.serial(`the command alone is plain: ${voice} “${text}”`, async (t) => {
    const messages = await hear(await synthesise(text, voice))
    t.true(isPlain(messages), JSON.stringify(messages))
  })
}

test.serial('an answer with a word before it is doubted', async (t) => {
  pipeline.expectAnswer(8_000)
  const plain = await hear(await synthesise('confirm', 'flite:rms'))
  t.true(isPlain(plain), JSON.stringify(plain))
  clear()
  pipeline.expectAnswer(8_000)
  const taken = await hear(await synthesise('they would never confirm', 'flite:rms'))
  t.false(isPlain(taken), JSON.stringify(taken))
})

test('teens and tens may be each other, other numbers not', (t) => {
  t.is(confusable('turn left seventeen degrees'), 'teen')
  t.is(confusable('drive forward one hundred and seventy meters'), 'ten')
  t.is(confusable('drive forward seventy two meters'), undefined)
  t.is(confusable('drive forward twenty meters'), undefined)
})

test.serial('a number waits for its unit over a pause', async (t) => {
  const [heard] = utterances(await hear(await synthesise('computer, turn left one hundred', 'flite:slt'), silence(0.4), await synthesise('and twenty degrees', 'flite:slt')))
  t.is(heard?.text, 'turn left one hundred and twenty degrees')
})

test.serial('right after a command an objection needs no wake word', async (t) => {
  const messages = await hear(await synthesise('computer, move back two meters', 'flite:rms'), silence(0.3), await synthesise('no, wait', 'flite:rms'))
  t.deepEqual(messages.map(({ kind }) => kind), ['wake', 'utterance', 'objection'])
})

test.serial('later, or with other words, it does', async (t) => {
  const later = await hear(await synthesise('computer, move back two meters', 'flite:rms'), silence(3), await synthesise('never mind', 'flite:rms'))
  t.deepEqual(later.map(({ kind }) => kind), ['wake', 'utterance'])
  clear()
  const other = await hear(await synthesise('computer, move back two meters', 'flite:slt'), silence(0.3), await synthesise('good morning everybody', 'flite:slt'))
  t.deepEqual(other.map(({ kind }) => kind), ['wake', 'utterance'])
})
