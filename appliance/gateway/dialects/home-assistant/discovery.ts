import { MODES } from '../../../contracts/intents.ts'
import type { Topics } from '../../../contracts/topics.ts'

/** What is told of the box; everything else follows from it, so that the ids stay the same over restarts. */
export interface About {
  prefix: string
  realm: string
  node: string
  version: string
  topics: Topics
  devices: readonly { id: string; driver: 'rover' }[]
  speech: boolean
  camera: boolean
}

/** One entity: how Home Assistant shows a value that is on the bus already, or what it may ask for. */
interface Entity {
  component: 'sensor' | 'binary_sensor' | 'select' | 'light' | 'button' | 'text' | 'event'
  id: string
  name: string
  /** The device it belongs to; left out: the node. */
  device?: string
  config: Record<string, unknown>
}
export interface DiscoveryMessage { topic: string; payload: Record<string, unknown> }

/** Node telemetry comes every ten seconds; after this long without, what it told is not known any more, s. */
const TELEMETRY_EXPIRES_S = 60
/** Home Assistant keeps at most so many characters of a state. @see https://developers.home-assistant.io/docs/core/entity/ */
const MAX_STATE = 255
export const BRIGHTNESS_SCALE = 100
export const HEARD_EVENTS = ['wake', 'keyword'] as const

/** Where an entity's commands come in, and where what only this dialect tells goes out. */
export const homeTopics = (topics: Topics, node: string) => {
  const base = `${topics.root}/app/home-assistant/${node}`
  return { command: (id: string) => `${base}/${id}/set`, commands: `${base}/+/set`, answer: `${base}/answer`, heard: `${base}/heard`, word: `${base}/word` }
}

// A value that could not be read is absent: "None" is Home Assistant's word for unknown, which no zero is.
const value = (key: string) => `{{ value_json.${key} | default(None) }}`
const rounded = (key: string, digits: number, factor = 1) => `{{ (value_json.${key} * ${factor}) | round(${digits}) if value_json.${key} is defined else None }}`
const flag = (key: string) => `{{ ('ON' if value_json.${key} else 'OFF') if value_json.${key} is defined else None }}`

function roverEntities(device: string, topics: Topics, command: (id: string) => string, withLights: boolean): Entity[] {
  const state = topics.deviceState(device)
  const entity = (component: Entity['component'], id: string, name: string, config: Record<string, unknown>): Entity => ({ component, id: `${device}-${id}`, name, device, config: { state_topic: state, ...config } })
  const measured = { state_class: 'measurement' }
  const sensors = [
    entity('sensor', 'battery-voltage', 'Battery voltage', { ...measured, device_class: 'voltage', unit_of_measurement: 'V', value_template: rounded('batteryV', 2) }),
    entity('sensor', 'battery', 'Battery', { ...measured, device_class: 'battery', unit_of_measurement: '%', value_template: rounded('batteryFraction', 0, 100) }),
    entity('sensor', 'temperature', 'Temperature', { ...measured, device_class: 'temperature', unit_of_measurement: '°C', value_template: rounded('temperatureC', 1) }),
    entity('sensor', 'heading', 'Heading', { ...measured, unit_of_measurement: '°', icon: 'mdi:compass', value_template: rounded('headingDeg', 0) }),
    entity('sensor', 'speed', 'Speed', { ...measured, device_class: 'speed', unit_of_measurement: 'm/s', value_template: rounded('speedMps', 2) }),
    entity('sensor', 'odometer', 'Odometer', { state_class: 'total_increasing', device_class: 'distance', unit_of_measurement: 'm', value_template: rounded('odometerM', 1) }),
    entity('binary_sensor', 'connected', 'Connected', { device_class: 'connectivity', entity_category: 'diagnostic', value_template: flag('connected') }),
    entity('binary_sensor', 'moving', 'Moving', { device_class: 'moving', value_template: flag('moving') }),
    entity('binary_sensor', 'stalled', 'Stalled', { device_class: 'problem', value_template: flag('stalled') }),
  ]
  if (!withLights) return sensors
  return [...sensors, entity('light', 'lights', 'Lights', {
    schema: 'basic', command_topic: command(`${device}-lights`), payload_on: 'ON', payload_off: 'OFF',
    state_value_template: "{{ ('ON' if value_json.lightFraction > 0 else 'OFF') if value_json.lightFraction is defined else None }}",
    brightness_command_topic: command(`${device}-lights-brightness`), brightness_scale: BRIGHTNESS_SCALE, brightness_state_topic: state,
    // An empty brightness is ignored, where "None" would be an error.
    brightness_value_template: `{{ (value_json.lightFraction * ${BRIGHTNESS_SCALE}) | round(0) | int if value_json.lightFraction is defined else '' }}`,
    on_command_type: 'brightness',
  })]
}

