import test from 'ava'
import type { AnswerKind } from '../contracts/intents.ts'
import { answerOf } from './answers.ts'

test('to a question of a program too, a question or an unfinished sentence is no answer', (t) => {
  const answers: [AnswerKind, string][] = [
    ['length', 'four metres'], ['count', 'seven'], ['choice', 'the blue one'], ['yes-no', 'yeah'], ['confirm', 'go ahead'],
  ]
  for (const [kind, text] of answers) {
    const answer = (said: string) => answerOf({ kind, values: ['blue'] }, said)
    t.not(answer(text), undefined, text)
    t.not(answer(`${text}!`), undefined, text)
    for (const mark of ['?', '\uFF1F', '\uFE56.', '\uFE16', '\u037E', ' \u2026', ',', ' \u2013']) {
      t.is(answer(`${text}${mark}`), undefined, `${text}${mark}`)
    }
  }
  t.is(answerOf({ kind: 'text' }, 'Who is there?'), 'Who is there?')
  t.is(answerOf({ kind: 'confirm' }, 'please confirm'), undefined)
  t.is(answerOf({ kind: 'confirm' }, 'yes please'), true)
})

test('a number alone is no time, and a part alone no angle, length or speed', (t) => {
  t.is(answerOf({ kind: 'duration' }, 'fifteen'), undefined)
  t.is(answerOf({ kind: 'duration' }, 'fifteen minutes'), 900)
  for (const kind of ['angle', 'length', 'speed'] as const) {
    t.is(answerOf({ kind }, 'a third'), undefined, kind)
    t.is(answerOf({ kind }, 'one point five'), 1.5, kind)
  }
  t.is(answerOf({ kind: 'fraction' }, 'half'), 0.5)
  t.is(answerOf({ kind: 'angle' }, 'minus twenty'), -20)
})
