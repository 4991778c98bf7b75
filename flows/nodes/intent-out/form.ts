import { TYPE_PATTERN } from '../../editor/patterns.ts'
import type { Form } from '../../editor/form.ts'

export const form: Form = {
  type: 'mtor-intent-out', inputs: 1, outputs: 2, icon: 'mtor-submit.svg', label: 'intentType',
  fields: [
    { name: 'realm', kind: 'realm' },
    { name: 'intentType', kind: 'choose', from: 'types', pattern: `^$|${TYPE_PATTERN}` },
    { name: 'slotsFrom', kind: 'select', value: 'payload', options: ['payload', 'fields'] },
    { name: 'slots', kind: 'fields', of: 'intentType', when: { field: 'slotsFrom', is: ['fields'] } },
    { name: 'confirmed', kind: 'checkbox', value: false },
    { name: 'ttlS', kind: 'number', value: '', minimum: 0.001, maximum: 604_800, unit: 's' },
    { name: 'receiptS', kind: 'number', value: '', minimum: 0.1, maximum: 3600, unit: 's' },
    { name: 'resultS', kind: 'number', value: '', minimum: 0.1, maximum: 604_800, unit: 's' },
  ],
}
