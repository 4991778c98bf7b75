import { createHash } from 'node:crypto'

/** One node of a flow file, as Node-RED keeps it: whatever its type needs beside these. */
export interface FlowNode {
  id: string
  type: string
  /** The tab, subflow or (for a configuration node) nothing that it belongs to. */
  z?: string
  name?: string
  wires?: string[][]
  [property: string]: unknown
}
export type Flows = FlowNode[]

/** As Node-RED keeps credentials: `{ $: … }` encrypted with the node's key, or by node id. */
export type Credentials = Record<string, unknown>

/** What Node-RED calls the revision of a flow file. */
export const revisionOf = (flows: Flows): string => createHash('sha256').update(JSON.stringify(flows)).digest('hex')

/** How people know a node: its name or label, else its type and id. */
export function nameOf(node: FlowNode): string {
  const { name, label } = node
  const called = typeof name === 'string' && name !== '' ? name : typeof label === 'string' && label !== '' ? label : undefined
  return called === undefined ? `${node.type} ${node.id}` : `${node.type} “${called}”`
}
