import { CODES } from '../../../appliance/contracts/codes.ts'
import type { Form } from '../../editor/form.ts'

export const form: Form = {
  type: 'mtor-intent-result', inputs: 1, outputs: 0, icon: 'mtor-result.svg', label: 'outcome', end: true,
  fields: [
    { name: 'outcome', kind: 'select', value: 'succeeded', options: ['succeeded', 'failed', 'progress'] },
    { name: 'code', kind: 'select', value: '', options: ['', ...Object.keys(CODES)], raw: true, when: { field: 'outcome', is: ['failed'] } },
    { name: 'say', kind: 'typed', value: '', valueType: 'str', types: ['str', 'msg', 'flow', 'global', 'jsonata'], icon: 'volume-up', when: { field: 'outcome', is: ['succeeded', 'failed'] } },
    { name: 'message', kind: 'typed', value: '', valueType: 'str', types: ['str', 'msg', 'flow', 'global', 'jsonata'], when: { field: 'outcome', is: ['failed', 'progress'] } },
    { name: 'data', kind: 'typed', value: 'payload', valueType: 'msg', types: ['msg', 'json', 'flow', 'global', 'jsonata'] },
  ],
}
