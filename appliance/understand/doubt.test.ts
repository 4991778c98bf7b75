import test from 'ava'
import { ManualClock } from '../contracts/clock.ts'
import { isHazardous } from '../contracts/intents.ts'
import { Dialogue, Understander, type Doubt } from './index.ts'

const understander = await Understander.load()
const SOUND: Doubt = { reason: 'sound' }
const words = (heard: string): Doubt => ({ reason: 'words', heard })

function start() {
  const clock = new ManualClock()
  const dialogue = new Dialogue({ understander, clock, answerTimeoutMs: 15_000, isHazardous, proposals: false, readBack: { distanceM: 50, angleDeg: 180 } })
  return { clock, dialogue, hear: (text: string, doubt?: Doubt, spoken = true) => dialogue.hear('voice', text, { spoken, doubt }) }
}

test('what moves is asked back where there is a doubt, and done only after a clear yes', async (t) => {
  for (const doubt of [SOUND, { reason: 'number' } as const, words('reverse a metre near the table')]) {
    const { hear } = start()
    t.deepEqual(await hear('reverse one metre', doubt), { act: 'ask', say: 'Did you say: drive back 1 metre?', expects: 'choice' })
    t.deepEqual(await hear('yes'), { act: 'submit', type: 'drive.move', slots: { distanceM: -1 } })
  }
  const { hear } = start()
  t.is((await hear('lights on', SOUND)).act, 'ask')
  t.is((await hear('no')).act, 'cancelled')
  for (const answer of ['yes?', 'yes …', 'yes, no', 'yes but slowly', 'no way', 'never', 'do it not', "don't do it",
    'negative', 'not now', 'hm', 'reverse']) {
    await hear('turn left forty degrees', SOUND)
    t.not((await hear(answer)).act, 'submit', answer)
  }
})

test('silence is no', async (t) => {
  const { hear, clock } = start()
  await hear('turn left forty degrees', SOUND)
  await clock.advance(15_000)
  t.is((await hear('yes')).act, 'refuse')
})

test('what is hazardous is confirmed after the doubt is settled', async (t) => {
  const { hear } = start()
  t.deepEqual(await hear('run the square', SOUND), { act: 'ask', say: 'Did you say: run the square sequence?', expects: 'choice' })
  t.deepEqual(await hear('correct'), { act: 'ask', say: 'Say confirm to run the square sequence.', expects: 'confirm' })
  t.deepEqual(await hear('confirm'), { act: 'submit', type: 'sequence.run', slots: { name: 'square' }, confirmed: true })
})

test('a doubt is asked about also where the sender has asked for a confirmation', async (t) => {
  const { dialogue } = start()
  const hear = (text: string, doubt?: Doubt) => dialogue.hear('app', text, { spoken: false, doubt, confirmed: true })
  t.deepEqual(await hear('arm the motors', SOUND), { act: 'ask', say: 'Did you say: arm the drive?', expects: 'choice' })
  t.deepEqual(await hear('yes'), { act: 'submit', type: 'arm.set', slots: { armed: true }, confirmed: true })
})

test('words that take a command back end it without a question', async (t) => {
  for (const heard of ["don't reverse one metre", 'if he comes reverse one metre', 'she said reverse one metre',
    'reverse one metre tomorrow', 'reverse one metre in five minutes', 'imagine reverse one metre',
    'tell them reverse one metre', 'reverse one metre no cancel that', 'the label reads reverse one metre',
    'did it reverse one metre']) {
    const { hear, dialogue } = start()
    t.like(await hear('reverse one metre', words(heard)), { act: 'refuse', code: 'NOT_MEANT' }, heard)
    t.false(dialogue.isOpen('voice'))
  }
})

