import type { FlowNode, Flows } from './flow.ts'

/** The intent type with which the core proves that flows run. */
export const PROBE_TYPE = 'flow.probe'

const OURS = 'mtorprobe'
const id = (part: string) => `${OURS}${part.padStart(7, '0')}`
export const PROBE_TAB = id('tab')

/**
 * The built-in flow through which a probe intent goes: core → bus → Node-RED → bus → core. It has a connection of its own,
 * since two with one client id would throw each other out, and takes several at once: a probe that was shown before a crash
 * must not keep the next one waiting.
 * @param clientId MQTT client id of the probe's connection
 */
export const probeFlow = (clientId: string): FlowNode[] => [
  { id: PROBE_TAB, type: 'tab', label: 'MTOR probe', disabled: false, locked: true, info: 'The appliance sends an intent through this flow to prove that flows run. It comes back by itself.' },
  { id: id('realm'), type: 'mtor-realm', name: 'MTOR probe', clientId },
  { id: id('in'), type: 'mtor-intent-in', z: PROBE_TAB, name: '', realm: id('realm'), intentType: PROBE_TYPE, concurrent: 20, failOnError: true, x: 180, y: 80, wires: [[id('out')], []] },
  { id: id('out'), type: 'mtor-intent-result', z: PROBE_TAB, name: '', outcome: 'succeeded', data: 'payload', dataType: 'msg', x: 420, y: 80, wires: [] },
]

/** The types it needs. */
export const PROBE_NODE_TYPES: readonly string[] = ['mtor-realm', 'mtor-intent-in', 'mtor-intent-result']

export const isProbe = (node: Pick<FlowNode, 'id' | 'z'>): boolean => node.id.startsWith(OURS) || (typeof node.z === 'string' && node.z.startsWith(OURS))

/** What people made, without the probe. */
export const withoutProbe = (flows: Flows): Flows => flows.filter((node) => !isProbe(node))

/** The same with the probe as it must be, behind: the editor opens on the first tab. */
export const withProbe = (flows: Flows, clientId: string): Flows => [...withoutProbe(flows), ...probeFlow(clientId)]

/** True where the probe is there, unchanged. Where it stands on the canvas is no matter. */
export function hasProbe(flows: Flows, clientId: string): boolean {
  const there = new Map(flows.map((node) => [node.id, node]))
  return probeFlow(clientId).every((wanted) => {
    const node = there.get(wanted.id)
    return node !== undefined && Object.entries(wanted).every(([key, value]) => key === 'x' || key === 'y' || JSON.stringify(node[key]) === JSON.stringify(value)) && node['d'] !== true
  })
}
