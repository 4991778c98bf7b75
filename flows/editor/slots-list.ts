import { $, growing, type EditorNode } from './red.ts'

interface Slot { name?: string; kind?: string; required?: boolean; values?: string[] | string; minimum?: number | string; maximum?: number | string; question?: string }
const KINDS = ['choice', 'length', 'angle', 'speed', 'duration', 'fraction', 'count', 'words', 'text']
const RANGED = new Set(['length', 'angle', 'speed', 'duration', 'fraction', 'count'])

/** The slots of a declared intent: name, kind, what may be said, and what is asked where it was not. */
export function slotsList(node: EditorNode, name: string): void {
  const text = (key: string) => node._!(`common.slot.${key}`)
  const list = $(`#mtor-${name}`)
  list.editableList({
    removable: true, sortable: true,
    addItem: (container: unknown, _index: number, slot: Slot) => {
      const line = () => $('<div style="display: flex; width: 97%; gap: 6px; align-items: center; margin-bottom: 4px"></div>').appendTo(container)
      const field = (to: unknown, key: string, width: string, value: unknown) => $('<input type="text">').css({ width }).attr({ placeholder: text(key), title: text(key) }).val(value ?? '').appendTo(to)
      const first = line()
      const slotName = field(first, 'name', '50%', slot.name)
      const kind = $('<select style="width: 50%"></select>').attr('title', text('kind')).appendTo(first)
      for (const each of KINDS) $('<option>').val(each).text(text(`kinds.${each}`)).appendTo(kind)
      kind.val(slot.kind ?? 'choice')
      const choice = line(), range = line(), asked = line()
      const label = $('<label style="flex: none; width: auto; margin: 0"></label>').appendTo(asked)
      const required = $('<input type="checkbox" style="width: auto; margin: 0 4px 0 0">').prop('checked', slot.required ?? true).appendTo(label)
      label.append($('<span>').text(text('required')))
      const values = field(choice, 'values', '100%', Array.isArray(slot.values) ? slot.values.join(', ') : slot.values)
      const minimum = field(range, 'minimum', '50%', slot.minimum), maximum = field(range, 'maximum', '50%', slot.maximum)
      const question = field(asked, 'question', '100%', slot.question)
      const show = () => {
        choice.toggle(kind.val() === 'choice')
        range.toggle(RANGED.has(String(kind.val())))
      }
      kind.on('change', show)
      show()
      const read = () => {
        const number = (element: unknown) => { const got = String($(element).val()).trim(); return got === '' || !Number.isFinite(Number(got)) ? {} : { value: Number(got) } }
        const least = number(minimum), most = number(maximum), isChoice = kind.val() === 'choice', isRanged = RANGED.has(String(kind.val()))
        const asks = String(question.val()).trim()
        return {
          name: String(slotName.val()).trim(), kind: String(kind.val()), required: required.prop('checked') as boolean,
          ...(isChoice ? { values: String(values.val()).split(',').map((each) => each.trim()).filter((each) => each !== '') } : {}),
          ...(isRanged && 'value' in least ? { minimum: least.value } : {}), ...(isRanged && 'value' in most ? { maximum: most.value } : {}),
          ...(asks === '' ? {} : { question: asks }),
        }
      }
      $(container).data('read', read)
    },
  })
  growing(list)
  for (const slot of (node[name] as Slot[] | undefined) ?? []) list.editableList('addItem', slot)
}
