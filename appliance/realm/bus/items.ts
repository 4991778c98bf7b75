import Type from 'typebox'
import { ClientEntry, MAX_TIME_US, type Item, type Version } from '../../bus/mesh/index.ts'
import { NodeName } from '../../contracts/envelope.ts'
import { MtorError } from '../../contracts/errors.ts'
import { ROLES, type Identity } from '../../contracts/intents.ts'
import { validator } from '../../contracts/validate.ts'

/** Items as they go to another node: short tuples, their payloads behind each other in `bytes`. */
export interface Batch { items: unknown[]; who: Identity[]; bytes: Buffer }

const MAX_TOPIC = 512
const RETAIN = 4
const entryValidator = validator(ClientEntry)
const nameValidator = validator(NodeName)
const whoValidator = validator(Type.Object({ client: Type.String({ maxLength: 128 }), role: Type.Enum([...ROLES]), kind: Type.String({ maxLength: 32 }) }))

/** About how long an item is on the wire. */
export function sizeOf(item: Item): number {
  switch (item.kind) {
    case 'publish': case 'queued': return item.payload.length + item.topic.length + 48
    case 'acknowledged': return 32 + item.client.length + item.ids.length * 28
    case 'client': return 256 + (item.entry.will?.payload.length ?? 0) + item.entry.subs.reduce((sum, { topic }) => sum + topic.length + 24, 0)
  }
}

export function encodeItems(self: string, items: readonly Item[]): Batch {
  const who: Identity[] = []
  const payloads: Buffer[] = []
  const node = (version: Version) => version.n === self ? '' : version.n
  return {
    items: items.map((item) => {
      switch (item.kind) {
        case 'publish': {
          payloads.push(item.payload)
          const { version, topic, payload, qos, retain, identity } = item
          let index = -1
          if (identity) {
            index = who.findIndex(({ client, role }) => client === identity.client && role === identity.role)
            if (index < 0) index = who.push({ client: identity.client, role: identity.role, kind: identity.kind }) - 1
          }
          return ['p', version.t, node(version), topic, qos | (retain ? RETAIN : 0), payload.length, index]
        }
        case 'queued': {
          payloads.push(item.payload)
          return ['q', item.version.t, node(item.version), item.topic, item.qos, item.payload.length, item.client]
        }
        case 'acknowledged': return ['a', item.client, item.ids]
        case 'client': return ['c', item.entry]
      }
    }),
    who,
    bytes: Buffer.concat(payloads),
  }
}

/**
 * The items another node has sent; one of a kind that is not known yet is undefined, so that a later version may say more.
 * @throws MtorError MALFORMED
 */
export function decodeItems(from: string, { items, who, bytes }: { items: readonly unknown[]; who: unknown; bytes: Uint8Array }): (Item | undefined)[] {
  const wrong = (what: string): never => { throw new MtorError('MALFORMED', `an item of ${from}: ${what}`) }
  const people = Array.isArray(who) ? who : []
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let offset = 0
  const message = (tuple: unknown[]) => {
    const [, t, n, topic, flags, length] = tuple
    if (typeof t !== 'number' || !Number.isSafeInteger(t) || t < 0 || t > MAX_TIME_US) return wrong('no time')
    if (n !== '' && !nameValidator.check(n)) return wrong('no node')
    if (typeof topic !== 'string' || topic.length === 0 || topic.length > MAX_TOPIC || /[+#\0]/.test(topic)) return wrong('no topic')
    if (typeof flags !== 'number' || !Number.isInteger(flags) || flags < 0 || flags > 6 || (flags & 3) === 3) return wrong('no quality of service')
    if (typeof length !== 'number' || !Number.isSafeInteger(length) || length < 0 || offset + length > buffer.length) return wrong('a payload that is not there')
    // A copy: what is kept of a batch must not keep all of it.
    const payload = Buffer.from(buffer.subarray(offset, offset += length))
    return { version: { t, n: n === '' ? from : n as string }, topic, payload, qos: (flags & 3) as 0 | 1 | 2, flags }
  }
  return items.map((tuple): Item | undefined => {
    if (!Array.isArray(tuple)) return wrong('no tuple')
    switch (tuple[0]) {
      case 'p': {
        const { flags, ...rest } = message(tuple)
        const identity: unknown = people[tuple[6] as number]
        return { kind: 'publish', ...rest, retain: (flags & RETAIN) !== 0, ...(whoValidator.check(identity) ? { identity: identity as Identity } : {}) }
      }
      case 'q': {
        const { flags: _, ...rest } = message(tuple)
        return typeof tuple[6] === 'string' ? { kind: 'queued', ...rest, client: tuple[6] } : wrong('no client')
      }
      case 'a': {
        const [, client, ids] = tuple as [unknown, unknown, unknown]
        if (typeof client !== 'string' || !Array.isArray(ids) || ids.length > 10_000 || !ids.every((id) => typeof id === 'string' && id.length < 100)) return wrong('no acknowledgements')
        return { kind: 'acknowledged', client, ids: ids as string[] }
      }
      case 'c': {
        const entry = entryValidator.assert(tuple[1], 'MALFORMED', 'client')
        if (entry.version.t > MAX_TIME_US) return wrong('no time')
        return { kind: 'client', entry }
      }
      default: return undefined
    }
  })
}
