import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import Type, { type Static } from 'typebox'
import type { Clock } from '../contracts/clock.ts'
import { NodeName } from '../contracts/envelope.ts'
import { MtorError } from '../contracts/errors.ts'
import { validator } from '../contracts/validate.ts'
import type { RealmFolder } from './folder.ts'
import { NODE_ROLES, type NodeRole } from './list.ts'

const SECRET_BYTES = 16
/** Enough of a SHA-256 that nobody finds a second certificate for it (2^128 tries). */
const FINGERPRINT_BYTES = 16
const CHECK_BYTES = 3
const PREFIX = 'mtor-'
const MAX_TOKENS = 64

const Grant = Type.Object({
  id: Type.String({ pattern: '^[0-9a-f]{16}$' }),
  key: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  role: Type.Enum(NODE_ROLES),
  node: Type.Optional(NodeName),
  boot: Type.String(),
  expiresMonoMs: Type.Number(),
})
/** What a token allows. The token itself is not kept: only a hash of its secret, with which a proof can be checked. */
export type Grant = Static<typeof Grant>
const grantsValidator = validator(Type.Array(Grant))

const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest()
const keyOf = (secret: Uint8Array) => sha256(Buffer.concat([Buffer.from('mtor-join-v1\n'), secret]))
const idOf = (key: Uint8Array) => sha256(key).toString('hex').slice(0, 16)

/**
 * The secret never travels: a newcomer proves that it knows it, for this TLS connection and this request alone. Whoever
 * overhears or relays the proof, a node that was revoked among them, can do nothing with it elsewhere.
 * @param binding of the connection @see RFC 9266
 */
const proof = (key: Uint8Array, binding: Uint8Array, csr: string) => createHmac('sha256', key).update(binding).update(csr).digest()
export const CHANNEL_BINDING = { label: 'EXPORTER-Channel-Binding', bytes: 32 } as const

/** What a newcomer says of its token. */
export function proveToken(secret: Uint8Array, binding: Uint8Array, csr: string): { id: string; proof: string } {
  const key = keyOf(secret)
  return { id: idOf(key), proof: proof(key, binding, csr).toString('hex') }
}

/** A token as people copy it: secret, fingerprint of the realm's authority, and a check for slips of the pen. */
export function formatToken(secret: Uint8Array, fingerprint: string): string {
  const bytes = Buffer.concat([secret, Buffer.from(fingerprint, 'hex').subarray(0, FINGERPRINT_BYTES)])
  return PREFIX + Buffer.concat([bytes, sha256(bytes).subarray(0, CHECK_BYTES)]).toString('base64url')
}

/** @throws MtorError TOKEN_INVALID for what is no token, or has been miscopied */
export function parseToken(text: string): { secret: Buffer; fingerprintStart: string } {
  const bytes = Buffer.from(text.startsWith(PREFIX) ? text.slice(PREFIX.length) : '', 'base64url')
  const content = bytes.subarray(0, SECRET_BYTES + FINGERPRINT_BYTES)
  if (bytes.length !== SECRET_BYTES + FINGERPRINT_BYTES + CHECK_BYTES || !sha256(content).subarray(0, CHECK_BYTES).equals(bytes.subarray(content.length))) {
    throw new MtorError('TOKEN_INVALID', 'that is no join token, or a letter of it is wrong', { hint: 'Copy it whole, as printed by: mtor realm token' })
  }
  return { secret: bytes.subarray(0, SECRET_BYTES), fingerprintStart: content.subarray(SECRET_BYTES).toString('hex') }
}

/** True when the fingerprint begins as the token says. */
export const fitsToken = (fingerprint: string, fingerprintStart: string): boolean => fingerprintStart.length === FINGERPRINT_BYTES * 2 && fingerprint.startsWith(fingerprintStart)

/**
 * One-time join tokens. They expire on the monotonic clock of the boot they were made in (a board may have no other),
 * and one that was used is gone from the disk before the newcomer gets anything.
 */
export class Tokens {
  readonly #folder: RealmFolder
  readonly #clock: Clock
  readonly #boot: string
  #grants: Grant[] = []
  #writing: Promise<unknown> = Promise.resolve()

  constructor(options: { folder: RealmFolder; clock: Clock; boot: string }) {
    this.#folder = options.folder
    this.#clock = options.clock
    this.#boot = options.boot
  }

  async load(): Promise<void> {
    const text = await this.#folder.read('tokens')
    let value: unknown
    try { value = JSON.parse(text ?? '[]') } catch { value = [] }
    // Tokens that cannot be read are lost, which is safe: new ones are made in a second.
    this.#grants = grantsValidator.check(value) ? value.filter((grant) => this.#isAlive(grant)) : []
  }

  /** Makes a token; its text is told only now. @throws MtorError BUSY when too many are open */
  async make(options: { role: NodeRole; minutes: number; fingerprint: string; node?: string }): Promise<{ token: string; expiresInS: number }> {
    this.#grants = this.#grants.filter((grant) => this.#isAlive(grant))
    if (this.#grants.length >= MAX_TOKENS) throw new MtorError('BUSY', `${MAX_TOKENS} join tokens are open`, { hint: 'Wait until some of them expire.' })
    const secret = randomBytes(SECRET_BYTES)
    const key = keyOf(secret)
    this.#grants.push({ id: idOf(key), key: key.toString('hex'), role: options.role, ...(options.node === undefined ? {} : { node: options.node }), boot: this.#boot, expiresMonoMs: this.#clock.monoMs() + options.minutes * 60_000 })
    await this.#write()
    return { token: formatToken(secret, options.fingerprint), expiresInS: options.minutes * 60 }
  }

  /** What the token allows that was proven, while it is good. */
  find(given: { id: string; proof: string }, binding: Uint8Array, csr: string): Grant | undefined {
    const grant = this.#grants.find(({ id }) => id === given.id)
    if (!grant || !this.#isAlive(grant)) return undefined
    const [right, said] = [proof(Buffer.from(grant.key, 'hex'), binding, csr), Buffer.from(given.proof, 'hex')]
    return said.length === right.length && timingSafeEqual(said, right) ? grant : undefined
  }

  /** Uses a token up; false when somebody else just did. On the disk before this resolves. */
  async spend(grant: Grant): Promise<boolean> {
    const at = this.#grants.indexOf(grant)
    if (at < 0 || !this.#isAlive(grant)) return false
    this.#grants.splice(at, 1)
    await this.#write()
    return true
  }

  #isAlive(grant: Grant): boolean { return grant.boot === this.#boot && this.#clock.monoMs() < grant.expiresMonoMs }

  #write(): Promise<void> {
    const written = this.#writing.then(() => this.#folder.write('tokens', JSON.stringify(this.#grants)))
    this.#writing = written.catch(() => {})
    return written
  }
}
