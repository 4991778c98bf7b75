import test from 'ava'
import fc from 'fast-check'
import { MtorError } from '../contracts/errors.ts'
import { Understander } from './index.ts'
import { parseNumber } from './numbers.ts'
import { parseQuantity, quantityAnswer, type Quantity } from './quantities.ts'
import { tokenize } from './words.ts'

const understander = await Understander.load({ sequences: ['square', 'figure eight'] })
const number = (text: string) => { const tokens = tokenize(text); const found = parseNumber(tokens, 0); return found?.end === tokens.length ? found.value : undefined }
const quantity = (kind: Quantity, text: string) => { const tokens = tokenize(text); return parseQuantity(kind, tokens, 0).find(({ end }) => end === tokens.length)?.value }

test('numbers in words are numbers', (t) => {
  const cases: [string, number][] = [['two', 2], ['twenty five', 25], ['twenty-five', 25], ['one hundred and five', 105], ['a hundred', 100], ['two hundred fifty', 250], ['twelve hundred', 1200],
    ['three thousand four hundred and one', 3401], ['one point five', 1.5], ['one point two five', 1.25], ['point five', 0.5], ['zero point zero five', 0.05], ['two and a half', 2.5], ['one and three quarters', 1.75],
    ['half', 0.5], ['a quarter', 0.25], ['two thirds', 2 / 3], ['an eighth', 0.125], ['three tenths', 0.3], ['a dozen', 12], ['half a dozen', 6], ['minus three', -3], ['2.5', 2.5], ['-4', -4], ['1,500', 1500], ['2½', 2.5], ['½', 0.5]]
  for (const [text, value] of cases) t.is(number(text), value, text)
})

test('what is not one number is none', (t) => {
  for (const text of ['two three', 'one eighty', 'nine zero', 'twenty twenty', 'hundred', 'point twenty five', 'two or three', 'two and half', 'five halves', '1,5', '1.2.3', 'some', 'minus', 'a few', 'hundred five', 'dozen', 'fifth', 'tenths']) t.is(number(text), undefined, text)
})

test('every number from 0 to 999 999 said in English comes back', (t) => {
  const ones = 'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'.split(' ')
  const tens = '- - twenty thirty forty fifty sixty seventy eighty ninety'.split(' ')
  const say = (n: number): string => n < 20 ? ones[n]! : n < 100 ? `${tens[Math.floor(n / 10)]}${n % 10 ? ` ${ones[n % 10]}` : ''}`
    : n < 1000 ? `${ones[Math.floor(n / 100)]} hundred${n % 100 ? ` and ${say(n % 100)}` : ''}` : `${say(Math.floor(n / 1000))} thousand${n % 1000 ? ` ${n % 1000 < 100 ? 'and ' : ''}${say(n % 1000)}` : ''}`
  fc.assert(fc.property(fc.integer({ min: 0, max: 999_999 }), (n) => number(say(n)) === n))
  t.is(say(999_105), 'nine hundred and ninety nine thousand one hundred and five')
})

test('quantities come out in SI', (t) => {
  const cases: [Quantity, string, number][] = [['length', 'half a metre', 0.5], ['length', 'fifty centimeters', 0.5], ['length', 'ten feet', 3.048], ['length', 'a metre and a half', 1.5], ['length', 'three quarters of a metre', 0.75],
    ['length', 'two metres and ten centimetres', 2.1], ['length', 'minus two metres', -2], ['length', '30cm', 0.3], ['angle', 'ninety degrees', 90], ['angle', 'a quarter turn', 90], ['angle', 'half a turn', 180], ['angle', 'two full turns', 720],
    ['angle', '90°', 90], ['speed', 'half a metre per second', 0.5], ['speed', '0.3 m/s', 0.3], ['speed', '36 km/h', 10], ['duration', 'three minutes and twenty seconds', 200], ['duration', 'an hour and a half', 5400],
    ['duration', 'half an hour', 1800], ['fraction', 'thirty percent', 0.3], ['fraction', '30%', 0.3], ['fraction', 'half', 0.5], ['count', 'three', 3]]
  for (const [kind, text, value] of cases) t.is(quantity(kind, text), value, text)
})

test('a quantity is never filled in', (t) => {
  const cases: [Quantity, string][] = [['length', 'two'], ['length', 'metres'], ['length', 'two degrees'], ['length', 'twenty seconds and two minutes'], ['duration', 'twenty seconds two minutes'], ['angle', 'a turn'], ['angle', 'to'],
    ['fraction', 'thirty'], ['count', 'half'], ['count', 'to'], ['speed', 'two metres'], ['length', 'one two metres']]
  for (const [kind, text] of cases) t.is(quantity(kind, text), undefined, `${kind} ${text}`)
  t.is(quantityAnswer('length', tokenize('two')), 2)
  t.is(quantityAnswer('length', tokenize('to')), undefined)
  t.is(quantityAnswer('fraction', tokenize('thirty')), 0.3)
})

