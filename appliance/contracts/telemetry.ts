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
  devices: Type.Optional(Type.Record(Type.String(), Type.String({ description: 'connected, lost …' }), { description: 'How its own lines are, whoever commands the devices' })),
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

/** State of a rover, retained on device/<device>/state. A value that could not be read is absent, never zero. */
export const RoverState = Type.Object({
  connected: Type.Boolean({ description: 'False too where no node commands it' }),
  node: Type.Optional(Type.String({ ...NodeName, description: 'Who says so: the node that commands it; where none does for some seconds, one that has noticed' })),
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

const Score = Type.Number({ minimum: 0, maximum: 100, description: '0: it answers nothing now; 100: proven, idle, no recent fault' })
const Quantiles = { p50Ms: Type.Optional(Type.Number({ minimum: 0 })), p95Ms: Type.Optional(Type.Number({ minimum: 0 })) }
const ModelName = Type.String({ minLength: 1, maxLength: 64 })

/** Retained on worker/<node>/offer: the models that a node runs for the others of its realm. */
export const WorkerOffer = Type.Object({
  v: Type.Literal(PROTOCOL_VERSION),
  at: Instant,
  node: NodeName,
  models: Type.Array(Type.Object({
    model: ModelName,
    version: Type.String({ maxLength: 64 }),
    task: Type.String({ maxLength: 32 }),
    identity: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 over task, version, files, options and known answers: equal where two nodes have the same model' }),
    provider: Type.Optional(Type.String({ maxLength: 64, description: 'tensorrt, cuda, webgpu, cpu, wasm; once it is loaded' })),
    proven: Type.Boolean({ description: 'Loaded, and its known answers came out right' }),
    memoryMB: Type.Integer({ minimum: 0, description: 'What a worker needs with it loaded' }),
  }, { additionalProperties: false }), { maxItems: 256 }),
}, { additionalProperties: false })
export type WorkerOffer = Static<typeof WorkerOffer>

/** Retained on worker/<node>/health: how a node that offers models is, as it finds itself, or as another finds it that has lost it. */
export const WorkerHealth = Type.Object({
  v: Type.Literal(PROTOCOL_VERSION),
  at: Instant,
  node: NodeName,
  by: Type.Optional(Type.String({ ...NodeName, description: 'Who says so, where it is not the node itself' })),
  score: Score,
  why: Type.Optional(Type.String({ maxLength: 200, description: 'What takes most of the score' })),
  load1: Type.Optional(Type.Number({ minimum: 0, description: 'Load average of one minute, by cores' })),
  workers: Type.Optional(Type.Integer({ minimum: 0, description: 'Worker processes' })),
  rssBytes: Type.Optional(Type.Integer({ minimum: 0, description: 'Memory of its worker processes' })),
  availableBytes: Type.Optional(Type.Integer({ minimum: 0, description: 'Memory that is to be had on the board' })),
  models: Type.Array(Type.Object({
    model: ModelName,
    score: Score,
    queue: Type.Integer({ minimum: 0, description: 'Requests that run or wait where it runs' }),
    ...Quantiles,
    fault: Type.Optional(Type.String({ maxLength: 200, description: 'The last fault, of the last minute' })),
  }, { additionalProperties: false }), { maxItems: 256 }),
  avoids: Type.Array(Type.Object({ node: NodeName, model: ModelName, code: Type.String({ maxLength: 64 }) }, { additionalProperties: false }), { maxItems: 1_024, description: 'Whom this node does not ask at present, and why' }),
}, { additionalProperties: false })
export type WorkerHealth = Static<typeof WorkerHealth>
