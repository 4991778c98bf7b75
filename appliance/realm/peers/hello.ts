import Type, { type Static } from 'typebox'
import { NodeName } from '../../contracts/envelope.ts'
import { MtorError } from '../../contracts/errors.ts'
import { validator } from '../../contracts/validate.ts'
import { NODE_ROLES, SignedList } from '../list.ts'

/**
 * Version of what nodes say to each other. A node speaks its own and the one before (N and N−1), so that a realm can be
 * upgraded one node at a time.
 */
export const PEER_PROTOCOL = 1

/** The first frame of a link, in both directions. Unknown keys are let through: the next version may have more to say. */
export const Hello = Type.Object({
  t: Type.Literal('hello'),
  realm: NodeName,
  node: NodeName,
  protocol: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
  version: Type.String({ maxLength: 64, pattern: '^[0-9A-Za-z.+-]+$' }),
  schema: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'Of the records of the shared journal; 1 where it is left out' })),
  envelope: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'The v of messages of the bus; 1 where it is left out' })),
  role: Type.Enum(NODE_ROLES),
  instance: Type.String({ pattern: '^[0-9a-f]{16}$', description: 'Changes whenever the process is started' }),
  link: Type.String({ pattern: '^[0-9a-f]{16}$' }),
  lost: Type.Optional(Type.String({ pattern: '^[0-9a-f]{16}$', description: 'Of the link that the sender has given up: the other end may not have noticed' })),
  list: SignedList,
})
export type Hello = Static<typeof Hello>
export const helloValidator = validator(Hello)

/** The version both can speak. @throws MtorError VERSION_MISMATCH when they are more than one apart */
export function commonProtocol(ours: number, theirs: number, node: string): number {
  if (Math.abs(ours - theirs) > 1) throw new MtorError('VERSION_MISMATCH', `${node} speaks protocol ${theirs}, this node ${ours} and ${ours - 1}`)
  return Math.min(ours, theirs)
}
