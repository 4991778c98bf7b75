import test from 'ava'
import { ManualClock } from '../contracts/clock.ts'
import { isHazardous } from '../contracts/intents.ts'
import { describe } from './describe.ts'
import { Dialogue, Understander } from './index.ts'

const understander = await Understander.load()
const start = (proposals = false) => {
  const clock = new ManualClock()
  const dialogue = new Dialogue({ understander, clock, answerTimeoutMs: 15_000, isHazardous, proposals })
  return { clock, dialogue, hear: (text: string, spoken = true, session = 'voice') => dialogue.hear(session, text, { spoken }) }
}

test('a complete command is submitted at once', async (t) => {
  t.deepEqual(await start().hear('drive forward two metres'), { act: 'submit', type: 'drive.move', slots: { distanceM: 2 } })
})

test('a missing slot is asked for and filled with the answer', async (t) => {
  const { hear, dialogue } = start()
  t.deepEqual(await hear('drive back'), { act: 'ask', say: 'How far?', expects: 'slot' })
  t.deepEqual(await hear('two metres'), { act: 'submit', type: 'drive.move', slots: { distanceM: -2 } })
  t.false(dialogue.isOpen('voice'))
  await hear('turn right')
  t.deepEqual(await hear('ninety'), { act: 'submit', type: 'drive.turn', slots: { angleDeg: -90 } })
  await hear('drive forward')
  t.deepEqual(await hear('uh three please'), { act: 'submit', type: 'drive.move', slots: { distanceM: 3 } })
})

test('an answer that is no number is asked for again, then given up', async (t) => {
  const { hear, dialogue } = start()
  await hear('drive forward')
  t.deepEqual(await hear('a bit'), { act: 'ask', say: 'Sorry. To drive forward: how far?', expects: 'slot' })
  t.is((await hear('to')).act, 'refuse')
  t.false(dialogue.isOpen('voice'))
})

test('text and named values are taken as answers', async (t) => {
  const { hear } = start()
  await hear('take a note')
  t.deepEqual(await hear('Turn left at the big rock.'), { act: 'submit', type: 'log.record', slots: { text: 'Turn left at the big rock.' } })
  await hear('change mode')
  t.deepEqual(await hear('maintenance'), { act: 'submit', type: 'mode.set', slots: { mode: 'maintenance' } })
  await hear('send a mail')
  t.deepEqual(await hear('base'), { act: 'ask', say: 'What shall it say?', expects: 'slot' })
  t.deepEqual(await hear('all is well'), { act: 'ask', say: 'Say confirm to send a mail to base saying: all is well.', expects: 'confirm' })
  t.is((await hear('confirm')).act, 'submit')
})

test('a hazardous request is carried out only after "confirm", however it came', async (t) => {
  const { hear } = start()
  t.deepEqual(await hear('arm the drive'), { act: 'ask', say: 'Say confirm to arm the drive.', expects: 'confirm' })
  t.deepEqual(await hear('confirm'), { act: 'submit', type: 'arm.set', slots: { armed: true }, confirmed: true })
  t.is((await hear('disarm')).act, 'submit')
  t.is((await hear('arm the drive', false)).act, 'ask')
  await hear('run the square sequence')
  t.is((await hear('what')).act, 'ask')
  t.deepEqual(await hear('well maybe'), { act: 'refuse', code: 'NOT_CONFIRMED', say: 'Not confirmed, so I did nothing.' })
})

test('a sentence put as a question is asked back about, and done after a yes', async (t) => {
  const { hear } = start()
  t.deepEqual(await hear('drive forward two metres?', false), { act: 'ask', say: 'Did you mean: drive forward 2 metres?', expects: 'choice' })
  t.deepEqual(await hear('yes', false), { act: 'submit', type: 'drive.move', slots: { distanceM: 2 } })
  await hear('drive forward two metres?', false)
  t.is((await hear('no', false)).act, 'cancelled')
  t.is((await hear('stop?', false)).act, 'submit')
})

