import Type, { type Static } from 'typebox'
import { NodeName } from '../../contracts/envelope.ts'
import { isLater } from './version.ts'

const Topic = Type.String({ minLength: 1, maxLength: 512 })
const Qos = Type.Union([Type.Literal(0), Type.Literal(1), Type.Literal(2)])
export const SharedVersion = Type.Object({ t: Type.Integer({ minimum: 0 }), n: NodeName })

/** What all nodes know of a client of one of them. Unknown keys are let through: the next version may have more to say. */
export const ClientEntry = Type.Object({
  client: Type.String({ minLength: 1, maxLength: 128 }),
  version: SharedVersion,
  node: Type.String({ ...NodeName, description: 'Where it is connected, or was last' }),
  session: Type.String({ pattern: '^[0-9a-f]{16}$', description: 'Of the start of the broker there: when that was started anew, it is connected there no more' }),
  online: Type.Boolean(),
  clean: Type.Boolean({ description: 'Its session ends with its connection' }),
  owner: Type.String({ maxLength: 64, description: 'The name it authenticated with; empty without one' }),
  subs: Type.Array(Type.Object({ topic: Topic, qos: Qos }), { maxItems: 1_000, description: 'Of a lasting session' }),
  will: Type.Optional(Type.Object({ topic: Topic, payload: Type.String({ description: 'base64' }), qos: Qos, retain: Type.Boolean() })),
  gone: Type.Optional(Type.Literal(true, { description: 'There is no session any more' })),
})
export type ClientEntry = Static<typeof ClientEntry>

/** Sessions that have ended are remembered so that no node with older news brings them back. */
const MAX_GONE = 1_000

/** The clients of all nodes. */
export class Clients {
  readonly #entries = new Map<string, ClientEntry>()
  readonly #gone = new Set<string>()

  /** Undefined where there is no session. */
  get(client: string): ClientEntry | undefined {
    const entry = this.#entries.get(client)
    return entry?.gone ? undefined : entry
  }

  /** Takes an entry over if it is news. */
  offer(entry: ClientEntry): boolean {
    const before = this.#entries.get(entry.client)
    if (before && !isLater(entry.version, before.version)) return false
    this.set(entry)
    return true
  }

  set(entry: ClientEntry): void {
    this.#entries.set(entry.client, entry)
    this.#gone.delete(entry.client)
    if (!entry.gone) return
    this.#gone.add(entry.client)
    const [oldest] = this.#gone.size > MAX_GONE ? this.#gone : []
    if (oldest === undefined) return
    this.#gone.delete(oldest)
    this.#entries.delete(oldest)
  }

  all(): ClientEntry[] { return [...this.#entries.values()] }
  onlineAt(node: string): ClientEntry[] { return this.all().filter((entry) => entry.online && entry.node === node) }
}
