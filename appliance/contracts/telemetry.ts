import Type, { type Static } from 'typebox'
import { Instant, NodeName, PROTOCOL_VERSION } from './envelope.ts'

/** Retained on node/<node>/state; the will publishes it with online: false. */
export const NodeState = Type.Object({
  v: Type.Literal(PROTOCOL_VERSION),
  node: NodeName,
  online: Type.Boolean(),
  version: Type.Optional(Type.String()),
  mode: Type.Optional(Type.String()),
  armed: Type.Optional(Type.Boolean()),
  devices: Type.Optional(Type.Record(Type.String(), Type.String({ description: 'connected, lost …' }))),
  speech: Type.Optional(Type.String()),
  role: Type.Optional(Type.String({ description: 'In a realm: full or witness' })),
  protocol: Type.Optional(Type.Integer({ minimum: 1, description: 'In a realm: what it speaks with the other nodes; it understands the one before too' })),
  schema: Type.Optional(Type.Integer({ minimum: 1, description: 'In a realm: version of the records of the shared journal that it writes' })),
  envelope: Type.Optional(Type.Integer({ minimum: 1, description: 'In a realm: the newest v of messages that it understands' })),
  at: Type.Optional(Instant),
}, { additionalProperties: false })
export type NodeState = Static<typeof NodeState>

/** Packet `node` on node/<node>/telemetry/node. */
export const NodeTelemetry = Type.Object({
  v: Type.Literal(PROTOCOL_VERSION),
  at: Instant,
  coreRssBytes: Type.Integer({ minimum: 0 }),
  speechRssBytes: Type.Optional(Type.Integer({ minimum: 0 })),
  eventLoopP99Ms: Type.Number({ minimum: 0 }),
  load1: Type.Number({ minimum: 0 }),
  journalQueue: Type.Integer({ minimum: 0 }),
  intentsAccepted: Type.Integer({ minimum: 0 }),
  intentsFinished: Type.Integer({ minimum: 0 }),
}, { additionalProperties: false })
export type NodeTelemetry = Static<typeof NodeTelemetry>

/** State of a rover on device/<device>/state. A value that could not be read is absent, never zero. */
export const RoverState = Type.Object({
  connected: Type.Boolean(),
  ageMs: Type.Optional(Type.Number({ minimum: 0, description: 'Age of the values below, ms' })),
  moving: Type.Optional(Type.Boolean()),
  stalled: Type.Optional(Type.Boolean()),
  xM: Type.Optional(Type.Number()), yM: Type.Optional(Type.Number()),
  odometerM: Type.Optional(Type.Number({ description: 'Distance travelled by the wheels, m' })),
  headingDeg: Type.Optional(Type.Number({ description: 'Counter-clockwise from start, degrees' })),
  speedMps: Type.Optional(Type.Number()),
  batteryV: Type.Optional(Type.Number()),
  batteryFraction: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  temperatureC: Type.Optional(Type.Number()),
  lightFraction: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  epoch: Type.Optional(Type.Integer({ minimum: 0 })),
}, { additionalProperties: false })
export type RoverState = Static<typeof RoverState>

/** Retained on inference/<model>/provider: which execution provider runs a model, as profiling has proven. */
export const ModelProvider = Type.Object({
  v: Type.Literal(PROTOCOL_VERSION),
  at: Instant,
  node: NodeName,
  model: Type.String(),
  version: Type.String(),
  provider: Type.String({ description: 'tensorrt, cuda, webgpu, cpu, wasm' }),
  nodeCounts: Type.Record(Type.String(), Type.Integer({ minimum: 0 }), { description: 'Nodes of the graph by the provider that ran them' }),
}, { additionalProperties: false })
export type ModelProvider = Static<typeof ModelProvider>