function nodeEntities({ topics, node, speech, camera }: About): Entity[] {
  const { command, answer, heard, word } = homeTopics(topics, node)
  const entity = (component: Entity['component'], id: string, name: string, config: Record<string, unknown>): Entity => ({ component, id, name, config })
  const telemetry = { state_topic: topics.telemetry(node, 'node'), expire_after: TELEMETRY_EXPIRES_S, entity_category: 'diagnostic' }
  const measured = { ...telemetry, state_class: 'measurement' }
  const short = `{{ value[:${MAX_STATE}] }}`
  return [
    entity('sensor', 'core-memory', 'Core memory', { ...measured, device_class: 'data_size', unit_of_measurement: 'MB', value_template: rounded('coreRssBytes', 1, 1e-6) }),
    entity('sensor', 'load', 'Load', { ...measured, icon: 'mdi:gauge', value_template: rounded('load1', 2) }),
    entity('sensor', 'event-loop', 'Event loop delay', { ...measured, device_class: 'duration', unit_of_measurement: 'ms', value_template: rounded('eventLoopP99Ms', 1) }),
    entity('sensor', 'intents-accepted', 'Intents accepted', { ...telemetry, state_class: 'total_increasing', icon: 'mdi:inbox-arrow-down', value_template: value('intentsAccepted') }),
    entity('sensor', 'intents-finished', 'Intents finished', { ...telemetry, state_class: 'total_increasing', icon: 'mdi:check-all', value_template: value('intentsFinished') }),
    entity('select', 'mode', 'Mode', { state_topic: topics.nodeState(node), value_template: value('mode'), command_topic: command('mode'), options: [...MODES], icon: 'mdi:shield-check' }),
    entity('binary_sensor', 'armed', 'Drive armed', { state_topic: topics.nodeState(node), value_template: flag('armed'), entity_category: 'diagnostic' }),
    // Straight to the stop's own topic: it waits for nothing.
    entity('button', 'stop', 'Emergency stop', { command_topic: topics.stop, payload_press: '{"by":"Home Assistant"}', qos: 1, icon: 'mdi:octagon' }),
    entity('text', 'command', 'Command', { command_topic: command('command'), max: MAX_STATE, icon: 'mdi:console-line' }),
    entity('sensor', 'answer', 'Last answer', { state_topic: answer, value_template: short, icon: 'mdi:message-reply-text' }),
    ...camera ? [
      entity('button', 'picture', 'Take a picture', { command_topic: command('picture'), icon: 'mdi:camera' }),
      entity('button', 'describe', 'Describe what is in view', { command_topic: command('describe'), icon: 'mdi:eye' }),
    ] : [],
    ...speech ? [
      entity('text', 'say', 'Say', { command_topic: command('say'), max: MAX_STATE, icon: 'mdi:bullhorn' }),
      entity('sensor', 'heard', 'Last heard', { state_topic: heard, value_template: short, icon: 'mdi:ear-hearing' }),
      entity('event', 'word', 'Word', { state_topic: word, event_types: [...HEARD_EVENTS], icon: 'mdi:microphone-message' }),
    ] : [],
  ]
}

/**
 * Every discovery message of a node, each to be published retained.
 * @see https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
 */
export function discoveryMessages(about: About): DiscoveryMessage[] {
  const { prefix, realm, node, version, topics, devices } = about
  const { command } = homeTopics(topics, node)
  const own = `mtor_${realm}_${node}`
  const maker = { manufacturer: 'MTOR', sw_version: version }
  const box = { identifiers: [own], name: `MTOR ${node}`, model: 'Appliance', ...maker }
  const nodeOnline = { topic: topics.nodeState(node), value_template: "{{ 'online' if value_json.online else 'offline' }}" }
  // light.set goes to the first rover; a second one has no lights of its own here.
  const first = devices.find(({ driver }) => driver === 'rover')
  const entities = [...nodeEntities(about), ...devices.flatMap((device) => roverEntities(device.id, topics, command, device === first))]
  return entities.map(({ component, id, name, device, config }) => {
    const reached = { topic: topics.deviceState(device ?? ''), value_template: "{{ 'online' if value_json.connected else 'offline' }}" }
    return {
      topic: `${prefix}/${component}/${own}/${id}/config`,
      payload: {
        name, unique_id: `${own}_${id}`, object_id: `${node}_${id}`.replaceAll('-', '_'),
        ...config,
        availability: device === undefined || id.endsWith('-connected') ? [nodeOnline] : [nodeOnline, reached], availability_mode: 'all',
        device: device === undefined ? box : { identifiers: [`${own}_${device}`], name: `MTOR ${node} ${device}`, model: 'Rover', via_device: own, ...maker },
        origin: { name: 'MTOR Appliance', sw_version: version },
      },
    }
  })
}
