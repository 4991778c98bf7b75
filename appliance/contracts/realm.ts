import Type, { type Static } from 'typebox'
import { Instant, NodeName, PROTOCOL_VERSION } from './envelope.ts'

/** One listener of a node, as a client may use it. */
export const NodeAddress = Type.Object({
  kind: Type.Enum(['tcp', 'ws'], { description: 'MQTT over TCP or over WebSocket' }),
  host: Type.String({ minLength: 1, maxLength: 253 }),
  port: Type.Integer({ minimum: 1, maximum: 65_535 }),
  tls: Type.Boolean(),
}, { additionalProperties: false })
export type NodeAddress = Static<typeof NodeAddress>

/**
 * Retained on realm/nodes: where a client may go when its node is lost. Every node says it as it sees it itself, and
 * only to its own clients: behind a cut, the two sides see different nodes.
 */
export const RealmNodes = Type.Object({
  v: Type.Literal(PROTOCOL_VERSION),
  at: Instant,
  node: Type.String({ ...NodeName, description: 'Which node says so' }),
  nodes: Type.Array(Type.Object({
    node: NodeName,
    online: Type.Boolean({ description: 'As seen from the node that says so' }),
    role: Type.Enum(['full', 'witness']),
    addresses: Type.Array(NodeAddress, { description: 'Its listeners that can be reached from elsewhere; those that were known last while it is offline' }),
  }, { additionalProperties: false }), { description: 'Sorted by name, the node itself among them' }),
}, { additionalProperties: false })
export type RealmNodes = Static<typeof RealmNodes>
