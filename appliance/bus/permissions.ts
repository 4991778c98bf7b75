import { PROTOCOL_VERSION } from '../contracts/envelope.ts'
import type { Code } from '../contracts/codes.ts'
import type { Role } from '../contracts/intents.ts'

/** A role, or a role only where the first `+` of the topic is the client's own name. */
type Grant = Role | `${Role}:own`
/** What the bus does with a message that may be published: passes it on as it is, checks it first, or takes it itself. */
export type Handling = 'route' | 'json' | 'nodeState' | 'submit' | 'stop' | 'command' | 'offer' | 'claim' | 'work'
interface Row { topic: string; handling: Handling; publish: readonly Grant[]; subscribe: readonly Grant[] }

const ALL: readonly Role[] = ['operator', 'flow', 'device', 'worker', 'observer']
const ACTING: readonly Role[] = ['operator', 'flow', 'device', 'worker']
/** Who may carry out intents; only under its own client id, which is looked at when the message is taken. */
const HANDLING: readonly Role[] = ['operator', 'flow']
const WATCHING: readonly Role[] = ['operator', 'flow', 'observer']

/**
 * The whole table of who may do what, relative to mtor/1/<realm>. What the appliance alone says has nobody under
 * `publish`. A `device/+/command` of a client is a request to the appliance and never reaches the device as it is:
 * only commands with epoch and sequence do.
 */
export const TOPICS: readonly Row[] = [
  { topic: 'intent/submit', handling: 'submit', publish: ACTING, subscribe: WATCHING },
  { topic: 'intent/+/receipt', handling: 'route', publish: [], subscribe: ALL },
  { topic: 'intent/+/event', handling: 'route', publish: [], subscribe: ALL },
  { topic: 'intent/+/task', handling: 'route', publish: [], subscribe: WATCHING },
  { topic: 'intent/+/claim', handling: 'claim', publish: HANDLING, subscribe: WATCHING },
  { topic: 'intent/+/grant', handling: 'route', publish: [], subscribe: WATCHING },
  { topic: 'intent/+/work', handling: 'work', publish: HANDLING, subscribe: WATCHING },
  { topic: 'handler/+/offer', handling: 'offer', publish: HANDLING, subscribe: WATCHING },
  { topic: 'handler/+/receipt', handling: 'route', publish: [], subscribe: WATCHING },
  { topic: 'catalogue', handling: 'route', publish: [], subscribe: ALL },
  { topic: 'client/+/receipt', handling: 'route', publish: [], subscribe: [...WATCHING, 'device:own', 'worker:own'] },
  { topic: 'node/+/state', handling: 'nodeState', publish: ['worker:own'], subscribe: ALL },
  { topic: 'node/+/telemetry/+', handling: 'json', publish: ['worker:own'], subscribe: ALL },
  { topic: 'event/+/+', handling: 'route', publish: [], subscribe: ALL },
  { topic: 'device/+/state', handling: 'json', publish: ['device:own'], subscribe: ALL },
  { topic: 'device/+/command', handling: 'command', publish: ['operator', 'flow'], subscribe: [...WATCHING, 'device:own'] },
  { topic: 'worker/+/offer', handling: 'json', publish: ['worker:own'], subscribe: [...WATCHING, 'worker'] },
  { topic: 'worker/+/health', handling: 'json', publish: ['worker:own'], subscribe: [...WATCHING, 'worker'] },
  { topic: 'inference/+/provider', handling: 'route', publish: [], subscribe: ALL },
  { topic: 'realm/nodes', handling: 'route', publish: [], subscribe: ALL },
  { topic: 'stop', handling: 'stop', publish: ACTING, subscribe: ALL },
  // Free for integrators: any payload, any depth.
  { topic: 'app/#', handling: 'route', publish: ACTING, subscribe: ALL },
]

/** Beyond our own root, for as long as a dialect is on: who may act, may speak there; who may watch, may listen. */
const FOREIGN = { handling: 'route', publish: HANDLING, subscribe: WATCHING } as const

/** Who asks: the role, the name others know it by, and its MQTT client id (which names its receipt topic). */
export interface Asker { role: Role; name: string; clientId: string }
export type Verdict = { handling: Handling; code?: undefined } | { handling?: undefined; code: Code }

const UNKNOWN: Verdict = { code: 'UNKNOWN_TOPIC' }
const DENIED: Verdict = { code: 'UNAUTHORISED' }

/** True when some topic fits both `a` and `b`, each of which may hold + and #. @see MQTT 3.1.1 §4.7 */
function overlap(a: readonly string[], b: readonly string[]): boolean {
  for (let i = 0; ; i++) {
    if (a[i] === '#' || b[i] === '#') return true
    if (i >= a.length || i >= b.length) return a.length === b.length
    if (a[i] !== '+' && b[i] !== '+' && a[i] !== b[i]) return false
  }
}

/** Decides for one realm. Slow enough to be worth caching for each client and topic; the bus does. */
export class Permissions {
  readonly #rows: readonly (Row & { levels: string[]; own: number })[]

  /** @param foreign topics (or filters that end in #) of dialects, from the root on */
  constructor(realm: string, foreign: readonly string[] = []) {
    const ours = TOPICS.map((row) => ({ ...row, levels: ['mtor', String(PROTOCOL_VERSION), realm, ...row.topic.split('/')] }))
    const others = foreign.map((topic) => ({ ...FOREIGN, topic, levels: topic.split('/') }))
    this.#rows = [...ours, ...others].map((row) => ({ ...row, own: row.levels.indexOf('+') }))
  }

  /** May `asker` publish on `topic`, and what happens with the message then. */
  publish(asker: Asker, topic: string): Verdict {
    if (topic.startsWith('$SYS')) return DENIED
    const levels = topic.split('/')
    if (levels.includes('+') || levels.includes('#')) return UNKNOWN
    const row = this.#rows.find((r) => overlap(r.levels, levels))
    if (!row) return UNKNOWN
    return this.#granted(row, row.publish, asker, levels) ? { handling: row.handling } : DENIED
  }

  /** May `asker` subscribe to `filter`: to everything of the table that it could match. Undefined means yes. */
  subscribe(asker: Asker, filter: string): Code | undefined {
    if (filter.startsWith('$SYS/')) return WATCHING.includes(asker.role) ? undefined : 'UNAUTHORISED'
    if (filter.startsWith('$')) return 'UNKNOWN_TOPIC'
    const levels = filter.split('/')
    const touched = this.#rows.filter((r) => overlap(r.levels, levels))
    if (touched.length === 0) return 'UNKNOWN_TOPIC'
    return touched.every((row) => this.#granted(row, row.subscribe, asker, levels)) ? undefined : 'UNAUTHORISED'
  }

  #granted(row: { topic: string; own: number }, grants: readonly Grant[], asker: Asker, levels: readonly string[]): boolean {
    if (grants.includes(asker.role)) return true
    return grants.includes(`${asker.role}:own`) && levels[row.own] === (row.topic.startsWith('client/') ? asker.clientId : asker.name)
  }
}
