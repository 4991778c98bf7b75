import test from 'ava'
import { MAX_WINDOW_BYTES, MIN_WINDOW_BYTES, SendWindow } from './window.ts'

/** A window that is filled before every beat. */
const used = (window: SendWindow, rttMs: number, times = 1) => { for (let i = 0; i < times; i++) { window.isFull(window.bytes); window.measured(rttMs) } }

test('the window begins small, opens while it is used, and closes while beats are held up', (t) => {
  const window = new SendWindow()
  t.is(window.bytes, MIN_WINDOW_BYTES)
  t.true(window.isFull(MIN_WINDOW_BYTES))
  t.false(window.isFull(MIN_WINDOW_BYTES - 1))
  used(window, 5, 20)
  t.is(window.bytes, MAX_WINDOW_BYTES)
  for (const expected of [32, 16, 8, 8]) { used(window, 300); t.is(window.bytes, expected * 1024) }
  used(window, 15, 20)
  t.is(window.bytes, MAX_WINDOW_BYTES)
})

test('a quiet link proves nothing: the window stays as it is', (t) => {
  const window = new SendWindow()
  for (let i = 0; i < 20; i++) window.measured(1)
  t.is(window.bytes, MIN_WINDOW_BYTES)
})

test('a link that is slow by nature is not taken for one that we fill', (t) => {
  const window = new SendWindow()
  for (let i = 0; i < 10; i++) used(window, 400 + i)
  t.is(window.bytes, MAX_WINDOW_BYTES)
})
