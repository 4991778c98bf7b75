import type { Severity } from './events.ts'
import { PROTOCOL_VERSION } from './protocol.ts'

/** All topics of a realm, made in one place. @see ../../docs/reference/asyncapi.json */
export function topicsOf(realm: string) {
  const root = `mtor/${PROTOCOL_VERSION}/${realm}`
  return {
    root,
    submit: `${root}/intent/submit`,
    /** Receipts of one intent: every submission is answered here. */
    receipt: (id: string) => `${root}/intent/${id}/receipt`,
    intentEvent: (id: string) => `${root}/intent/${id}/event`,
    /** Answers to what was too broken to have an id (malformed, too fast, unknown topic). */
    clientReceipt: (clientId: string) => `${root}/client/${clientId}/receipt`,
    nodeState: (node: string) => `${root}/node/${node}/state`,
    telemetry: (node: string, packet: string) => `${root}/node/${node}/telemetry/${packet}`,
    event: (severity: Severity, component: string) => `${root}/event/${severity}/${component}`,
    deviceState: (device: string) => `${root}/device/${device}/state`,
    deviceCommand: (device: string) => `${root}/device/${device}/command`,
    workerOffer: (worker: string) => `${root}/worker/${worker}/offer`,
    workerHealth: (worker: string) => `${root}/worker/${worker}/health`,
    /** Which execution provider runs a model, as proven (retained). */
    inferenceProvider: (model: string) => `${root}/inference/${model}/provider`,
    /** What a handler handles and declares (retained), and what became of that. @see handlers.ts */
    handlerOffer: (client: string) => `${root}/handler/${client}/offer`,
    handlerReceipt: (client: string) => `${root}/handler/${client}/receipt`,
    /** How an intent is given to exactly one handler: shown, claimed, granted, reported on. */
    task: (id: string) => `${root}/intent/${id}/task`,
    claim: (id: string) => `${root}/intent/${id}/claim`,
    grant: (id: string) => `${root}/intent/${id}/grant`,
    work: (id: string) => `${root}/intent/${id}/work`,
    /** What a flow editor offers to choose from (retained). */
    catalogue: `${root}/catalogue`,
    /** The nodes of the realm as the node sees them that this client is connected to (retained). @see realm.ts */
    realmNodes: `${root}/realm/nodes`,
    stop: `${root}/stop`,
  }
}
export type Topics = ReturnType<typeof topicsOf>

/** True when `topic` fits the MQTT `filter` with + and #. @see MQTT 3.1.1 §4.7 */
export function topicMatches(filter: string, topic: string): boolean {
  const f = filter.split('/'); const t = topic.split('/')
  if (topic.startsWith('$') && (f[0] === '#' || f[0] === '+')) return false
  for (let i = 0; i < f.length; i++) {
    if (f[i] === '#') return true
    if (i >= t.length || (f[i] !== '+' && f[i] !== t[i])) return false
  }
  return f.length === t.length
}
