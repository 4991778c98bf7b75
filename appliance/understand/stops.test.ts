import test from 'ava'
import fc from 'fast-check'
import { Understander } from './index.ts'
import { MAX_TEXT_LENGTH } from './words.ts'

const understander = await Understander.load()
const stops = (text: string) => understander.match(text).type === 'stop'

test('a text whose first word is a stop word stops, whatever follows', (t) => {
  for (const word of ['stop', 'halt', 'freeze', 'whoa', 'abort', 'brake', 'emergency stop', 'e-stop', 'cease']) {
    for (const rest of ['', ' the wheel is caught', ', my foot!', ' turning left', ' or we hit the tree', ' – a dog',
      ' and drive back ten metres', ': person ahead', '; then back up one metre', '... please']) {
      for (const lead of ['', 'Computer, ', 'please ', 'Oh no! ', 'hey rover, ', 'okay ', 'Could you please ',
        'No, no, ', 'uh ']) {
        const text = `${lead}${word}${rest}`
        t.true(stops(text), text)
      }
    }
  }
})

test('any sentence of a text stops, however long the text, and so does the last part of one', (t) => {
  const before = 'We have driven past the old hut and the view is good from here. '.repeat(40)
  for (const text of [`${before}Halt!`, `${before}\nfreeze\n${before}`, `${before.replaceAll('.', ',')} stop!`, 'Move on a little. Abort! Abort!', 'turn right thirty degrees but stop', 'Someone fell, please stop', 'there is a cat behind you please stop', 'back up a metre, then halt', 'Anna! Stop!']) t.true(stops(text), text.slice(-60))
})

test('markup, emoji, other letters and single letters hide no stop', (t) => {
  for (const text of ['__stop__', '~~stop~~', '`stop`', '# STOP', '> stop', '<p>Stop</p>', '<strong>STOP!</strong> now',
    '🚨stop🚨', '🛑', '“Stop!”', '(stop)', '[halt]', '>>> stop <<<', 'S.T.O.P!', 's-t-o-p', 'H A L T',
    'ＳＴＯＰ', '𝗦𝗧𝗢𝗣', 's\u200Dt\u200Dop', 's̲t̲o̲p̲', 'stop | halt', 'stop;stop', 'STOP\u2014NOW', 'stop\u00A0now',
    'stopppp', '¡stop!', 'stop!1!!', '- stop', '1. stop', '/stop', '@rover stop', 'stop…!?']) t.true(stops(text), text)
})

test('what is said of a stop, forbids it, or means another one is none', (t) => {
  for (const text of ["please don't stop", "you mustn't stop", 'do not ever stop', 'we never stop', 'she shouted stop', 'They said: halt!', 'when I shout stop, the game begins', 'what is a bus stop', 'the next stop is the station', 'has it stopped', 'did the rover stop', 'how far to the stop',
    'stop signs are red', 'stop chatting', 'stop watching for the bear', 'end the watch', 'stop the egg timer',
    'stop the song', 'stop by tomorrow', 'a pit stop', 'nonstop', 'the stopwatch', 'the brakes are new',
    'a freezer']) t.false(stops(text), text)
})

test('nothing else is done or proposed for a text with a stop in it', async (t) => {
  for (const text of ['do not stop and go back two metres', 'when I say stop drive back two metres',
    'drive forward to the stop sign', 'turn left at the bus stop', 'drive two metres past the stop',
    'drive forward two metres to the stop line', 'turn ninety degrees and then maybe stop']) {
    const matched = understander.match(text)
    const { type } = matched.type ? matched : await understander.propose(text)
    t.true(type === null || type === 'stop', `${text} -> ${type}`)
  }
})

test('a text of any length is looked through in bounded time', (t) => {
  for (const part of ['a stop, ', 'x. ', 'the stop and ', 's t o p ', '<b', 'stop by later. ', 'oh god wait ', '(']) {
    const text = part.repeat(Math.ceil(2 * MAX_TEXT_LENGTH / part.length))
    const sinceMs = performance.now()
    understander.match(text)
    t.true(performance.now() - sinceMs < 5_000, part)
  }
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.constantFrom('Stop!', '\nhalt\n', '. STOP. '), (noise, stop) => {
    // What stands between quotes, tags and the like is anybody's; a sentence of its own is a stop.
    understander.match(`${noise}${stop}`)
    return stops(`${stop} ${noise.replaceAll(/[\p{L}\p{M}\p{N}<>'’]/gu, '')}`)
  }), { numRuns: 300 })
})
