import type { Form } from '../../editor/form.ts'

const command = { field: 'mode', is: ['command'] }

export const form: Form = {
  type: 'mtor-device', inputs: 1, outputs: 2, icon: 'mtor-device.svg', label: 'device',
  fields: [
    { name: 'realm', kind: 'realm' },
    { name: 'mode', kind: 'select', value: 'command', options: ['command', 'state'] },
    { name: 'device', kind: 'choose', from: 'devices', pattern: '^$|^[a-z][a-z0-9-]{0,31}$', icon: 'gamepad' },
    { name: 'command', kind: 'choose', from: 'commands', pattern: '^$|^[a-z][a-zA-Z0-9-]{0,31}$', icon: 'play', when: command },
    { name: 'argsFrom', kind: 'select', value: 'fields', options: ['payload', 'fields'], when: command },
    { name: 'args', kind: 'fields', of: 'command', when: { field: 'argsFrom', is: ['fields'], and: command } },
    { name: 'resultS', kind: 'number', value: '', minimum: 0.1, maximum: 3600, unit: 's', when: command },
  ],
}
