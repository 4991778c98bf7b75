import { createPublicKey, sign, verify, type KeyObject } from 'node:crypto'
import Type, { type Static } from 'typebox'
import { NodeName } from '../contracts/envelope.ts'
import { MtorError } from '../contracts/errors.ts'
import { validator } from '../contracts/validate.ts'

/** full: works, may hold devices and admits others. witness: votes only, and never gets the key of the authority. */
export const NODE_ROLES = ['full', 'witness'] as const
export type NodeRole = (typeof NODE_ROLES)[number]

/** Names and addresses of hosts; nothing else gets into a certificate. */
export const HOST_PATTERN = /^[A-Za-z0-9._:-]{1,253}$/
const Serial = Type.String({ pattern: '^[0-9A-F]{32}$', description: 'Serial number of a certificate, hexadecimal' })
/** Certificates of one node that are good at once: one comes with each year and each move. */
export const MAX_SERIALS = 16
const WHY = ['left', 'replaced', 'conflict'] as const

export const Member = Type.Object({
  node: NodeName,
  role: Type.Enum(NODE_ROLES),
  host: Type.String({ pattern: HOST_PATTERN.source, description: 'Where the others reach it' }),
  port: Type.Integer({ minimum: 1, maximum: 65_535 }),
  key: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of its public key (SPKI)' }),
  serials: Type.Array(Serial, { minItems: 1, maxItems: MAX_SERIALS, description: 'Its certificates that are good' }),
  changed: Type.Integer({ minimum: 1, description: 'Version of the list in which this entry was last changed' }),
})
export type Member = Static<typeof Member>

export const Revocation = Type.Object({ serial: Serial, node: NodeName, why: Type.Enum(WHY) })
export type Revocation = Static<typeof Revocation>

export const MemberList = Type.Object({
  v: Type.Literal(1),
  realm: NodeName,
  version: Type.Integer({ minimum: 1 }),
  members: Type.Array(Member, { maxItems: 64 }),
  revoked: Type.Array(Revocation, { maxItems: 4096 }),
})
/**
 * Who belongs to the realm. Only a certificate that stands here is good; what was ever revoked stays noted, so that no
 * older list brings it back.
 */
export type MemberList = Static<typeof MemberList>

export const SignedList = Type.Object({ text: Type.String({ maxLength: 512 * 1024 }), signature: Type.String({ maxLength: 256, pattern: '^[A-Za-z0-9_-]+$' }) })
/** A list as it travels: the exact text that was signed, so that nothing hangs on how JSON is written. */
export type SignedList = Static<typeof SignedList>

const listValidator = validator(MemberList)
/** The key of the authority also signs certificates (DER, which begins with 0x30): no such signature can pass for one of a list. */
const CONTEXT = 'mtor-member-list-v1\n'

/** Signs a list with the key of the realm's authority: a witness can pass lists on, but not make one. */
export function signList(list: MemberList, caKey: KeyObject): SignedList {
  const text = JSON.stringify(list)
  return { text, signature: sign('sha256', Buffer.from(CONTEXT + text), caKey).toString('base64url') }
}

/** @throws MtorError NOT_A_MEMBER when this realm's authority has not signed it, MALFORMED when it is no list of this realm */
export function openList(signed: SignedList, caCertPem: string, realm: string): MemberList {
  if (!verify('sha256', Buffer.from(CONTEXT + signed.text), createPublicKey(caCertPem), Buffer.from(signed.signature, 'base64url'))) {
    throw new MtorError('NOT_A_MEMBER', 'a member list that the authority of this realm has not signed')
  }
  let value: unknown
  try { value = JSON.parse(signed.text) } catch (error) { throw new MtorError('MALFORMED', 'a member list that is not JSON', { cause: error }) }
  const list = listValidator.assert(value, 'MALFORMED', 'member list')
  if (list.realm !== realm) throw new MtorError('NOT_A_MEMBER', `a member list of realm ${list.realm}, expected ${realm}`)
  return list
}

const byNode = (a: Member, b: Member) => a.node < b.node ? -1 : 1
const bySerial = (a: Revocation, b: Revocation) => a.serial < b.serial ? -1 : a.serial > b.serial ? 1 : 0

/** In the order in which equal lists are equal texts, without the serials that are revoked and those left with none. */
function normal(list: Omit<MemberList, 'version'>): Omit<MemberList, 'version'> {
  const revoked = new Map<string, Revocation>()
  // Two nodes may have revoked the same certificate for different reasons: one of them counts, the same for everybody.
  for (const one of list.revoked) { const there = revoked.get(one.serial); if (!there || one.why < there.why) revoked.set(one.serial, one) }
  const members = list.members
    .map((member) => ({ ...member, serials: member.serials.filter((serial) => !revoked.has(serial)).sort() }))
    .filter((member) => member.serials.length > 0)
  return { v: 1, realm: list.realm, members: members.sort(byNode), revoked: [...revoked.values()].sort(bySerial) }
}

/** True when both say the same, whatever their versions. */
export const sameContent = (a: MemberList, b: MemberList): boolean => JSON.stringify(normal(a)) === JSON.stringify(normal(b))

/**
 * What two lists say together: all that either revoked stays revoked; of one node the entry that was changed last
 * counts. Two boards that took one name on both sides of a cut: the later one keeps it and the other is revoked. All
 * nodes come to the same result in whatever order lists reach them.
 */
export function mergeLists(a: MemberList, b: MemberList): MemberList {
  const revoked = [...a.revoked, ...b.revoked]
  const gone = new Set(revoked.map(({ serial }) => serial))
  const members = new Map<string, Member>()
  for (const given of [...a.members, ...b.members]) {
    const next = { ...given, serials: given.serials.filter((serial) => !gone.has(serial)) }
    if (next.serials.length === 0) continue
    const there = members.get(next.node)
    if (!there) { members.set(next.node, next); continue }
    const [winner, loser] = isLater(next, there) ? [next, there] : [there, next]
    if (winner.key === loser.key) winner.serials = [...new Set([...winner.serials, ...loser.serials])].slice(0, MAX_SERIALS)
    else revoked.push(...loser.serials.map((serial): Revocation => ({ serial, node: loser.node, why: 'conflict' })))
    members.set(next.node, winner)
  }
  const content = normal({ v: 1, realm: a.realm, members: [...members.values()], revoked })
  const merged: MemberList = { ...content, version: Math.max(a.version, b.version) }
  const known = [a, b].filter((list) => sameContent(list, merged)).map(({ version }) => version)
  return { ...merged, version: known.length > 0 ? Math.max(...known) : merged.version + 1 }
}

/** Of two entries of one node, the same one for everybody. */
function isLater(a: Member, b: Member): boolean {
  if (a.changed !== b.changed) return a.changed > b.changed
  return JSON.stringify([a.key, a.role, a.host, a.port, a.serials]) > JSON.stringify([b.key, b.role, b.host, b.port, b.serials])
}

/** The list after a change, one version on. */
export function changeList(list: MemberList, change: { put?: Omit<Member, 'changed'>; revoke?: readonly Revocation[] }): MemberList {
  const version = list.version + 1
  const members = change.put ? [...list.members.filter(({ node }) => node !== change.put!.node), { ...change.put, changed: version }] : list.members
  return { ...normal({ v: 1, realm: list.realm, members, revoked: [...list.revoked, ...change.revoke ?? []] }), version }
}