test('an objection drops the question, and what is said after it is done instead', async (t) => {
  const { hear, dialogue } = start()
  await hear('turn left')
  t.is((await hear('no, right')).act, 'cancelled')
  t.is((await hear('ninety')).act, 'refuse')
  await hear('turn left')
  t.deepEqual(await hear('no, turn right ninety degrees'), { act: 'submit', type: 'drive.turn', slots: { angleDeg: -90 } })
  for (const text of ["don't confirm", 'not yes', 'no not that one']) {
    await hear('arm the drive')
    t.is((await hear(text)).act, 'cancelled', text)
    t.false(dialogue.isOpen('voice'))
  }
})

test('"right" and "yes?" agree to nothing', async (t) => {
  const { hear } = start()
  await hear('turn left ninety degrees?', false)
  t.is((await hear('right', false)).act, 'ask')
  await hear('arm the drive')
  t.is((await hear('yes?')).act, 'ask')
  await hear('turn left')
  t.deepEqual(await hear('right'), { act: 'ask', say: 'Sorry. To turn left: by what angle?', expects: 'slot' })
})

test('a command is no name: it replaces the question for one', async (t) => {
  const { hear } = start()
  for (const first of ['send a mail', 'run a sequence']) {
    await hear(first)
    t.deepEqual(await hear('turn left ninety degrees'), { act: 'submit', type: 'drive.turn', slots: { angleDeg: 90 } })
  }
  await hear('run a sequence')
  t.deepEqual(await hear('the triangle'), { act: 'ask', say: 'Say confirm to run the triangle sequence.', expects: 'confirm' })
})

test('what the sender has asked about already is not asked again; a guess is', async (t) => {
  const { dialogue } = start(true)
  const hear = (text: string) => dialogue.hear('console', text, { spoken: false, confirmed: true })
  t.deepEqual(await hear('please arm the drive'), { act: 'submit', type: 'arm.set', slots: { armed: true }, confirmed: true })
  t.deepEqual(await hear('arm the mottors'), { act: 'submit', type: 'arm.set', slots: { armed: true }, confirmed: true })
  t.deepEqual(await hear('drive forward one metre'), { act: 'submit', type: 'drive.move', slots: { distanceM: 1 } })
  t.deepEqual(await hear('put the drive into armed'), { act: 'ask', say: 'Did you mean: arm the drive?', expects: 'choice' })
})

test('"confirm" and "yes" mean nothing while no question is open', async (t) => {
  const { hear } = start()
  for (const text of ['confirm', 'yes', 'go ahead', 'no']) t.is((await hear(text)).act, 'refuse', text)
})

test('"cancel" and "no" drop the question; without one, cancel is a request', async (t) => {
  const { hear, dialogue } = start()
  for (const text of ['cancel', 'no', 'never mind', 'no thanks', 'cancel that']) {
    await hear('arm the drive')
    t.is((await hear(text)).act, 'cancelled', text)
    t.false(dialogue.isOpen('voice'))
  }
  t.deepEqual(await hear('cancel'), { act: 'submit', type: 'cancel', slots: {} })
})

test('a new command replaces the open question', async (t) => {
  const { hear } = start()
  await hear('drive forward')
  t.deepEqual(await hear('turn left ninety degrees'), { act: 'submit', type: 'drive.turn', slots: { angleDeg: 90 } })
  t.is((await hear('confirm')).act, 'refuse')
})

test('"stop" passes through at once, whatever is open', async (t) => {
  const { hear, dialogue } = start()
  for (const first of ['drive forward', 'arm the drive', 'take a note', 'send a mail']) {
    await hear(first)
    t.deepEqual(await hear('stop'), { act: 'submit', type: 'stop', slots: {} })
    t.false(dialogue.isOpen('voice'))
  }
})

test('a stop, said in any session or told from outside, drops the open questions of all', async (t) => {
  const { hear, dialogue } = start(true)
  const questions: [string, string][] = [
    ['run the triangle sequence', 'confirm'], ['turn right', '45 degrees'], ['drive back three metres?', 'yes'],
  ]
  for (const [first, answer] of questions) {
    for (const stop of [() => hear('halt', false, 'desk'), () => { dialogue.stop() }]) {
      t.is((await hear(first)).act, 'ask', first)
      await stop()
      t.is((await hear(answer)).act, 'refuse', `${first}: ${answer}`)
    }
  }
  const late = hear('put the drive into armed')
  dialogue.stop()
  t.is((await late).act, 'refuse')
  t.false(dialogue.isOpen('voice'))
})

