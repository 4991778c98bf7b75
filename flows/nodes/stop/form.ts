import type { Form } from '../../editor/form.ts'

export const form: Form = {
  type: 'mtor-stop', inputs: 1, outputs: 1, icon: 'mtor-stop.svg', label: 'reason',
  fields: [
    { name: 'realm', kind: 'realm' },
    { name: 'reason', kind: 'text', pattern: '^.{0,200}$' },
    { name: 'deadMan', kind: 'checkbox', value: false },
    { name: 'deadManMs', kind: 'number', value: 1000, minimum: 100, maximum: 60_000, required: true, unit: 'ms', when: { field: 'deadMan', is: [true] } },
  ],
}
