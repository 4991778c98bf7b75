import test from 'ava'
import { isConsequential } from './caution.ts'
import { Understander } from './index.ts'

const understander = await Understander.load()

/**
 * Sentences that hold a command and command nothing: forbidden, conditional, reported, quoted, wished for, past, or put
 * off.
 */
const TAKEN_BACK = [
  "don't reverse half a metre", 'do not back up one metre', 'never advance four metres',
  'you must not move forward a metre', 'please do not roll back ten feet',
  'advance one metre? No!', 'advance one metre. Not.', 'back up one metre, not', 'reverse a metre — only joking',
  'go forward ten metres, just kidding',
  'go forward three metres in five minutes', 'in an hour drive forward a metre', 'back up two metres this evening',
  'drive back one metre tomorrow morning', 'advance two metres later',
  'drive forward two metres when the door opens', 'once I am clear, reverse one metre',
  'if it is safe drive forward five metres', 'unless I object, advance one metre',
  'when I clap, turn left ninety degrees',
  'she said reverse one metre', 'the instructions say drive forward ten metres',
  'he wants you to drive forward two metres', 'they ordered it to turn right ninety degrees',
  'my boss told me to turn around',
  '"advance two metres" is what it says', 'the sign reads drive forward two metres',
  'drive forward two metres, says the book', 'quote drive forward two metres unquote',
  'the command is called drive forward two metres',
  'imagine you turn left ninety degrees', 'suppose we back up one metre', 'what if you advance one metre',
  'should you turn left ninety degrees', 'would it be wise to drive forward one metre',
  'I wonder whether to turn right ninety degrees', 'maybe turn left ninety degrees', 'perhaps reverse one metre',
  'I would rather drive forward one metre', 'did you drive forward two metres',
  'you drove forward two metres', 'we were going to turn left ninety degrees', 'why did it turn left ninety degrees',
  'how do I drive forward two metres', 'have you turned left ninety degrees',
  'turn left ninety degrees instead of right', 'turn left ninety degrees or thirty',
  'do anything but turn left ninety degrees', 'anything except reverse one metre', 'cancel drive forward two metres',
  'forget turn left ninety degrees', 'ignore drive forward two metres', 'no more turn left ninety degrees',
  'avoid turning left ninety degrees', 'refrain from backing up one metre',
  "don't set the speed to one metre per second", 'never set the travel speed to half a metre per second',
  'he set the speed to one metre per second', 'if I set the speed to one metre per second',
  'set the speed to one metre per second tomorrow',
  "don't switch the lights on", 'do not turn off the headlights', 'lights on? no',
  'never dim the lights to ten percent', 'he turned the lights off', 'turn on the lights at midnight',
  'turn off the lights when I leave', 'if it gets dark turn on the lights', 'why turn the lights on',
  'she asked for lights on', 'turn the lights on in ten minutes', "lights off — I'm joking",
  'leave the lights off tonight',
  "don't arm the motors", 'never arm the rover', 'arm the drive tomorrow', 'arm the drive if he agrees',
  'he will arm the drive', 'they said arm the drive', 'is it wise to arm the drive', 'when do we arm the drive',
  "don't unlock the wheels", 'disarm? no, not yet', 'do not disarm the drive', 'never lock the wheels',
  'the drive was disarmed', 'why disarm the drive',
  "don't exit safe mode", 'never leave maintenance mode', 'do not switch to normal mode', 'he said normal mode',
  'safe mode is not needed', 'switch to normal mode in an hour', 'if it fails switch to safe mode',
  'go to maintenance mode later', 'the manual says safe mode', 'imagine normal mode', 'normal mode? never',
  "don't run the square", 'never run the square sequence', 'run the square sequence tomorrow',
  'if I say so run the square', 'he ran the square sequence', 'run the square in ten minutes',
  'the label says run square',
  'should I run the square sequence', 'do not drive a square', 'suppose you drive a square',
]

test('nothing is done, and nothing that moves proposed, where a command is taken back', async (t) => {
  t.true(TAKEN_BACK.length >= 100, `${TAKEN_BACK.length}`)
  for (const text of TAKEN_BACK) {
    const matched = understander.match(text)
    t.not(matched.by, 'template', `${text} -> ${matched.type} ${JSON.stringify(matched.slots)}`)
    const { type, question } = matched.type ? matched : await understander.propose(text)
    t.false(type !== null && isConsequential(type), `${text} -> ${type}: ${question}?`)
  }
})

test('the same with other words around commands of every kind', async (t) => {
  const commands = understander.catalogue.tests.filter(({ type, say }) => isConsequential(type) && type !== 'stop' && type !== 'mail.send' && !say.includes('?')).filter((_, at) => at % 4 === 0)
  const wrap = [
    (s: string) => `my colleague said ${s}`, (s: string) => `when you are told to ${s}`,
    (s: string) => `${s} next week`, (s: string) => `${s} after lunch`, (s: string) => `I did not say ${s}`,
    (s: string) => `the script says: ${s}`, (s: string) => `${s}. Never!`, (s: string) => `pretend that you ${s}`,
    (s: string) => `they want to ${s}`, (s: string) => `unless it rains ${s}`, (s: string) => `${s}, or else`,
  ]
  for (const { say } of commands) {
    for (const form of wrap) {
      const text = form(say)
      const { by, type } = understander.match(text)
      t.false(by === 'template' && isConsequential(type!), `${text} -> ${type}`)
    }
  }
})
