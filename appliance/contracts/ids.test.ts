import test from 'ava'
import { UUIDV7_PATTERN, uuidBytes, uuidFromBytes, uuidv7 } from './ids.ts'

test('ids are version 7 with the variant of RFC 9562', (t) => {
  for (let i = 0; i < 1000; i++) t.regex(uuidv7(), new RegExp(UUIDV7_PATTERN))
})

test('ids sort in the order they were made, within a millisecond, over a full counter and when the clock goes back', (t) => {
  const startMs = Date.UTC(2100, 0, 1)
  const ids: string[] = []
  for (let i = 0; i < 6000; i++) ids.push(uuidv7(startMs))
  for (let i = 0; i < 100; i++) ids.push(uuidv7(startMs - 60_000))
  ids.push(uuidv7(startMs + 60_000))
  t.deepEqual([...ids].sort(), ids)
  t.is(new Set(ids).size, ids.length)
})

test('an id begins with its milliseconds', (t) => {
  const ms = Date.UTC(2200, 0, 1)
  t.is(parseInt(uuidv7(ms).replaceAll('-', '').slice(0, 12), 16), ms)
})

test('an id survives its way through 16 bytes', (t) => {
  const id = uuidv7()
  t.is(uuidBytes(id).length, 16)
  t.is(uuidFromBytes(uuidBytes(id)), id)
})
