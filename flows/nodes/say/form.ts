import type { Form } from '../../editor/form.ts'

export const form: Form = {
  type: 'mtor-say', inputs: 1, outputs: 1, icon: 'mtor-say.svg', label: 'text',
  fields: [
    { name: 'realm', kind: 'realm' },
    { name: 'text', kind: 'typed', value: 'payload', valueType: 'msg', types: ['msg', 'str', 'flow', 'global', 'jsonata'], icon: 'volume-up' },
    { name: 'interrupt', kind: 'checkbox', value: false },
  ],
}
