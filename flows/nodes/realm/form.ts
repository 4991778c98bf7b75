import type { Form } from '../../editor/form.ts'

export const form: Form = {
  type: 'mtor-realm', config: true, label: 'realm',
  fields: [
    { name: 'url', kind: 'text', pattern: '^$|^(mqtts?|wss?)://.+', placeholder: 'mqtt://127.0.0.1:1883', icon: 'globe' },
    { name: 'tls', kind: 'tls', icon: 'lock' },
    { name: 'realm', kind: 'text', pattern: '^$|^[a-z0-9][a-z0-9-]{0,62}$', placeholder: 'home', icon: 'home' },
    { name: 'username', kind: 'username', credential: true, icon: 'user' },
    { name: 'password', kind: 'password', credential: true, icon: 'key' },
    { name: 'clientId', kind: 'text', pattern: '^[^\\s/+#]{0,100}$', icon: 'id-card-o' },
    { name: 'keepaliveS', kind: 'number', value: 15, minimum: 1, maximum: 3600, unit: 's' },
    { name: 'reconnectS', kind: 'number', value: 2, minimum: 0.1, maximum: 3600, unit: 's' },
    { name: 'realmNote', kind: 'note' },
  ],
}
