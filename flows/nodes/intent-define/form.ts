import { TYPE_PATTERN } from '../../editor/patterns.ts'
import type { Form } from '../../editor/form.ts'

export const form: Form = {
  type: 'mtor-intent-define', inputs: 0, outputs: 0, icon: 'mtor-define.svg', label: 'intentType',
  fields: [
    { name: 'realm', kind: 'realm' },
    { name: 'intentType', kind: 'text', required: true, pattern: TYPE_PATTERN, placeholder: 'airlock.open', icon: 'comment-o' },
    { name: 'title', kind: 'text', required: true, placeholder: 'Open the airlock', pattern: '^.{1,80}$' },
    { name: 'sentences', kind: 'lines', rows: 5 },
    { name: 'slots', kind: 'slots' },
    { name: 'actuates', kind: 'checkbox', value: false },
    { name: 'hazardous', kind: 'checkbox', value: false },
    { name: 'repeatable', kind: 'checkbox', value: false },
    { name: 'deadlineS', kind: 'number', value: 60, minimum: 0.1, maximum: 3600, required: true, unit: 's' },
  ],
}
