import { TYPE_PATTERN } from '../../editor/patterns.ts'
import type { Form } from '../../editor/form.ts'
import { sourceFields } from '../../editor/source-fields.ts'

const action = { field: 'action', is: [true] }

export const form: Form = {
  type: 'mtor-limit', inputs: 1, outputs: 2, icon: 'mtor-limit.svg', label: 'property',
  fields: [
    { name: 'realm', kind: 'realm', optional: true },
    ...sourceFields('input'),
    // Of a message it is the payload, unless told otherwise; what a source tells has many values.
    { name: 'property', kind: 'choose', from: 'values', required: { field: 'source', is: ['device', 'node', 'app'] }, icon: 'ellipsis-h' },
    { name: 'above', kind: 'number', value: '', needsOneOf: ['above', 'below'], icon: 'arrow-up' },
    { name: 'below', kind: 'number', value: '', needsOneOf: ['above', 'below'], icon: 'arrow-down' },
    { name: 'hysteresis', kind: 'number', value: 0, minimum: 0, icon: 'arrows-v' },
    { name: 'count', kind: 'number', value: 3, minimum: 1, maximum: 10_000, required: true, icon: 'repeat' },
    { name: 'rearm', kind: 'select', value: 'recovery', options: ['recovery', 'time', 'manual'] },
    { name: 'rearmS', kind: 'number', value: 60, minimum: 1, maximum: 604_800, unit: 's', when: { field: 'rearm', is: ['time'] } },
    { name: 'action', kind: 'checkbox', value: false },
    { name: 'intentType', kind: 'choose', from: 'types', pattern: `^$|${TYPE_PATTERN}`, when: action },
    { name: 'slots', kind: 'fields', of: 'intentType', when: action },
    { name: 'confirmed', kind: 'checkbox', value: false, when: action },
  ],
}
