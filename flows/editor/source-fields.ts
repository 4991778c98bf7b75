import type { Field } from './form.ts'

const only = (source: string) => ({ field: 'source', is: [source] })

/** Where values are read, for nodes that watch them. */
export const sourceFields = (...more: readonly string[]): Field[] => [
  { name: 'source', kind: 'select', value: more[0] ?? 'device', options: [...more, 'device', 'node', 'app'], icon: 'dashboard' },
  { name: 'device', kind: 'choose', from: 'devices', pattern: '^$|^[a-z][a-z0-9-]{0,31}$', icon: 'gamepad', when: only('device') },
  { name: 'node', kind: 'text', pattern: '^$|^[a-z0-9][a-z0-9-]{0,62}$', icon: 'server', when: only('node') },
  { name: 'packet', kind: 'choose', from: 'packets', pattern: '^[a-zA-Z0-9-]{0,64}$', value: 'node', icon: 'cube', when: only('node') },
  { name: 'appTopic', kind: 'text', pattern: '^$|^[^/\\s][^\\s]{0,199}$', placeholder: 'zigbee2mqtt/+', icon: 'plug', when: only('app') },
]
