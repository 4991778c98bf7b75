import test from 'ava'
import { HandlerOffer } from '../../appliance/contracts/handlers.ts'
import { validator } from '../../appliance/contracts/validate.ts'
import { declarationOf, type DeclarationFields } from './declaration.ts'

const offer = validator(HandlerOffer)
const fields: DeclarationFields = { intentType: 'airlock.open', title: 'Open', sentences: ['open the airlock'], slots: [{ name: 'forS', kind: 'duration', required: false, minimum: '1', maximum: 600 }], deadlineS: 5 }

test('what it lets through is what the appliance takes', (t) => {
  const declared = declarationOf(fields)
  t.deepEqual(declared.slots, [{ name: 'forS', kind: 'duration', required: false, minimum: 1, maximum: 600 }])
  t.deepEqual(offer.assert({ v: 1, online: true, handles: [], answers: [], declares: [declared] }, 'INVALID_ENVELOPE', 'offer').online, true)
})

const WRONG: [what: string, fields: DeclarationFields][] = [
  ['a type with capitals', { ...fields, intentType: 'Airlock' }],
  ['no type', { ...fields, intentType: '' }],
  ['a slot called rest', { ...fields, slots: [{ name: 'rest', kind: 'text' }] }],
  ['a slot of no kind', { ...fields, slots: [{ name: 'side', kind: 'colour' }] }],
  ['a choice of nothing', { ...fields, slots: [{ name: 'side', kind: 'choice', values: ' , ' }] }],
  ['a value with a sign', { ...fields, slots: [{ name: 'side', kind: 'choice', values: ['port!'] }] }],
  ['the same slot twice', { ...fields, slots: [{ name: 'a', kind: 'text' }, { name: 'a', kind: 'words' }] }],
  ['a range upside down', { ...fields, slots: [{ name: 'a', kind: 'length', minimum: 2, maximum: 1 }] }],
  ['a deadline of nothing', { ...fields, deadlineS: 0 }],
  ['a sentence without end', { ...fields, sentences: ['open '.repeat(120)] }],
]
for (const [what, wrong] of WRONG) test(`${what} is FLOW_INVALID`, (t) => { t.throws(() => declarationOf(wrong), { code: 'FLOW_INVALID' }) })
