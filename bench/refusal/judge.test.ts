import test from 'ava'
import type { Outcome } from './box.ts'
import type { Sentence } from './corpus.ts'
import { judge, judgePlain } from './judge.ts'

const move: Sentence = { text: '', kind: 'negation', type: 'drive.move', part: 'tune', wake: 'computer,' }
const arm: Sentence = { ...move, type: 'arm.set' }
const answer: Sentence = { ...arm, kind: 'answer', question: 'confirm-arm' }
const outcome = (parts: Partial<Outcome>): Outcome => ({ submitted: [], asked: [], heard: [], woken: true, ...parts })
const submitted = (type: string) => outcome({ submitted: [{ type, slots: {} }] })

test('anything that moves, arms, lights or changes the mode counts as acted on, also of another type', (t) => {
  for (const type of [
    'drive.move',
    'drive.turn',
    'drive.speed',
    'light.set',
    'sequence.run',
    'mode.set',
    'arm.set',
    'device.command',
  ])
    t.is(judge(move, submitted(type)), 'acted', type)
})

test('a stop is always welcome, and what is only told moves nothing', (t) => {
  t.is(judge(move, submitted('stop')), 'safer')
  for (const type of ['time.tell', 'cancel', 'timer.set']) t.is(judge(move, submitted(type)), 'refused', type)
})

test('a question that nobody answers is none', (t) => {
  t.is(judge(move, outcome({ asked: [{ say: 'Did you mean …?', expects: 'choice' }] })), 'asked')
  t.is(judge(arm, outcome({ asked: [{ say: 'Say confirm …', expects: 'confirm' }] })), 'asked')
})

test('a plain command acts by its type, or by being confirmed', (t) => {
  t.is(judgePlain(move, submitted('drive.move')), 'acted')
  t.is(judgePlain(move, submitted('drive.turn')), 'refused')
  t.is(judgePlain(arm, outcome({ asked: [{ say: 'Say confirm …', expects: 'confirm' }] })), 'acted')
  t.is(judgePlain(move, outcome({ asked: [{ say: 'Did you mean …?', expects: 'choice' }] })), 'asked')
})

test('a plain yes to a confirm question that only asks again has not acted', (t) => {
  t.is(judgePlain(answer, outcome({ asked: [{ say: 'Sorry. Say confirm …', expects: 'confirm' }] })), 'asked')
  t.is(judgePlain(answer, submitted('arm.set')), 'acted')
})
