import type { PeersConfig } from '../config/schema.ts'
import { systemClock } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'
import { NodeName } from '../contracts/envelope.ts'
import { validator } from '../contracts/validate.ts'
import type { ControlRoute } from '../gateway/control.ts'
import { RealmFolder } from './folder.ts'
import { guessedAddress, ownAddress, type Realm } from './index.ts'
import { joinRealm, parseAddress } from './join.ts'
import { NODE_ROLES, type NodeRole } from './list.ts'
import { Membership } from './membership.ts'
import { realmStatus, type RealmStatus } from './status.ts'

export interface RealmRouteParts {
  /** Undefined while this node is in no realm. */
  realm: Realm | undefined
  stateDir: string
  node: string
  version: string
  config: PeersConfig
}

const nameValidator = validator(NodeName)
const MAX_MINUTES = 7 * 24 * 60

/** @throws MtorError USAGE */
export function realmName(value: unknown, what: string): string {
  if (!nameValidator.check(value)) throw new MtorError('USAGE', `${what} has lower-case letters, digits and dashes, got ${JSON.stringify(value)}`)
  return value
}

/** Makes a realm in the state folder. @throws MtorError USAGE, ALREADY_A_MEMBER, CONFIG_INVALID */
export async function createRealm({ stateDir, node, config }: Pick<RealmRouteParts, 'stateDir' | 'node' | 'config'>, { name, address }: { name?: unknown; address?: unknown }): Promise<{ realm: string; node: string; role: NodeRole; address: string; fingerprint: string }> {
  const { host, port } = typeof address === 'string' ? parseAddress(address, config.port) : guessedAddress(config)
  const membership = await Membership.create({ folder: new RealmFolder(stateDir), realm: realmName(name, 'the name of a realm'), node, host, port, wallMs: systemClock.wallMs() })
  return { realm: membership.realm, node, role: membership.role, address: `${host}:${port}`, fingerprint: membership.authority!.fingerprint }
}

/** Joins a realm with the state folder. @throws MtorError USAGE, ALREADY_A_MEMBER, TOKEN_INVALID, NODE_UNREACHABLE … */
export async function joinWith({ stateDir, node, config }: Pick<RealmRouteParts, 'stateDir' | 'node' | 'config'>, given: { at?: unknown; token?: unknown; address?: unknown }): Promise<{ realm: string; node: string; role: NodeRole; nodes: string[] }> {
  if (typeof given.at !== 'string' || typeof given.token !== 'string') throw new MtorError('USAGE', 'an address and a token must be given')
  const own = typeof given.address === 'string' ? parseAddress(given.address, config.port) : ownAddress(config)
  const membership = await joinRealm({ folder: new RealmFolder(stateDir), ...parseAddress(given.at), token: given.token, node, own, clock: systemClock })
  return { realm: membership.realm, node: membership.node, role: membership.role, nodes: membership.list.members.map((member) => member.node) }
}

/** What the state folder knows, without a daemon. @throws MtorError NOT_A_MEMBER */
export async function storedStatus(stateDir: string): Promise<RealmStatus> {
  const folder = new RealmFolder(stateDir)
  if (!folder.isMember) throw notInRealm()
  return realmStatus({ membership: await Membership.load(folder), peers: undefined, own: undefined, clock: systemClock, leader: undefined })
}

export const notInRealm = () => new MtorError('NOT_A_MEMBER', 'this node is in no realm', { hint: 'Make one with: mtor realm create NAME; or join one with: mtor realm join ADDRESS TOKEN' })

/** @throws MtorError USAGE */
export function minutesOf(value: unknown): number {
  const minutes = value === undefined ? 15 : Number(value)
  if (!Number.isInteger(minutes) || minutes < 1 || minutes > MAX_MINUTES) throw new MtorError('USAGE', `minutes must be a whole number from 1 to ${MAX_MINUTES}, got ${JSON.stringify(value)}`)
  return minutes
}

/** @throws MtorError USAGE */
export function roleOf(value: unknown): NodeRole {
  const role = value ?? 'full'
  if (!(NODE_ROLES as readonly unknown[]).includes(role)) throw new MtorError('USAGE', `role must be one of ${NODE_ROLES.join(', ')}, got ${JSON.stringify(value)}`)
  return role as NodeRole
}

/** The routes of the realm on the control socket. */
export function realmRoutes(p: RealmRouteParts): Record<string, ControlRoute> {
  const here = (): Realm => {
    if (!p.realm) throw notInRealm()
    if (p.realm.hasLeft) throw new MtorError('NOT_A_MEMBER', 'this node has left its realm', { hint: 'Start the daemon anew.' })
    return p.realm
  }
  const fields = (body: unknown) => (body ?? {}) as Record<string, unknown>
  return {
    'GET /realm': async () => here().status(),
    'POST /realm/create': ({ body }) => createRealm(p, fields(body)),
    'POST /realm/join': ({ body }) => joinWith(p, fields(body)),
    'POST /realm/token': async ({ body }) => here().invite({ role: roleOf(fields(body).role), minutes: minutesOf(fields(body).minutes) }),
    'POST /realm/replace': async ({ body }) => here().replace(realmName(fields(body).node, 'a node'), { force: fields(body).force === true, minutes: minutesOf(fields(body).minutes) }),
    'POST /realm/leave': async ({ body }) => here().leave({ force: fields(body).force === true }),
  }
}
