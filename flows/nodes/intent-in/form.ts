import { TYPE_PATTERN } from '../../editor/patterns.ts'
import type { Form } from '../../editor/form.ts'

export const form: Form = {
  type: 'mtor-intent-in', inputs: 0, outputs: 2, icon: 'mtor-intent.svg', label: 'intentType',
  fields: [
    { name: 'realm', kind: 'realm' },
    { name: 'intentType', kind: 'choose', from: 'handled', required: true, pattern: TYPE_PATTERN },
    { name: 'concurrent', kind: 'number', value: 1, minimum: 1, maximum: 100, required: true },
    { name: 'failOnError', kind: 'checkbox', value: true },
  ],
}
