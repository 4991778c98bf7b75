import { MtorError } from '../../appliance/contracts/errors.ts'
import type { DeclaredIntent, DeclaredSlot, SlotKind } from '../../appliance/contracts/handlers.ts'

/** What an intent define node says in the editor. */
export interface DeclarationFields {
  intentType?: string
  title?: string
  slots?: readonly Partial<Record<keyof DeclaredSlot, unknown>>[]
  sentences?: readonly string[]
  actuates?: boolean
  hazardous?: boolean
  repeatable?: boolean
  deadlineS?: number | string
}

const TYPE = /^[a-z][a-z0-9]*(\.[a-z][a-zA-Z0-9]*)*$/
const SLOT = /^[a-z][A-Za-z0-9]{0,31}$/
const VALUE = /^[a-z0-9' ]{1,40}$/
const KINDS: Readonly<Record<SlotKind, true>> = { choice: true, length: true, angle: true, speed: true, duration: true, fraction: true, count: true, words: true, text: true }
const isKind = (kind: unknown): kind is SlotKind => typeof kind === 'string' && Object.hasOwn(KINDS, kind)
const DEADLINE_S = { least: 0.1, most: 3600 }

const invalid = (what: string, got: unknown) => new MtorError('FLOW_INVALID', `${what}, got ${JSON.stringify(got ?? '')}`)

function bound(value: unknown, name: string): number | undefined {
  if (value === undefined || value === null || value === '') return undefined
  const number = Number(value)
  if (!Number.isFinite(number)) throw invalid(`${name}: expected a number`, value)
  return number
}

function slotOf(given: Partial<Record<keyof DeclaredSlot, unknown>>): DeclaredSlot {
  const name = String(given.name ?? '').trim()
  if (!SLOT.test(name) || name === 'rest') throw invalid('slot name: expected a lower-case letter, then letters and digits, such as durationS, not rest', name)
  if (!isKind(given.kind)) throw invalid(`slot ${name}: expected one of ${Object.keys(KINDS).join(', ')}`, given.kind)
  const values = (Array.isArray(given.values) ? given.values.map(String) : String(given.values ?? '').split(',')).map((value) => value.trim()).filter((value) => value !== '')
  const wrong = values.find((value) => !VALUE.test(value))
  if (wrong !== undefined) throw invalid(`slot ${name}: values are of lower-case letters, digits, spaces and '`, wrong)
  if (given.kind === 'choice' && (values.length === 0 || values.length > 50)) throw invalid(`slot ${name}: a choice needs 1 to 50 values`, values)
  const minimum = bound(given.minimum, `slot ${name}, minimum`), maximum = bound(given.maximum, `slot ${name}, maximum`)
  if (minimum !== undefined && maximum !== undefined && minimum > maximum) throw invalid(`slot ${name}: minimum above maximum`, [minimum, maximum])
  const question = String(given.question ?? '').trim()
  return {
    name, kind: given.kind, required: given.required === true,
    ...(given.kind === 'choice' ? { values } : {}),
    ...(minimum === undefined ? {} : { minimum }), ...(maximum === undefined ? {} : { maximum }),
    ...(question === '' ? {} : { question: question.slice(0, 200) }),
  }
}

/**
 * The declaration that the appliance is offered. One that it could not read would cost all others of the same offer, so
 * its shape is checked here; sentences are the appliance's to judge.
 * @throws MtorError FLOW_INVALID
 */
export function declarationOf(fields: DeclarationFields): DeclaredIntent {
  const type = fields.intentType?.trim() ?? ''
  if (!TYPE.test(type) || type.length > 64) throw invalid('intent type: expected lower-case words with dots, such as airlock.open', type)
  const title = fields.title?.trim() || type
  if (title.length > 80) throw invalid('title: at most 80 characters', title)
  const slots = (fields.slots ?? []).map(slotOf)
  if (slots.length > 10) throw invalid('at most 10 slots', slots.length)
  const twice = slots.find(({ name }, at) => slots.findIndex((other) => other.name === name) !== at)
  if (twice) throw invalid('each slot once', twice.name)
  const sentences = (fields.sentences ?? []).map((sentence) => sentence.trim()).filter((sentence) => sentence !== '')
  if (sentences.length > 50) throw invalid('at most 50 sentences', sentences.length)
  const long = sentences.find((sentence) => sentence.length > 500)
  if (long !== undefined) throw invalid('a sentence of at most 500 characters', long)
  const deadlineS = fields.deadlineS === undefined || fields.deadlineS === '' ? 60 : Number(fields.deadlineS)
  if (!(deadlineS >= DEADLINE_S.least && deadlineS <= DEADLINE_S.most)) throw invalid(`deadline: expected ${DEADLINE_S.least} to ${DEADLINE_S.most} s`, fields.deadlineS)
  return { type, title, slots, sentences, actuates: fields.actuates === true, hazardous: fields.hazardous === true, repeatable: fields.repeatable === true, deadlineMs: Math.round(deadlineS * 1000) }
}
