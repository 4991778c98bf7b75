import type { Form } from '../../editor/form.ts'
import { sourceFields } from '../../editor/source-fields.ts'

export const form: Form = {
  type: 'mtor-telemetry-in', inputs: 0, outputs: 1, icon: 'mtor-telemetry.svg', label: 'property',
  fields: [
    { name: 'realm', kind: 'realm' },
    ...sourceFields(),
    { name: 'property', kind: 'choose', from: 'values', icon: 'ellipsis-h' },
    { name: 'emit', kind: 'select', value: 'change', options: ['change', 'every'] },
  ],
}
