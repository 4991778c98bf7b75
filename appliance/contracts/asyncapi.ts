import Type, { type TSchema } from 'typebox'
import { CODES } from './codes.ts'
import { Envelope, NodeName, PROTOCOL_VERSION, Receipt, IntentId } from './envelope.ts'
import { IntentEvent, SEVERITIES, SystemEvent } from './events.ts'
import { Claim, Grant, HandlerOffer, HandlerReceipt, RealmCatalogue, Task, Work } from './handlers.ts'
import { INTENTS, ROLES, type IntentDefinition } from './intents.ts'
import { RealmNodes } from './realm.ts'
import { ModelProvider, NodeState, NodeTelemetry, RoverState, WorkerHealth, WorkerOffer } from './telemetry.ts'
import { topicsOf } from './topics.ts'

/** Who may do what on one topic, relative to mtor/1/<realm>; "role:own" where only the client's own name fits the first +. */
export interface TopicRights { topic: string; publish: readonly string[]; subscribe: readonly string[] }

interface Channel { address: string; summary: string; message: string; qos: 0 | 1; retain?: boolean; parameters: Record<string, string> }

const DeviceRequest = Type.Object({}, { additionalProperties: true, description: '{ command, args }: becomes the intent device.command, with all its checks; the answer is on the receipt topic of the client' })
const StopRequest = Type.Object({}, { additionalProperties: true, description: 'The payload is not looked at: any stops, an empty one too' })

const at = topicsOf('{realm}')
const NODE = 'Name of the node'
const DEVICE = 'Id of the device in the configuration'
const WORKER = 'Name of the worker'
const CHANNELS: Record<string, Channel> = {
  intentSubmit: { address: at.submit, summary: 'Submit an intent. With QoS 1 the PUBACK says that it was answered on its receipt topic and, if accepted, is on stable storage', message: 'Envelope', qos: 1, parameters: {} },
  intentReceipt: { address: at.receipt('{intentId}'), summary: 'The answer to a submission', message: 'Receipt', qos: 1, parameters: { intentId: 'Id of the intent' } },
  intentEvent: { address: at.intentEvent('{intentId}'), summary: 'What becomes of an intent: accepted, started, progress, then exactly one final state', message: 'IntentEvent', qos: 1, parameters: { intentId: 'Id of the intent' } },
  intentTask: { address: at.task('{intentId}'), summary: 'An intent that waits for a handler', message: 'Task', qos: 1, parameters: { intentId: 'Id of the intent' } },
  intentClaim: { address: at.claim('{intentId}'), summary: 'A handler asks for an intent; it does not begin before the grant names it', message: 'Claim', qos: 1, parameters: { intentId: 'Id of the intent' } },
  intentGrant: { address: at.grant('{intentId}'), summary: 'Which handler has an intent', message: 'Grant', qos: 1, parameters: { intentId: 'Id of the intent' } },
  intentWork: { address: at.work('{intentId}'), summary: 'What its handler reports: progress, then once how it ended', message: 'Work', qos: 1, parameters: { intentId: 'Id of the intent' } },
  handlerOffer: { address: at.handlerOffer('{clientId}'), summary: 'What a handler handles and declares, retained; its will says online: false; an empty message withdraws it', message: 'HandlerOffer', qos: 1, retain: true, parameters: { clientId: 'MQTT client id' } },
  handlerReceipt: { address: at.handlerReceipt('{clientId}'), summary: 'What became of an offer', message: 'HandlerReceipt', qos: 1, parameters: { clientId: 'MQTT client id' } },
  catalogue: { address: at.catalogue, summary: 'Intent types, devices and components to choose from, retained', message: 'RealmCatalogue', qos: 1, retain: true, parameters: {} },
  clientReceipt: { address: at.clientReceipt('{clientId}'), summary: 'Answers to what was too broken to have an id, or not allowed', message: 'Receipt', qos: 1, parameters: { clientId: 'MQTT client id' } },
  nodeState: { address: at.nodeState('{node}'), summary: 'State of a node, retained; the will says online: false', message: 'NodeState', qos: 1, retain: true, parameters: { node: NODE } },
  nodeTelemetry: { address: at.telemetry('{node}', '{packet}'), summary: 'Telemetry packets of a node', message: 'NodeTelemetry', qos: 0, parameters: { node: NODE, packet: 'Which packet, such as node' } },
  systemEvent: { address: at.event('{severity}' as 'info', '{component}'), summary: 'What happened to the appliance itself', message: 'SystemEvent', qos: 0, parameters: { severity: `One of ${SEVERITIES.join(', ')}`, component: 'Which part' } },
  deviceState: { address: at.deviceState('{device}'), summary: 'State of a device as the node knows it that commands it, retained; a value that could not be read is absent', message: 'DeviceState', qos: 0, parameters: { device: DEVICE } },
  deviceCommand: { address: at.deviceCommand('{device}'), summary: 'A request to the appliance, never seen by the device as it is', message: 'DeviceRequest', qos: 1, parameters: { device: DEVICE } },
  workerOffer: { address: at.workerOffer('{worker}'), summary: 'What a worker can do, such as the models a node of the realm runs for the others, retained', message: 'WorkerOffer', qos: 1, retain: true, parameters: { worker: WORKER } },
  workerHealth: { address: at.workerHealth('{worker}'), summary: 'How a worker is, with a score from 0 to 100, retained', message: 'WorkerHealth', qos: 0, retain: true, parameters: { worker: WORKER } },
  inferenceProvider: { address: at.inferenceProvider('{model}'), summary: 'Which execution provider runs a model, as proven, retained', message: 'ModelProvider', qos: 0, retain: true, parameters: { model: 'Name of the model' } },
  realmNodes: { address: at.realmNodes, summary: 'The nodes of the realm and where to connect to them, as the node sees it that says so, retained', message: 'RealmNodes', qos: 1, retain: true, parameters: {} },
  stop: { address: at.stop, summary: 'Emergency stop: acted on before anything else, not queued, not journalled first', message: 'StopRequest', qos: 0, parameters: {} },
}

