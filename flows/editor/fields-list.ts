import { catalogueOf } from './catalogue.ts'
import type { Field } from './form.ts'
import { $, growing, type EditorNode } from './red.ts'

interface Row { name?: string; value?: string; valueType?: string }
const TYPES = ['str', 'num', 'bool', 'json', 'msg', 'flow', 'global', 'jsonata', 'env']

/** JSON Schema of one slot, as far as a row is made of it. */
interface Schema { type?: string; enum?: string[]; description?: string; 'x-unit'?: string }
const typeOf = ({ type }: Schema) => type === 'number' || type === 'integer' ? 'num' : type === 'boolean' ? 'bool' : type === 'array' || type === 'object' ? 'json' : 'str'

/** Names and values: the slots of an intent or the arguments of a command; those that the chosen one has are filled in. */
export function fieldsList(node: EditorNode, field: Field & { kind: 'fields' }, form: { value(name: string): string | boolean; onChange(name: string, listener: () => void): void }): void {
  const list = $(`#mtor-${field.name}`)
  const schemas = async (): Promise<{ properties: Record<string, Schema>; required: string[] }> => {
    const catalogue = await catalogueOf(String(form.value('realm')))
    const schema = field.of === 'intentType' ? catalogue?.types.find(({ type }) => type === form.value('intentType'))?.slots : catalogue?.devices.find(({ id }) => id === form.value('device'))?.commands[String(form.value('command'))]
    const { properties, required } = (schema ?? {}) as { properties?: Record<string, Schema>; required?: string[] }
    return { properties: properties ?? {}, required: required ?? [] }
  }
  list.editableList({
    removable: true, sortable: true,
    addItem: (container: unknown, _index: number, row: Row) => {
      const name = $('<input type="text" style="width: 35%">').attr('placeholder', node._!('common.name')).val(row.name ?? '').appendTo(container)
      const value = $('<input type="text" style="width: 60%; margin-left: 6px">').val(row.value ?? '').appendTo(container)
      value.typedInput({ types: TYPES, default: 'str' })
      value.typedInput('type', row.valueType ?? 'str')
      value.typedInput('value', row.value ?? '')
      name.autoComplete({ minLength: 0, search: (typed: string, done: (found: unknown[]) => void) => { void schemas().then(({ properties }) => done(Object.entries(properties).filter(([each]) => each.includes(typed)).map(([each, { 'x-unit': unit }]) => ({ value: each, label: unit ? `${each}  (${unit})` : each })))) } })
      $(container).data('read', () => ({ name: String(name.val()).trim(), value: String(value.typedInput('value')), valueType: String(value.typedInput('type')) }))
    },
  })
  growing(list)
  for (const row of (node[field.name] as Row[] | undefined) ?? []) list.editableList('addItem', row)
  const fill = () => {
    void schemas().then(({ properties, required }) => {
      const rows = list.editableList('items').toArray().map((row: unknown) => ($(row).data('read') as () => Row)())
      // What was filled in for another choice and is untouched gives way.
      if (rows.some((row: Row) => row.name && row.value !== '')) return
      list.editableList('empty')
      for (const [name, schema] of Object.entries(properties)) if (required.includes(name)) list.editableList('addItem', { name, value: schema.enum?.[0] ?? '', valueType: typeOf(schema) })
    })
  }
  form.onChange(field.of === 'intentType' ? 'intentType' : 'command', fill)
}
