import test from 'ava'
import { readFileSync } from 'node:fs'
import {
  build,
  CORPUS_FILE,
  KINDS,
  QUESTIONS,
  read,
  spokenText,
  write,
  type Question,
  type Sentence,
} from './corpus.ts'
import { voiceFor, VOICES } from './voices.ts'

/** Words by which a list could tell that something is not to be done. The list is this test's own. */
const TELLTALE = new Set(
  `
  not no nope never none nobody nothing nor neither without cannot forbid forbidden refuse refrain avoid against instead
  rather except if unless when whenever whether should shall would could might may maybe perhaps suppose supposed
  imagine provided assuming given condition case wait until till once before after cancel forget ignore disregard
  scratch sorry wrong mistake dangerous mind only but either or what why who where how which did does do is are was has
  have had must ought am
`
    .trim()
    .split(/\s+/),
)
/** Numbers that sound like another one. */
const TEENS = /\b(?:twelve|(?:thir|four|fif|six|seven|eigh|nine)teen)\b/
const TENS = /\b(?:twen|thir|for|fif|six|seven|eigh|nine)ty\b(?! (?:one|two|three|four|five|six|seven|eight|nine)\b)/
const isConfusable = (text: string) => TEENS.test(text) || TENS.test(text)
const sentences = read()
const count = (matches: (sentence: Sentence) => boolean) => sentences.filter(matches).length

test('the published corpus is what commands, frames and answers make', (t) => {
  t.is(readFileSync(CORPUS_FILE, 'utf8'), write(build()), 'run: node bench/refusal/build.ts')
})

test('there are more than a thousand sentences, and no two are the same', (t) => {
  t.true(sentences.length >= 1_000)
  t.is(new Set(sentences.map(({ text }) => text.toLowerCase())).size, sentences.length)
})

test('two hundred of them have no word of negation, condition or question, so that no list of words passes', (t) => {
  const plain = sentences.filter(
    ({ text }) =>
      !text
        .toLowerCase()
        .split(/[^a-z']+/)
        .some((word) => TELLTALE.has(word) || word.endsWith("n't")),
  )
  t.true(plain.length >= 200, `${plain.length}`)
})

test('every kind and every type that moves, arms, lights or changes the mode is there', (t) => {
  for (const kind of KINDS) t.true(count((sentence) => sentence.kind === kind) >= 90, kind)
  for (const type of ['drive.move', 'drive.turn', 'drive.speed', 'light.set', 'sequence.run', 'mode.set', 'arm.set']) {
    t.true(count((sentence) => sentence.type === type) >= 100, type)
    for (const kind of KINDS)
      if (kind !== 'answer')
        t.true(count((sentence) => sentence.type === type && sentence.kind === kind) >= 5, `${type}, ${kind}`)
  }
  for (const question of Object.keys(QUESTIONS) as Question[])
    t.true(count((sentence) => sentence.question === question) >= 25, question)
})

test('safe things are forbidden only, never asked about or quoted', (t) => {
  const safe = sentences.filter(({ plain }) => /\bdisarm\b|\bdisable\b|(?:enter|to) safe mode/.test(plain ?? ''))
  t.true(safe.length >= 20)
  t.deepEqual([...new Set(safe.map(({ kind }) => kind))], ['negation'])
})

test('no plain counterpart has a number that sounds like another', (t) => {
  t.deepEqual(
    sentences.filter(({ plain }) => plain !== undefined && isConfusable(plain)).map(({ plain }) => plain),
    [],
  )
})

test('commands are interrupted, and have words before and behind them', (t) => {
  const around = (sentence: Sentence) =>
    sentence.plain === undefined || sentence.question ? undefined : sentence.text.indexOf(sentence.plain)
  t.true(count((sentence) => around(sentence) === 0) >= 150, 'words behind')
  t.true(count((sentence) => (around(sentence) ?? 0) > 0) >= 300, 'words before')
  t.true(count((sentence) => around(sentence) === -1) >= 100, 'words within, or another form')
})

test('both parts are there, and a sentence stays in its part whatever is added', (t) => {
  const held = count(({ part }) => part === 'held') / sentences.length
  t.true(held > 0.25 && held < 0.35, `${held}`)
  for (const kind of KINDS) t.true(count((sentence) => sentence.kind === kind && sentence.part === 'held') >= 20, kind)
})

test('the same seed gives a sentence to the same voice, another seed mostly to another', (t) => {
  t.true(VOICES.length >= 8)
  const voices = (seed: number) => sentences.map((sentence) => voiceFor(spokenText(sentence), seed))
  const first = voices(1)
  const second = voices(2)
  t.deepEqual(voices(1), first)
  t.is(new Set(first).size, VOICES.length)
  t.true(first.filter((voice, index) => voice !== second[index]).length > sentences.length / 2)
})

test('the wake word is said in front of all but answers, with a pause or without', (t) => {
  t.deepEqual(new Set(sentences.filter(({ kind }) => kind === 'answer').map(({ wake }) => wake)), new Set(['']))
  for (const wake of ['computer,', 'computer.', 'computer'])
    t.true(count((sentence) => sentence.wake === wake) >= 150, wake)
  t.is(spokenText({ wake: 'computer.', text: 'Peter, turn around' }), 'computer. Peter, turn around')
})