test('tolerated errors cost confidence; exact sentences have all of it', (t) => {
  t.is(understander.match('drive forward two metres').confidence, 1)
  for (const text of ['please drive forward two metres', 'drive the forward two metres', 'drive forward to metres', 'turn write ninety degrees', 'drive forwrd two metres']) {
    const { by, confidence } = understander.match(text)
    t.is(by, 'template', text)
    t.true(confidence < 1 && confidence >= 0.6, text)
  }
})

test('free text comes back as it was written', (t) => {
  t.is(understander.match('Log: Wheel 3 squeaks, don\'t drive!').slots.text, "Wheel 3 squeaks, don't drive!")
  t.is(understander.match('take a note: 2½ kg of “basalt” at 50% – maybe').slots.text, '2½ kg of “basalt” at 50% – maybe')
})

test('what moves is not done because of a sentence put as a question; a stop always is', (t) => {
  for (const text of ['drive forward two metres?', 'turn left?', 'lights on?', 'arm the drive?', 'safe mode?', 'can we go back one metre?', '"turn left ninety degrees?"']) {
    const { by, question } = understander.match(text)
    t.is(by, 'proposal', text)
    t.truthy(question, text)
  }
  for (const text of ['could you drive forward two metres?', 'would you please turn left ninety degrees?', 'lights on please?', 'stop?', 'what time is it?', 'note that it may be dry?']) t.is(understander.match(text).by, 'template', text)
})

test('a stop among several sentences is a stop, a negated or quoted one is not', (t) => {
  for (const text of ['Stop! There is a man in front of you.', 'Oh no. Stop!', 'Turn left. Stop. Turn right.', 'STOP!!! STOP!!!', 'what?\nstop']) t.is(understander.match(text).type, 'stop', text)
  for (const text of ["No! Don't stop!", 'He said: stop. And he left.', 'The bus stop. Over there.', 'Hello. There.', 'drive 2.5 apples', '...', '?!']) t.is(understander.match(text).type, null, text)
  t.is(understander.match('log: the wheel broke. Stop. All well').type, 'log.record')
})

test('sequences of the configuration can be run by name, others not', (t) => {
  t.deepEqual(understander.match('run the figure eight sequence').slots, { name: 'figure eight' })
  t.is(understander.match('run the triangle sequence').type, null)
})

test('a missing number keeps its direction', (t) => {
  const { missing, factors } = understander.match('drive back')
  t.deepEqual(missing, ['distanceM'])
  t.deepEqual(factors, { distanceM: -1 })
})

test('completeness tells how long to listen on', (t) => {
  const cases = { complete: ['stop', 'stop now', 'drive forward two metres', 'turn left ninety degrees', 'lights on', 'arm the drive', 'what time is it', 'go forward ten meters'],
    extendable: ['turn left', 'turn left ninety', 'drive forward', 'set a timer for five minutes', 'take a note', 'log the wheel', 'drive two metres'],
    prefix: ['drive', 'drive forward two', 'drive forward two and', 'set a timer for one hundred and', 'turn', 'what is the', 'log', 'computer'],
    nothing: ['', 'hello there', 'drive forward apples', 'metres two forward drive'] } as const
  for (const [expected, texts] of Object.entries(cases)) for (const text of texts) t.is(understander.completeness(text) as string, expected, text)
})

