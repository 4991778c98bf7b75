import type { Realm } from './realm.ts'
import type { Red } from './red.ts'
import { parsed } from './json.ts'

/** Where values are read: the state of a device, a telemetry packet of a node, or what others publish below `app/`. */
export interface Source { source: 'device' | 'node' | 'app'; device?: string | undefined; node?: string | undefined; packet?: string | undefined; /** May hold + and #. */ appTopic?: string | undefined }
export interface Packet { of: string; topic: string; values: Record<string, unknown>; retained: boolean }

/** Every packet of the source, the last one at once. @returns ends it */
export function packetsOf(realm: Realm, { source, device, node, packet, appTopic }: Source, take: (packet: Packet) => void): () => void {
  if (source === 'app') return appMessages(realm, appTopic, take)
  const any = (name: string | undefined, fallback: string) => name?.trim() || fallback
  const topic = source === 'device' ? realm.topics.deviceState(any(device, '+')) : realm.topics.telemetry(any(node, '+'), any(packet, 'node'))
  const levelOfName = realm.topics.root.split('/').length + 1
  return realm.connection.subscribe(topic, (message) => {
    const values = parsed(message)
    if (values) take({ of: message.topic.split('/')[levelOfName]!, topic: message.topic, values, retained: message.retained })
  }).off
}

/** Any payload is welcome there: what is no object is its `value`. */
function appMessages({ topics, connection }: Realm, appTopic: string | undefined, take: (packet: Packet) => void): () => void {
  const app = `${topics.root}/app/`
  return connection.subscribe(`${app}${appTopic?.trim() || '#'}`, (message) => {
    take({ of: message.topic.slice(app.length), topic: message.topic, values: parsed(message) ?? { value: plain(message.payload.toString()) }, retained: message.retained })
  }).off
}

const plain = (text: string): unknown => { try { return JSON.parse(text) } catch { return text } }

/** The value at a path such as `batteryV` or `detections[0].label`; all of it for an empty path. Undefined where there is none. */
export function valueAt(RED: Red, values: Record<string, unknown>, path: string | undefined): unknown {
  if (!path?.trim()) return values
  try { return RED.util.getMessageProperty({ payload: values }, `payload.${path.trim()}`) } catch { return undefined }
}
