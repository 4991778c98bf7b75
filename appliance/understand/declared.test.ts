import test from 'ava'
import { ManualClock } from '../contracts/clock.ts'
import type { DeclaredIntent } from '../contracts/handlers.ts'
import { MtorError } from '../contracts/errors.ts'
import { Dialogue, Understander } from './index.ts'

const declare = (type: string, sentences: string[], more: Partial<DeclaredIntent> = {}): DeclaredIntent => ({ type, title: 'Open the airlock', slots: [], sentences, actuates: false, hazardous: false, repeatable: true, deadlineMs: 10_000, ...more })
const airlock = declare('airlock.open', ['open [the] (airlock|hatch)', '[please] cycle the airlock'])
const door = declare('door.open', ['open the {door} door [for {durationS}]', 'open a door'], { title: 'Open a door', actuates: true, hazardous: true, slots: [
  { name: 'door', kind: 'choice', required: true, values: ['front', "captain's", 'number 2'], question: 'Which door?' }, { name: 'durationS', kind: 'duration', required: false }] })
const note = declare('shift.note', ['shift report {text}', 'hand over to {who}'], { slots: [{ name: 'text', kind: 'text', required: false }, { name: 'who', kind: 'words', required: false }] })
const loaded = await Understander.load()
/** An understander that has learnt these; the one base is shared, so tests are serial. */
const knowing = (...declares: DeclaredIntent[]) => { loaded.learn(declares); return loaded }

test.serial('a declared sentence is matched once learnt, and no longer once dropped', (t) => {
  t.is(knowing().match('open the airlock').type, null)
  t.like(knowing(airlock).match('Computer, open the airlock please'), { by: 'template', type: 'airlock.open', missing: [] })
  t.is(loaded.match('cycle the airlock').type, 'airlock.open')
  t.is(knowing(door).match('open the airlock').type, null)
  t.is(knowing().match('open the front door').type, null)
})

test.serial('slots are read as they were declared: choices, quantities, words and text', (t) => {
  knowing(door, note)
  t.deepEqual(loaded.match('open the front door for an hour and a half').slots, { door: 'front', durationS: 5400 })
  t.deepEqual(loaded.match("open the captain's door").slots, { door: "captain's" })
  for (const said of ['open the number 2 door', 'open the number two door']) t.deepEqual(loaded.match(said).slots, { door: 'number 2' }, said)
  t.deepEqual(loaded.match('shift report: All is well. Really!').slots, { text: 'All is well. Really!' })
  t.deepEqual(loaded.match('hand over to Marie Curie').slots, { who: 'Marie Curie' })
  t.deepEqual(loaded.match('open a door').missing, ['door'])
  t.is(loaded.questionFor('door.open', 'door'), 'Which door?')
  t.is(loaded.slotInfo('door.open', 'durationS')?.unit, 's')
  t.true(loaded.isFreeText('shift.note', 'text'))
  t.false(loaded.isFreeText('shift.note', 'who'))
})

test.serial('nothing declared changes what our own sentences mean, and stop is a stop', (t) => {
  knowing(declare('x.y', ['drive forward {m}', 'stop', 'turn left {rest...}', 'announce {text...}'], { slots: [{ name: 'm', kind: 'length', required: true }, { name: 'text', kind: 'text', required: false }] }))
  t.is(loaded.match('drive forward two metres').type, 'drive.move')
  t.is(loaded.match('turn left ninety degrees').type, 'drive.turn')
  t.is(loaded.match('stop').type, 'stop')
  t.is(loaded.match('Announce: all aboard').type, 'x.y')
  t.is(loaded.match('Announce that. Stop!').type, 'stop')
  t.is(loaded.completeness('stop'), 'complete')
})

test.serial('how far a sentence has come takes both into account', (t) => {
  knowing(declare('x.y', ['turn left ninety degrees and wave', 'open the airlock', 'open the airlock {mode=slow} slowly'], { slots: [{ name: 'mode', kind: 'words', required: false }] }))
  const cases = [['turn left ninety degrees', 'extendable'], ['turn left ninety degrees and', 'prefix'], ['open', 'prefix'], ['open the airlock', 'extendable'], ['open the airlock slowly', 'complete'], ['drive forward two metres', 'complete'], ['blue cheese', 'nothing']] as const
  for (const [text, expected] of cases) t.is(loaded.completeness(text), expected, text)
})

test.serial('a word of a declared sentence is never corrected, and no word of ours to one', (t) => {
  knowing(airlock)
  t.is(loaded.match('open the airlick').type, null)
  t.is(loaded.match('open the airlocks').type, null)
})

test.serial('what moves something and is put as a question is asked back about', async (t) => {
  knowing(door, airlock)
  t.like(loaded.match('open the front door?'), { by: 'proposal', question: 'open a door: front' })
  t.is(loaded.match('open the airlock?').by, 'template')
})

test.serial('what is missing is asked for, and what is hazardous confirmed with its values', async (t) => {
  knowing(door)
  const dialogue = new Dialogue({ understander: loaded, clock: new ManualClock(), answerTimeoutMs: 10_000, isHazardous: (type) => type === 'door.open', proposals: false })
  const hear = (text: string) => dialogue.hear('voice', text, { spoken: true })
  t.deepEqual(await hear('open a door'), { act: 'ask', say: 'Which door?', expects: 'slot' })
  t.deepEqual(await hear('the side one'), { act: 'ask', say: 'Sorry. To open a door: which door?', expects: 'slot' })
  t.deepEqual(await hear("the captain's"), { act: 'ask', say: "Say confirm to open a door: captain's.", expects: 'confirm' })
  t.deepEqual(await hear('confirm'), { act: 'submit', type: 'door.open', slots: { door: "captain's" }, confirmed: true })
  t.deepEqual(await hear('open the front door for two minutes'), { act: 'ask', say: 'Say confirm to open a door: front, 2 minutes.', expects: 'confirm' })
})

