import Type, { type Static } from 'typebox'
import { PROTOCOL_VERSION } from '../../contracts/protocol.ts'
import { validator } from '../../contracts/validate.ts'
import { JOURNAL_SCHEMA } from '../../journal/etcd/keys.ts'
import { PEER_PROTOCOL } from '../peers/hello.ts'

const Count = Type.Integer({ minimum: 1, maximum: 1_000_000 })

/** What a release is, for the other nodes of its realm. Unknown keys are let through: the next release may have more to say. */
export const Versions = Type.Object({
  software: Type.String({ maxLength: 64, pattern: '^[0-9A-Za-z.+-]+$' }),
  protocol: Type.Integer({ ...Count, description: 'What nodes say to each other over their links' }),
  schema: Type.Integer({ ...Count, description: 'The form of the records of the shared journal' }),
  envelope: Type.Integer({ ...Count, description: 'The v of every message of the bus' }),
})
export type Versions = Static<typeof Versions>
export const versionsValidator = validator(Versions)

/** The versions that must fit those of the other nodes; the number of the software itself is only told. */
export const KINDS = ['protocol', 'schema', 'envelope'] as const
export type Numbers = Pick<Versions, typeof KINDS[number]>
const NAMES = { protocol: 'link protocol', schema: 'journal schema', envelope: 'envelope version' } as const

/** Of this release. */
export const OWN_NUMBERS: Numbers = { protocol: PEER_PROTOCOL, schema: JOURNAL_SCHEMA, envelope: PROTOCOL_VERSION }

/** Why two nodes do not work together, as the first sees the second; undefined when they do. Neighbours do. */
export function mismatch(ours: Numbers, theirs: Numbers): string | undefined {
  const apart = KINDS.filter((kind) => Math.abs(ours[kind] - theirs[kind]) > 1)
  return apart.length === 0 ? undefined : apart.map((kind) => `${NAMES[kind]} ${theirs[kind]}, expected ${ours[kind] > 1 ? `${ours[kind] - 1} to ` : ''}${ours[kind] + 1}`).join('; ')
}

/** True when what does not fit is that they are too old for us. */
export const isTooOld = (ours: Numbers, theirs: Numbers): boolean => KINDS.every((kind) => theirs[kind] - ours[kind] <= 1)

/**
 * What the whole realm understands: the lowest of all members, also of those that are away just now and come back. A node
 * writes this form and reads its own too.
 */
export function inUse(members: readonly [Numbers, ...Numbers[]]): Numbers {
  const lowest = (kind: typeof KINDS[number]) => Math.min(...members.map((one) => one[kind]))
  return { protocol: lowest('protocol'), schema: lowest('schema'), envelope: lowest('envelope') }
}
