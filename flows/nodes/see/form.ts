import type { Form } from '../../editor/form.ts'

export const form: Form = {
  type: 'mtor-see', inputs: 1, outputs: 1, icon: 'mtor-see.svg', label: 'what',
  fields: [
    { name: 'realm', kind: 'realm' },
    { name: 'what', kind: 'select', value: 'vision.describe', options: ['camera.capture', 'vision.describe', 'vision.find', 'vision.read'], icon: 'eye' },
    { name: 'object', kind: 'typed', value: 'person', valueType: 'str', types: ['str', 'msg', 'flow', 'global', 'jsonata'], when: { field: 'what', is: ['vision.find'] } },
    { name: 'load', kind: 'checkbox', value: false },
  ],
}
