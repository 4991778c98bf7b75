import test from 'ava'
import { linesOf, ranked, sameWords, shuffled } from './text.ts'

test('the same words are the same with and without articles, and metre is meter', (t) => {
  t.true(sameWords('Computer, run the square sequence', 'computer run square sequence'))
  t.true(sameWords('drive forward two metres', 'drive forward two meters'))
  t.false(sameWords('drive forward two metres', 'drive forward three meters'))
  t.false(sameWords('arm the drive', ''))
})

test('the key alone decides the order, also when something is added to the list', (t) => {
  const order = ranked(['a', 'b', 'c', 'd'], 'key', (item) => item)
  t.deepEqual(
    ranked(['d', 'c', 'b', 'a'], 'key', (item) => item),
    order,
  )
  t.deepEqual(
    ranked(['a', 'b', 'c', 'd', 'e'], 'key', (item) => item).filter((item) => item !== 'e'),
    order,
  )
})

test('shuffling keeps every item', (t) => {
  t.deepEqual(
    shuffled([1, 2, 3], () => 0.99),
    [3, 2, 1],
  )
})

test('comments and empty lines are no lines', (t) => {
  t.deepEqual(linesOf('# head\n\nfirst\nsecond\n'), ['first', 'second'])
})