test('the speech grammar stays small and holds what is needed', (t) => {
  const { phrases, words, freeTextLeads } = understander.speechGrammar()
  t.true(phrases.length <= 14_000 && phrases.length > 1_000, `${phrases.length}`)
  t.is(new Set(phrases).size, phrases.length)
  for (const word of ['drive', 'forward', 'meters', 'ninety', 'point', 'half', 'stop', 'halt', 'degrees', 'disarm', 'confirm', 'square', 'eight']) t.true(words.includes(word), word)
  for (const lead of ['log', 'ask', 'take a note', 'send a mail to']) t.true(freeTextLeads.includes(lead), lead)
  const wrong = phrases.filter((phrase) => !/^[a-z' ]+$/.test(phrase))
  t.deepEqual(wrong, [])
})

test('without any sequence configured there is a speech grammar all the same', async (t) => {
  const none = await Understander.load({ sequences: [] })
  t.true(none.speechGrammar().phrases.length > 1000)
  t.is(none.match('run the square sequence').type, null)
})

test('types come with examples that they really match', (t) => {
  for (const { type, examples } of understander.types()) for (const example of examples) t.is(understander.match(example).type, type)
  t.is(understander.types().length, 30)
})

test('any text at all: no throw, no number out of nowhere, bounded work', (t) => {
  const word = fc.constantFrom(...understander.speechGrammar().words, '-', '2', '%', 'not', '\u0000', '½', '\'')
  fc.assert(fc.property(fc.oneof(fc.string({ maxLength: 400 }), fc.string({ unit: 'binary', maxLength: 400 }), fc.array(word, { maxLength: 40 }).map((list) => list.join(' '))), (text) => {
    const { by, confidence, slots } = understander.match(text)
    understander.completeness(text)
    return (by === null) === (confidence === 0) && Object.values(slots).every((value) => typeof value !== 'number' || Number.isFinite(value))
  }), { numRuns: 1_500 })
  // Sentences built to make a backtracking matcher hang: the work here grows with their length alone.
  for (const text of ['drive '.repeat(5_000), 'please '.repeat(5_000), 'two and a half '.repeat(2_000), 'send a mail to '.repeat(2_000), 'a'.repeat(1e6), 'minus '.repeat(9_000)]) t.is(understander.match(text).by, null)
  t.is(understander.match(`log ${'word '.repeat(300)}`).type, 'log.record')
})

const parse = (text: string) => Understander.parse([{ file: 'my.yaml', text }])
const problem = (text: string) => { try { parse(text) } catch (error) { return error as MtorError } return undefined }

test('mistakes in intent files name the file, line and column', (t) => {
  const cases: [string, RegExp][] = [
    ['intents:\n  drive.move:\n    templates:\n      - "drive {distance}"\n', /^my\.yaml:4:10: .*unknown slot "distance"/],
    ['intents:\n  drive.fly:\n    templates: [fly]\n', /^my\.yaml:2:3: unknown type "drive\.fly"/],
    ['intents:\n  stop:\n    templates:\n      - "stop (now|here"\n', /^my\.yaml:4:15: "\(" is never closed/],
    ['intents:\n  stop:\n    templates:\n      - "stop here)"\n', /^my\.yaml:4:19: "\)" closes nothing/],
    ['intents:\n  stop:\n    templates: ["<when> stop"]\n', /^my\.yaml:3:18: expected a rule/],
    ['intents:\n  stop:\n    templates: ["[stop]"]\n', /^my\.yaml:3:18: matches the empty sentence/],
    ['intents:\n  stop: { templates: [halt] }\n  repeat: { templates: ["(halt|again)"] }\n', /^my\.yaml:3:26: "halt" is ambiguous: repeat here, stop at my\.yaml:2:23/],
    ['rules: { a: "<b>", b: "<a>" }\n', /contains itself/],
    ['intents:\n\tstop:\n', /^my\.yaml:2:1: /],
    ['intents: [stop]\n', /^my\.yaml:1:10: expected names with values/],
    ['intent: {}\n', /^my\.yaml:1:1: unknown key "intent"/],
    ['intents:\n  light.set:\n    templates: ["lights {on}"]\n', /needs a list or fixed values|cannot be read/],
    ['intents:\n  mode.set:\n    templates: ["mode {mode=fast}"]\n', /cannot be "fast"/],
    ['intents:\n  stop:\n    templates: ["stop {rest}"]\n', /write \{slot\.\.\.\}/],
    ['intents:\n  log.record:\n    templates: ["log {text}"]\n', /write \{slot\.\.\.\}/],
    [`rules: { a: "(x|y) (x|y)", b: "${'<a> '.repeat(90)}", c: "${'<b> '.repeat(90)}" }\nintents: { stop: { templates: ["<c>"] } }\n`, /too large|too many/],
  ]
  for (const [text, expected] of cases) {
    const error = problem(text)
    t.true(error instanceof MtorError, text)
    t.is(error?.code, 'TEMPLATE_INVALID', text)
    t.regex(error?.message ?? '', expected)
  }
})

test('any intent file at all is loaded or refused with TEMPLATE_INVALID', (t) => {
  const good = 'rules:\n  go: "(drive|go)"\nintents:\n  drive.move:\n    ask: { distanceM: "How far?" }\n    templates:\n      - "<go> [very] (far|forward) {distanceM}"\n    tests:\n      go far two metres: { distanceM: 2 }\nnever:\n  - go home\n'
  t.is(parse(good).match('go very far two metres').slots.distanceM, 2)
  const fails = (text: string) => { const error = problem(text); return error === undefined || (error instanceof MtorError && error.code === 'TEMPLATE_INVALID') }
  fc.assert(fc.property(fc.string({ maxLength: 200 }), fails), { numRuns: 300 })
  fc.assert(fc.property(fc.nat(good.length - 1), fc.nat(8), fc.string({ maxLength: 4 }), (at, cut, put) => fails(good.slice(0, at) + put + good.slice(at + cut))), { numRuns: 600 })
  fc.assert(fc.property(fc.array(fc.constantFrom('(', ')', '[', ']', '|', '<go>', '{distanceM}', '{distanceM*-1}', '{distanceM=2}', 'go', '~', '{', '}', '<', '{text...}')), (parts) => fails(`rules: { go: go }\nintents: { drive.move: { templates: [${JSON.stringify(parts.join(''))}] } }\n`)), { numRuns: 400 })
})
