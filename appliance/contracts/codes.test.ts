import test from 'ava'
import { CODES, isCode } from './codes.ts'
import { MtorError, toMtorError } from './errors.ts'

test('every code has a sentence that can be said aloud and a hint that can be acted on', (t) => {
  for (const [code, { say, hint }] of Object.entries(CODES)) {
    t.regex(code, /^[A-Z][A-Z_]*$/)
    // A voice reads no brackets, slashes or code names, and an operator hears no lecture.
    t.regex(say, /^[A-Z][A-Za-z0-9 ,.'-]{3,80}[.]$/, code)
    t.regex(hint, /^[A-Z].{8,}$/, code)
  }
})

test('no two codes are told apart only by their hint', (t) => {
  const sentences = Object.values(CODES).map(({ say }) => say)
  t.is(new Set(sentences).size, sentences.length)
})

test('names of Object.prototype are no codes', (t) => {
  t.true(isCode('EXPIRED'))
  for (const name of ['toString', 'constructor', '__proto__', 'expired', '', undefined, 7]) t.false(isCode(name))
})

test('an error brings the sentence and hint of its code, unless it knows better', (t) => {
  const plain = new MtorError('NOT_FITTED', 'no camera: expected one in devices, got none')
  t.is(plain.say, CODES.NOT_FITTED.say)
  t.is(plain.hint, CODES.NOT_FITTED.hint)
  const better = new MtorError('NOT_FITTED', 'no camera', { say: 'No camera is fitted.', hint: 'Plug one in.' })
  t.is(better.say, 'No camera is fitted.')
  t.deepEqual(JSON.parse(JSON.stringify(better)), { code: 'NOT_FITTED', message: 'no camera', hint: 'Plug one in.' })
})

test('whatever is thrown becomes a coded error that keeps its cause', (t) => {
  const own = new MtorError('BUSY', 'full')
  t.is(toMtorError(own), own)
  const cause = new RangeError('too far')
  t.is(toMtorError(cause, 'DEVICE_REFUSED').code, 'DEVICE_REFUSED')
  t.is(toMtorError(cause).cause, cause)
  t.is(toMtorError(Object.assign(cause, { code: 'STALLED' })).code, 'STALLED')
  t.is(toMtorError(Object.assign(cause, { code: 'ENOENT' })).code, 'INTERNAL')
  t.is(toMtorError('text').message, 'text')
})
