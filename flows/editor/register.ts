import { fieldsList } from './fields-list.ts'
import type { Condition, Field, Form } from './form.ts'
import { catalogueOf, choicesOf } from './catalogue.ts'
import { SLOT_NAME, SLOT_VALUE } from './patterns.ts'
import { $, RED, type EditorNode } from './red.ts'
import { slotsList } from './slots-list.ts'

/** One family: what talks to the appliance has one colour. */
const COLOUR = '#8FC1B5'
/** Of the appliance's own probe flow: nobody else's. @see ../runtime/probe-flow.ts */
const isProbe = ({ id }: EditorNode) => String(id).startsWith('mtorprobe')

/** The realm that a new node takes: the first one, which mostly is the only one. */
function firstRealm(): string {
  const found: string[] = []
  RED.nodes.eachConfig((node) => { if (node.type === 'mtor-realm' && !isProbe(node) && !node.d && !node.z) found.push(String(node.id)) })
  return found[0] ?? ''
}

/** Fields that Node-RED's editor cannot read and write by itself. */
const OWN = new Set(['fields', 'lines', 'slots'])

const isNumber = (value: unknown) => value !== '' && value !== null && value !== undefined && Number.isFinite(Number(value))

const holds = (condition: Condition | undefined, value: (name: string) => unknown): boolean => !condition || (condition.is.includes(value(condition.field) as string) && holds(condition.and, value))
/** Every field that a condition asks. */
const asked = (condition: Condition | undefined): string[] => condition ? [condition.field, ...asked(condition.and)] : []

/** What is wrong with a value, as a key of the messages; undefined where nothing is. */
function wrong(field: Field, value: unknown, other: (name: string) => unknown): string | undefined {
  const text = value === undefined || value === null ? '' : String(value)
  if ('required' in field && (typeof field.required === 'object' ? holds(field.required, other) : field.required) && text === '') return 'common.invalid.required'
  if (field.kind === 'number') {
    if (text === '') return undefined
    if (!isNumber(value) || (field.minimum !== undefined && Number(value) < field.minimum) || (field.maximum !== undefined && Number(value) > field.maximum)) return 'common.invalid.number'
  }
  // A property such as ${NAME} is filled in at the start.
  if ('pattern' in field && field.pattern && !/^\$\{.+\}$/.test(text) && !new RegExp(field.pattern).test(text)) return 'common.invalid.pattern'
  return undefined
}

/** What is wrong with the slots of a declaration. @see ../../appliance/contracts/handlers.ts */
function wrongSlots(slots: unknown): string | undefined {
  const isWrong = ({ name, kind, values }: { name?: unknown; kind?: unknown; values?: readonly string[] }) => !SLOT_NAME.test(String(name)) || (kind === 'choice' && !(values?.length && values.every((each) => SLOT_VALUE.test(each))))
  return Array.isArray(slots) && slots.some(isWrong) ? 'common.invalid.slots' : undefined
}

/** @param valueOf the value of another field: as its form has it just now, else as the node has it */
function defaultOf(field: Field, valueOf: (node: EditorNode, name: string) => unknown): Record<string, unknown> {
  const validate = function (this: EditorNode, value: unknown, options?: unknown) {
    const other = (name: string) => valueOf(this, name)
    const isLacking = field.kind === 'number' && field.needsOneOf && [value, ...field.needsOneOf.filter((name) => name !== field.name).map(other)].every((each) => !isNumber(each))
    const problem = holds(field.when, other) ? isLacking ? 'common.invalid.required' : field.kind === 'slots' ? wrongSlots(value) : wrong(field, value, other) : undefined
    if (problem === undefined) return true
    return options ? `${this._?.(`common.field.${field.name}`) ?? field.name}: ${this._?.(problem) ?? problem}` : false
  }
  switch (field.kind) {
    case 'realm': return { value: '', type: 'mtor-realm', required: !field.optional, filter: (node: EditorNode) => !isProbe(node) }
    case 'tls': return { value: '', type: 'tls-config', required: false }
    case 'fields': case 'lines': return { value: [] }
    case 'slots': return { value: [], validate }
    case 'typed': return { value: field.value, validate: RED.validators.typedInput({ typeField: `${field.name}Type`, allowBlank: true, allowUndefined: true }) }
    default: return { value: 'value' in field ? field.value ?? '' : '', validate }
  }
}