test('a sign does not contradict the direction that was said', async (t) => {
  const { hear } = start()
  const contradictions: [string, string][] = [
    ['drive forward', '\u22123 m'], ['drive forward', 'minus three metres'], ['drive forward', 'three metres back'],
    ['drive back', '-1 m'], ['drive back', 'negative one'], ['drive back', 'forward three metres'],
    ['turn left', '-45'], ['turn left', 'minus thirty degrees'], ['turn left', 'right, 45 degrees'],
    ['turn right', '\u201345 degrees'], ['turn right', 'minus ten'], ['drive forward', 'a metre back'],
  ]
  for (const [first, answer] of contradictions) {
    t.is((await hear(first)).act, 'ask')
    t.like(await hear(answer), { act: 'ask', expects: 'slot' }, `${first}: ${answer}`)
  }
  await hear('drive back')
  t.deepEqual(await hear('three metres back'), { act: 'submit', type: 'drive.move', slots: { distanceM: -3 } })
  await hear('turn right')
  t.deepEqual(await hear('plus 45'), { act: 'submit', type: 'drive.turn', slots: { angleDeg: -45 } })
})

test('that the sender has asked already counts for the one sentence', async (t) => {
  const { dialogue } = start()
  const hear = (text: string, confirmed?: boolean) => dialogue.hear('console', text, { spoken: false, confirmed })
  await hear('run a sequence', true)
  t.like(await hear('triangle'), { act: 'ask', expects: 'confirm' })
  await hear('run a sequence')
  t.like(await hear('triangle', true), { act: 'submit', confirmed: true })
  await hear('arm the motors?', true)
  t.like(await hear('yes'), { act: 'ask', expects: 'confirm' })
  await hear('arm the motors?', true)
  t.like(await hear('yes', true), { act: 'submit', confirmed: true })
  await hear('run a sequence', true)
  await hear('what?', true)
  t.like(await hear('triangle'), { act: 'ask', expects: 'confirm' })
})

test('a question, or an unfinished sentence, is no answer', async (t) => {
  const { hear } = start()
  const asking = ['?', '\uFF1F', '\uFE56', '\uFE16', '\u037E', '\u061F', '?!', '?"', '? please']
  const unfinished = ['...', '\u2026', ',', ':', ' -', ' \u2014']
  const questions: [string, string][] = [
    ['drive back', 'three metres'], ['turn left', 'ten'], ['change mode', 'safe'], ['run a sequence', 'triangle'],
  ]
  for (const mark of [...asking, ...unfinished]) {
    for (const [first, answer] of questions) {
      await hear(first)
      t.is((await hear(`${answer}${mark}`)).act, 'ask', `${first}: ${answer}${mark}`)
      await hear('cancel')
    }
    await hear('arm the drive')
    t.is((await hear(`yes${mark}`)).act, 'ask', mark)
  }
  await hear('take a note')
  t.like(await hear('Is the tyre flat?'), { act: 'submit', slots: { text: 'Is the tyre flat?' } })
})

test('what is firm, and what only asks for a confirmation', async (t) => {
  const { hear } = start()
  for (const yes of ['Confirm.', '!confirm', '"Yes!"', '(confirmed)', 'yes, please', 'computer, confirm', 'Yes; do it.']) {
    await hear('arm the drive')
    t.is((await hear(yes)).act, 'submit', yes)
  }
  const unfirm = ['-yes', '\u2014 confirm', 'yes,', 'confirm :', 'do it -']
  for (const no of [...unfirm, 'please confirm', 'Computer, please confirm!', 'just confirm']) {
    await hear('arm the drive')
    t.like(await hear(no), { act: 'ask', expects: 'confirm' }, no)
  }
})

