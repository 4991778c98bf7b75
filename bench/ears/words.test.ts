import test from 'ava'
import { wordErrors, wordsOf } from './words.ts'

test('two ways of writing the same are the same words', (t) => {
  t.deepEqual(wordsOf('Go forward 10 meters.'), wordsOf('go forward ten metres'))
  t.deepEqual(wordsOf('Mr. Dashwood: 90%, at 2.5 m — 1,217 cold-hearted people'), ['mister', 'dashwood', 'ninety', 'percent', 'at', 'two', 'point', 'five', 'm', 'one', 'thousand', 'two', 'hundred', 'seventeen', 'cold', 'hearted', 'people'])
  t.deepEqual(wordsOf('…'), [])
})

test('errors are words replaced, left out and put in', (t) => {
  t.is(wordErrors(['a', 'b', 'c'], ['a', 'b', 'c']), 0)
  t.is(wordErrors(['a', 'b', 'c'], ['a', 'x', 'c', 'd']), 2)
  t.is(wordErrors(['a', 'b'], []), 2)
  t.is(wordErrors([], ['a']), 1)
})
