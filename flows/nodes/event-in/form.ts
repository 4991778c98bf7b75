import type { Form } from '../../editor/form.ts'

export const form: Form = {
  type: 'mtor-event-in', inputs: 0, outputs: 1, icon: 'mtor-event.svg', label: 'component',
  fields: [
    { name: 'realm', kind: 'realm' },
    { name: 'severity', kind: 'select', value: 'info', options: ['debug', 'info', 'warning', 'error', 'critical'], icon: 'exclamation-triangle' },
    { name: 'component', kind: 'choose', from: 'components', pattern: '^$|^[a-z0-9-]{1,32}$', icon: 'cubes' },
    { name: 'event', kind: 'text', pattern: '^[a-zA-Z0-9.*-]{0,64}$', placeholder: 'device.*', icon: 'bell-o' },
  ],
}