test.serial('types tell the declared ones too, with sentences that mean them', (t) => {
  knowing(airlock, door)
  const declared = loaded.types().filter(({ type }) => !loaded.catalogue.slots.has(type))
  t.deepEqual(declared.map(({ type, title }) => [type, title]), [['airlock.open', 'Open the airlock'], ['door.open', 'Open a door']])
  t.deepEqual(declared[0]!.examples.slice(0, 2), ['open the airlock', 'please cycle the airlock'])
  for (const { type, examples } of declared) for (const example of examples) t.is(loaded.match(example).type, type, example)
})

test.serial('a recogniser is given the declared sentences, values and answers, in words', (t) => {
  const { phrases, usual, freeTextLeads, words } = knowing(airlock, door, note).learnedGrammar(['bluish green', '7'])
  for (const phrase of ['bluish green', 'seven', 'front', 'number two']) t.true(phrases.includes(phrase), phrase)
  t.true(usual.includes('open the airlock'))
  t.deepEqual(freeTextLeads, ['hand over to', 'shift report'])
  t.deepEqual(words.filter((word) => /\d/.test(word)), [])
  const go = knowing(declare('go.to', ['go to {place:words}'], { slots: [{ name: 'place', kind: 'words', required: true }] })).learnedGrammar()
  t.deepEqual([go.freeTextLeads, go.lateLeads], [[], ['go to']], 'our own sentences go on from there too')
  t.is(loaded.completeness('go to safe mode'), 'complete')
  t.deepEqual(knowing().learnedGrammar(), { phrases: [], words: [], usual: [], freeTextLeads: [], lateLeads: [] })
})

test.serial('mistakes are told by type, with the sentence and the place in it; nothing is learnt by asking', (t) => {
  knowing()
  const slot = (name: string, kind: DeclaredIntent['slots'][number]['kind'], more = {}) => ({ slots: [{ name, kind, required: false, ...more }] })
  const cases: [DeclaredIntent, RegExp][] = [
    [declare('a.a', ['open the airlock', 'open (the hatch']), /^“open \(the hatch”, character 6: "\(" is never closed/],
    [declare('a.a', ['open {which}']), /^“open \{which\}”, character 1: unknown slot "which"/],
    [declare('a.a', ['<polite> open']), /expected a rule/],
    [declare('a.a', ['[open]']), /matches the empty sentence/],
    [declare('a.a', ['{text}'], slot('text', 'text')), /would take any sentence/],
    [declare('a.a', ['please {what} now'], slot('what', 'words')), /would take any sentence/],
    [declare('a.a', ['open {m:angle}'], slot('m', 'length')), /cannot be read as angle/],
    [declare('a.a', [], slot('rest', 'text')), /reserved/],
    [declare('a.a', [], slot('door', 'choice')), /needs values/],
    [declare('a.a', [], slot('m', 'length', { minimum: 2, maximum: 1 })), /above its maximum/],
    [declare('a.a', [], { slots: [slot('m', 'length').slots[0]!, slot('m', 'angle').slots[0]!] }), /declared twice/],
    [declare('a.a', Array.from({ length: 50 }, () => 'blue '.repeat(90))), /too large together/],
  ]
  for (const [declared, expected] of cases) {
    const problems = loaded.checkDeclared([airlock, declared])
    t.deepEqual(problems.map(({ type, code }) => [type, code]), [['a.a', 'TEMPLATE_INVALID']], declared.sentences[0])
    t.regex(problems[0]!.message, expected)
  }
  t.is(loaded.match('open the airlock').type, null)
})

test.serial('a sentence that means something already is taken', (t) => {
  const taken = (sentence: string, slots: DeclaredIntent['slots'] = [], others: DeclaredIntent[] = []) => loaded.checkDeclared([declare('a.a', [sentence], { slots })], others)
  const m: DeclaredIntent['slots'] = [{ name: 'm', kind: 'length', required: true }]
  const cases: [string, DeclaredIntent['slots'], RegExp][] = [
    ['lights on', [], /“lights on” means light\.set already/], ['drive forward {m}', m, /means drive\.move already/], ['log the {m}', m, /means log\.record already/],
    ['(sing|what time is it)', [], /means time\.tell already/], ['halt', [], /a stop, which always comes first/], ['open the valve and stop', [], /“stop” stops everything/],
    ['turn off the engine room lights', [], /begins with, a stop/], ['please freeze the {m} sample', m, /a stop/],
  ]
  for (const [sentence, slots, expected] of cases) {
    const problems = taken(sentence, slots)
    t.deepEqual(problems.map(({ code }) => code), ['SENTENCE_TAKEN'], sentence)
    t.regex(problems[0]!.message, expected)
  }
  t.deepEqual(taken('release the brake'), [])
  t.regex(taken('cycle the airlock', [], [airlock])[0]!.message, /means airlock\.open already/)
  t.deepEqual(loaded.checkDeclared([airlock], [airlock]), [], 'a type may be declared anew')
  t.deepEqual(loaded.checkDeclared([airlock, { ...airlock, type: 'hatch.open' }]).map(({ type, code }) => [type, code]), [['hatch.open', 'SENTENCE_TAKEN']])
})

test.serial('a lesson with a mistake is refused, and the one before stays', (t) => {
  knowing(airlock)
  t.is(t.throws(() => loaded.learn([door, declare('a.a', ['open ('])]), { instanceOf: MtorError })?.code, 'TEMPLATE_INVALID')
  t.is(loaded.match('open the airlock').type, 'airlock.open')
  t.is(loaded.match('open the front door').type, null)
})