test('a number without a unit is none where nobody can know the unit', async (t) => {
  const { hear } = start()
  for (const number of ['five', '20', 'half', 'two and a half']) {
    await hear('set a timer')
    t.like(await hear(number), { act: 'ask', say: 'Sorry. To set a timer: for how long? Say the unit too.' }, number)
    t.is((await hear('half an hour')).act, 'submit')
  }
  for (const first of ['turn right', 'slow down', 'drive back']) {
    for (const number of ['a quarter', '\u00BD', 'three quarters']) {
      await hear(first)
      t.like(await hear(number), { act: 'ask', expects: 'slot' }, `${first}: ${number}`)
    }
  }
  await hear('turn right')
  t.like(await hear('half a turn'), { act: 'submit', slots: { angleDeg: -180 } })
})

test('a command without a verb may be a part of the answer: it is asked again', async (t) => {
  const { hear } = start()
  for (const first of ['set a timer', 'slow down', 'run a sequence', 'change mode']) {
    for (const answer of ['three left', '20 degrees right', 'left twenty', 'a metre ahead']) {
      await hear(first)
      t.like(await hear(answer), { act: 'ask', expects: 'slot' }, `${first}: ${answer}`)
    }
    t.is((await hear('turn right twenty degrees')).act, 'submit')
  }
})

test('what is not meant, or one of two, is no name', async (t) => {
  const { hear } = start()
  for (const answer of ['not triangle', 'triangle or circle', '- triangle', 'never the circle', "don't run triangle"]) {
    await hear('run a sequence')
    const act = await hear(answer)
    const isNone = act.act === 'cancelled' || (act.act === 'ask' && act.expects === 'slot')
    t.true(isNone, `${answer}: ${JSON.stringify(act)}`)
  }
})

test('a question times out, and a late answer does nothing', async (t) => {
  const { hear, clock, dialogue } = start()
  await hear('arm the drive')
  await clock.advance(14_999)
  t.true(dialogue.isOpen('voice'))
  await clock.advance(1)
  t.false(dialogue.isOpen('voice'))
  t.is((await hear('confirm')).act, 'refuse')
})

test('sessions do not answer for each other', async (t) => {
  const { hear, dialogue } = start()
  await hear('arm the drive', true, 'voice')
  t.is((await hear('confirm', false, 'console')).act, 'refuse')
  t.true(dialogue.isOpen('voice'))
  dialogue.stop()
  dialogue.stop()
  t.false(dialogue.isOpen('voice'))
})

test('what no template matches is proposed as a question and never acts by itself', async (t) => {
  const { hear } = start(true)
  t.deepEqual(await hear('turn ninety degrees'), { act: 'ask', say: 'Did you mean: turn left by 90 degrees?', expects: 'choice' })
  t.deepEqual(await hear('yes'), { act: 'submit', type: 'drive.turn', slots: { angleDeg: 90 } })
  await hear('turn ninety degrees')
  t.is((await hear('no')).act, 'cancelled')
  t.is((await hear('do not turn ninety degrees')).act, 'refuse')
  t.deepEqual(await hear('turn a little to the right'), { act: 'ask', say: 'Did you mean: turn right?', expects: 'choice' })
  t.deepEqual(await hear('yes'), { act: 'ask', say: 'By what angle?', expects: 'slot' })
  t.deepEqual(await hear('thirty'), { act: 'submit', type: 'drive.turn', slots: { angleDeg: -30 } })
  const hazardous = await hear('put the drive into armed')
  t.deepEqual(hazardous, { act: 'ask', say: 'Did you mean: arm the drive?', expects: 'choice' })
  t.deepEqual(await hear('yes'), { act: 'ask', say: 'Say confirm to arm the drive.', expects: 'confirm' })
})

test('requests are described in words', (t) => {
  t.is(describe('drive.move', { distanceM: 2 }), 'drive forward 2 metres')
  t.is(describe('drive.move', { distanceM: -0.5, speedMps: 1 }), 'drive back 50 centimetres at 1 metre per second')
  t.is(describe('drive.turn', { angleDeg: -1 }), 'turn right by 1 degree')
  t.is(describe('timer.set', { durationS: 5400, name: 'tea' }), 'set a timer called tea for 1 hour 30 minutes')
  t.is(describe('light.set', { on: true, brightness: 0.3 }), 'set the lights to 30 percent')
  t.is(describe('constructor', {}), 'constructor')
})