const MESSAGES: Record<string, TSchema> = { Envelope, Receipt, IntentEvent, Task, Claim, Grant, Work, HandlerOffer, HandlerReceipt, RealmCatalogue, SystemEvent, NodeState, NodeTelemetry, DeviceState: RoverState, ModelProvider, WorkerOffer, WorkerHealth, RealmNodes, DeviceRequest, StopRequest }

/** `mtor/1/{realm}/node/{node}/state` as the table of rights writes it: `node/+/state`. */
const relative = (address: string) => address.slice(`${at.root}/`.length).replaceAll(/\{\w+\}/g, '+')

const slotsName = (definition: IntentDefinition) => `slots.${definition.type}`

/**
 * The AsyncAPI 3.0 document of the bus, from the point of view of a client: it sends what it may publish and receives
 * what it may subscribe to. `rights` is the table by which the bus decides, so that document and bus cannot differ.
 */
export function asyncApiDocument(rights: readonly TopicRights[]): Record<string, unknown> {
  const channels: Record<string, unknown> = {}
  const operations: Record<string, unknown> = {}
  for (const [name, channel] of Object.entries(CHANNELS)) {
    const own = rights.find((row) => row.topic === relative(channel.address))
    channels[name] = {
      address: channel.address,
      summary: channel.summary,
      parameters: { realm: { description: 'Name of the realm' }, ...Object.fromEntries(Object.entries(channel.parameters).map(([key, description]) => [key, { description }])) },
      messages: { [channel.message]: { $ref: `#/components/messages/${channel.message}` } },
    }
    for (const [action, grants] of [['send', own?.publish ?? []], ['receive', own?.subscribe ?? []]] as const) {
      if (grants.length === 0) continue
      operations[`${action}.${name}`] = {
        action,
        channel: { $ref: `#/channels/${name}` },
        summary: channel.summary,
        messages: [{ $ref: `#/channels/${name}/messages/${channel.message}` }],
        tags: grants.map((grant) => ({ name: grant.replace(/:own$/, ''), ...(grant.endsWith(':own') ? { description: 'Only under its own name' } : {}) })),
        bindings: { mqtt: { qos: channel.qos, ...(action === 'send' ? { retain: channel.retain ?? false } : {}), bindingVersion: '0.2.0' } },
      }
    }
  }
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'MTOR Appliance bus',
      version: String(PROTOCOL_VERSION),
      description: 'Generated from the schemas in appliance/contracts. MQTT 3.1.1; every payload is one JSON object in UTF-8. The tags of an operation are the roles that may do it. Topics below mtor/1/<realm>/app/ are free for integrators: any payload, any depth.',
      license: { name: 'GPL-3.0-or-later', url: 'https://www.gnu.org/licenses/gpl-3.0.html' },
      tags: ROLES.map((name) => ({ name, description: `Role ${name}` })),
    },
    defaultContentType: 'application/json',
    servers: {
      tcp: { host: '127.0.0.1:1883', protocol: 'mqtt', protocolVersion: '3.1.1', description: 'As configured in bus.listeners; beyond loopback it is mqtts' },
      websocket: { host: '127.0.0.1:9001', protocol: 'ws', protocolVersion: '3.1.1', description: 'MQTT over WebSocket' },
    },
    channels,
    operations,
    components: {
      messages: Object.fromEntries(Object.keys(MESSAGES).map((name) => [name, { name, contentType: 'application/json', payload: { $ref: `#/components/schemas/${name}` } }])),
      schemas: {
        ...MESSAGES,
        IntentId,
        NodeName,
        Code: { type: 'string', enum: Object.keys(CODES), description: 'The catalogue of codes', 'x-codes': CODES },
        ...Object.fromEntries((INTENTS as readonly IntentDefinition[]).map((definition) => [slotsName(definition), { title: definition.title, ...definition.slots }])),
      },
    },
    'x-intents': Object.fromEntries((INTENTS as readonly IntentDefinition[]).map((definition) => [definition.type, {
      title: definition.title, policy: definition.policy, slots: { $ref: `#/components/schemas/${slotsName(definition)}` },
    }])),
  }
}
