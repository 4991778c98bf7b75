import test from 'ava'
import { Understander } from './index.ts'

const understander = await Understander.load()
const typeOf = (text: string) => understander.match(text).type

test('a sentence that ends with the word stops, whatever stands before it', (t) => {
  const stops = [
    'roll back one metre stop', 'she is behind you stop', 'bloody stop', 'when you can read this, halt', 'as I said before, stop',
    'Ann said halt, so halt!', 'I am begging you to stop', 'do not fall off stop the rover', 'n-n-no, s-stop', 'stop the wheels and the alarm',
    'set a timer for an hour called bread. Halt!', 'switch the engine off', 'pull the brakes', 'do not carry on',
  ]
  for (const text of stops) t.is(typeOf(text), 'stop', text)
})

test('what is forbidden, reported, asked about or a thing is none', (t) => {
  const others = [
    'they will never stop', 'please do not ever stop', 'Ann shouted: halt.', 'where does the tram stop', 'did the music stop', 'this is the last stop',
    'she asked me to stop', 'there is no reason to stop', 'do you ever halt',
  ]
  for (const text of others) t.not(typeOf(text), 'stop', text)
})

test('a name of a timer has no commands in it and ends with its sentence', (t) => {
  t.not(typeOf('ten minutes delete the timer'), 'timer.set')
  t.deepEqual(understander.match('set a timer for ten minutes called green tea').slots, { durationS: 600, name: 'green tea' })
})

test('a number that may be missing, or of another sentence, is asked about', (t) => {
  for (const text of ['move back for metres', 'set the speed to metres per second', 'drive forward. 3 metres', 'three right', 'go back one metre? well']) {
    t.not(understander.match(text).by, 'template', text)
  }
  t.is(understander.match('move back ,25 m').by, null)
})
