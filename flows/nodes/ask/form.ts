import type { AnswerKind } from '../../../appliance/contracts/intents.ts'
import type { Form } from '../../editor/form.ts'

// By name: the contract itself would bring its schemas into the page.
const KINDS = ['yes-no', 'confirm', 'choice', 'length', 'angle', 'speed', 'duration', 'fraction', 'count', 'text'] as const satisfies readonly AnswerKind[]

export const form: Form = {
  type: 'mtor-ask', inputs: 1, outputs: 2, icon: 'mtor-ask.svg', label: 'question',
  fields: [
    { name: 'realm', kind: 'realm' },
    { name: 'question', kind: 'typed', value: '', valueType: 'str', types: ['str', 'msg', 'flow', 'global', 'jsonata'], icon: 'question' },
    { name: 'answerKind', kind: 'select', value: 'yes-no', options: KINDS },
    { name: 'values', kind: 'text', placeholder: 'port, starboard', when: { field: 'answerKind', is: ['choice'] } },
    { name: 'timeoutS', kind: 'number', value: '', minimum: 2, maximum: 120, unit: 's' },
  ],
}