/** Registers a node with the editor, as its form says. */
export function registerForm(form: Form): void {
  const prefix = form.config ? 'node-config-input-' : 'node-input-'
  const credentials = form.fields.filter((field) => 'credential' in field), plain = form.fields.filter((field) => !('credential' in field) && field.kind !== 'note')
  const defaults: Record<string, unknown> = { name: { value: '' } }
  let edited: EditorNode | undefined
  const valueOf = (node: EditorNode, name: string) => node === edited ? value(name) : node[name]
  for (const field of plain) {
    defaults[field.name] = defaultOf(field, valueOf)
    if (field.kind === 'typed') defaults[`${field.name}Type`] = { value: field.valueType }
  }
  const input = (name: string) => $(`#${prefix}${name}`)
  const value = (name: string) => { const element = input(name); return element.attr('type') === 'checkbox' ? element.prop('checked') as boolean : String(element.val() ?? '') }

  const prepare = function (this: EditorNode) {
    for (const field of form.fields) {
      switch (field.kind) {
        case 'typed': {
          // Before Node-RED 3, and on nodes made by hand, the companion may be missing.
          input(`${field.name}Type`).val(this[`${field.name}Type`] ?? field.valueType)
          input(field.name).typedInput({ default: field.valueType, types: field.types, typeField: input(`${field.name}Type`) })
          break
        }
        case 'choose': {
          input(field.name).autoComplete({ minLength: 0, search: (typed: string, done: (found: unknown[]) => void) => { void catalogueOf(String(input('realm').val() ?? '')).then((catalogue) => done(choicesOf(field.from, catalogue, typed, value('device') as string))) } })
          // As the key does: the list opens without anything typed.
          $(`#mtor-choose-${field.name}`).on('click', () => input(field.name).trigger('focus').trigger($.Event('keyup', { keyCode: 40 })))
          break
        }
        case 'lines': $(`#mtor-${field.name}`).val(((this[field.name] as string[] | undefined) ?? []).join('\n')); break
        case 'fields': fieldsList(this, field, { value, onChange: (name, listener) => { input(name).on('change', listener) } }); break
        case 'slots': slotsList(this, field.name); break
      }
    }
    // Fields that only matter with others.
    const show = () => { for (const { name, when } of form.fields) if (when) $(`#mtor-row-${name}`).toggle(holds(when, value)) }
    for (const name of new Set(form.fields.flatMap(({ when }) => asked(when)))) input(name).on('change', show)
    show()
    describe(this, form, value, input)
    edited = this
  }

  const closed = () => { edited = undefined }
  const save = function (this: EditorNode) {
    closed()
    for (const field of form.fields) {
      if (!OWN.has(field.kind)) continue
      if (field.kind === 'lines') this[field.name] = String($(`#mtor-${field.name}`).val() ?? '').split('\n').map((line) => line.trim()).filter((line) => line !== '')
      else this[field.name] = $(`#mtor-${field.name}`).editableList('items').toArray().map((row: unknown) => ($(row).data('read') as () => unknown)()).filter((row: { name?: string }) => row.name)
    }
  }

  RED.nodes.registerType(form.type, {
    category: form.config ? 'config' : 'MTOR', color: COLOUR, defaults,
    ...(credentials.length > 0 ? { credentials: Object.fromEntries(credentials.map(({ name, kind }) => [name, { type: kind === 'password' ? 'password' : 'text' }])) } : {}),
    // A realm that no node names is no mistake: the next one takes it.
    ...(form.config ? { hasUsers: false } : { inputs: form.inputs ?? 0, outputs: form.outputs ?? 0, icon: form.icon, align: form.end ? 'right' : 'left' }),
    paletteLabel(this: EditorNode) { return this._?.('palette') ?? form.type.slice(5) },
    label(this: EditorNode) {
      const named = form.label ? String(this[form.label] ?? '') : ''
      const field = form.fields.find(({ name }) => name === form.label)
      const shown = field?.kind === 'select' && !field.raw && named !== '' ? this._?.(`common.option.${named}`) ?? named : named
      return String(this.name ?? '') || shown || (this._?.('palette') ?? form.type.slice(5))
    },
    labelStyle(this: EditorNode) { return this.name ? 'node_label_italic' : '' },
    outputLabels(this: EditorNode, index: number) { return this._?.(`output.${index + 1}`) },
    inputLabels(this: EditorNode) { return this._?.('input') },
    oneditprepare: prepare, oneditsave: save, oneditcancel: closed, oneditdelete: closed,
    ...(plain.some(({ kind, name }) => kind === 'realm' && name === 'realm') ? { onadd(this: EditorNode) { this.realm ||= firstRealm() } } : {}),
  })
}

/** Below an intent type: what it is, how it is said, and what slots it has. */
function describe(node: EditorNode, form: Form, value: (name: string) => string | boolean, input: (name: string) => ReturnType<typeof $>): void {
  if (!form.fields.some(({ name, kind }) => name === 'intentType' && kind === 'choose')) return
  const about = $('<div class="form-tips" style="margin: 0 0 12px 154px"></div>').insertAfter($('#mtor-row-intentType'))
  const show = () => {
    void catalogueOf(String(input('realm').val() ?? '')).then((catalogue) => {
      const type = catalogue?.types.find((each) => each.type === value('intentType'))
      about.empty().toggle(type !== undefined || !catalogue)
      if (!catalogue) about.text(node._!('common.offline'))
      if (!type) return
      about.append($('<b>').text(type.title))
      const slots = Object.entries(((type.slots as { properties?: object }).properties ?? {}) as Record<string, { 'x-unit'?: string }>).map(([name, { 'x-unit': unit }]) => unit ? `${name} (${unit})` : name)
      if (slots.length > 0) about.append($('<div>').text(`${node._!('common.slots')}: ${slots.join(', ')}`))
      if (type.hazardous) about.append($('<div>').text(node._!('common.mustBeConfirmed')))
      if (type.examples.length > 0) about.append($('<div>').text(`${node._!('common.said')}: “${type.examples[0]}”`))
    })
  }
  input('intentType').on('change', show)
  input('realm').on('change', show)
  show()
}
