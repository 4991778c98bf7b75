import type { FlowNode } from '../../flows/runtime/flow.ts'

/** A flow that carries out an intent type of its own, samples.count. */
export const GOOD_FLOW: readonly FlowNode[] = [
  { id: 'good0tab', type: 'tab', label: 'Good', disabled: false },
  { id: 'good0realm', type: 'mtor-realm', name: 'this appliance', url: '', tls: '', realm: '', clientId: '' },
  { id: 'good0define', type: 'mtor-intent-define', z: 'good0tab', name: '', realm: 'good0realm', intentType: 'samples.count', title: 'Count the samples', slots: [], sentences: ['count the samples'], actuates: false, hazardous: false, repeatable: true, deadlineS: 10, x: 160, y: 40, wires: [] },
  { id: 'good0in', type: 'mtor-intent-in', z: 'good0tab', name: '', realm: 'good0realm', intentType: 'samples.count', concurrent: 4, x: 160, y: 100, wires: [['good0code'], []] },
  { id: 'good0code', type: 'function', z: 'good0tab', name: 'count', func: 'msg.payload = { samples: 3 }\nreturn msg', outputs: 1, timeout: 0, noerr: 0, initialize: '', finalize: '', libs: [], x: 340, y: 100, wires: [['good0result']] },
  { id: 'good0result', type: 'mtor-intent-result', z: 'good0tab', name: '', realm: 'good0realm', outcome: 'succeeded', say: 'Three samples.', sayType: 'str', data: 'payload', dataType: 'msg', x: 520, y: 100, wires: [] },
]