test('what makes safer is done in spite of a doubt, unless it was forbidden', async (t) => {
  const { hear } = start()
  for (const [text, type] of [['disarm the motors', 'arm.set'], ['safe mode', 'mode.set'], ['stop', 'stop'],
    ['stop the rover', 'stop']] as const) {
    for (const doubt of [SOUND, words(`he said ${text} tomorrow`), words('something else entirely')]) t.like(await hear(text, doubt), { act: 'submit', type })
    t.like(await hear(text, words(`do not ${text}`)), { act: 'refuse', code: 'NOT_MEANT' }, text)
  }
  t.like(await hear('stop', words('no no stop')), { act: 'submit', type: 'stop' })
})

test('what moves nothing is done in spite of a doubt; a change that was forbidden is not', async (t) => {
  const { hear } = start()
  for (const text of ['what time is it', 'set a timer for ten minutes', 'take a picture', 'note that the hatch is open',
    'cancel the timer']) t.is((await hear(text, SOUND)).act, 'submit', text)
  for (const text of ['set a timer for ten minutes', 'take a picture', 'cancel the timer',
    'watch for dogs']) t.like(await hear(text, words(`never ${text}`)), { act: 'refuse', code: 'NOT_MEANT' }, text)
  for (const text of ['what time is it', 'list the timers', 'how is the battery']) t.is((await hear(text,
    words(`not ${text}`))).act, 'submit', text)
  t.is((await hear("don't watch for cats any more", words("don't watch for cats any more"))).act, 'submit')
  t.is((await hear('note that the hatch is open', words('note that the hatch is not open'))).act, 'submit')
})

test('an answer in doubt is no yes; a no always is one', async (t) => {
  const { hear } = start()
  await hear('arm the rover')
  t.like(await hear('confirm', SOUND), { act: 'ask', expects: 'confirm' })
  t.is((await hear('confirm', words('not confirm'))).act, 'refuse')
  await hear('arm the rover')
  t.is((await hear('no', words('no go'))).act, 'cancelled')
  await hear('turn left forty degrees', SOUND)
  t.is((await hear('yes', { reason: 'sound' })).act, 'ask')
  t.is((await hear('yes')).act, 'submit')
})

test('a doubt stays with the request while it is completed', async (t) => {
  const { hear } = start()
  t.is((await hear('turn right', SOUND)).act, 'ask')
  t.deepEqual(await hear('forty'), { act: 'ask', say: 'Did you say: turn right by 40 degrees?', expects: 'choice' })
  t.deepEqual(await hear('yes'), { act: 'submit', type: 'drive.turn', slots: { angleDeg: -40 } })
  await hear('drive back')
  t.deepEqual(await hear('three metres', { reason: 'number' }), { act: 'ask', say: 'Did you say: drive back 3 metres?', expects: 'choice' })
  t.is((await hear('no')).act, 'cancelled')
  await hear('drive back')
  t.like(await hear('three metres', words('not three metres')), { act: 'ask', expects: 'slot' })
})

test('spoken numbers beyond what is usual are read back, typed ones are not', async (t) => {
  const { hear } = start()
  t.deepEqual(await hear('drive forward sixty metres'), { act: 'ask', say: 'Did you say: drive forward 60 metres?', expects: 'choice' })
  t.deepEqual(await hear('yes'), { act: 'submit', type: 'drive.move', slots: { distanceM: 60 } })
  t.is((await hear('turn right two hundred degrees')).act, 'ask')
  t.is((await hear('no')).act, 'cancelled')
  t.is((await hear('drive back fifty metres')).act, 'submit')
  await hear('drive back')
  t.like(await hear('eighty metres'), { act: 'ask', say: 'Did you say: drive back 80 metres?' })
  await hear('no')
  t.is((await hear('drive forward sixty metres', undefined, false)).act, 'submit')
})

test('an answer is a number with its unit, also where the unit looks like a filler', async (t) => {
  const { hear } = start()
  await hear('drive back', undefined, false)
  t.deepEqual(await hear('thirty mm', undefined, false), { act: 'submit', type: 'drive.move', slots: { distanceM: -0.03 } })
  await hear('drive back', undefined, false)
  t.is((await hear('– 3 metres', undefined, false)).act, 'ask')
  await hear('drive forward', undefined, false)
  t.is((await hear('twenty. Six metres', undefined, false)).act, 'ask')
})
