import type { FlowNode } from './flow.ts'

/** What the editor opens with where nothing is deployed: an empty tab, and this appliance to choose as realm. Kept only once somebody deploys it. */
export const starterFlow = (): FlowNode[] => [
  { id: 'mtorstart0000tab', type: 'tab', label: 'Flow 1', disabled: false, info: '', env: [] },
  { id: 'mtorstart00realm', type: 'mtor-realm', name: 'this appliance', url: '', tls: '', realm: '', clientId: '', keepaliveS: 15, reconnectS: 2 },
]
