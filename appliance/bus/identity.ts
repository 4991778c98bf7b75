import { createHash, timingSafeEqual } from 'node:crypto'
import type { BusConfig } from '../config/schema.ts'
import { MtorError } from '../contracts/errors.ts'
import type { Role } from '../contracts/intents.ts'
import { Gate } from './limits.ts'
import { checkPasswordHash, verifyPassword } from './password.ts'

/** Password checks at once, and how many may wait: each takes 16 MiB and a thread that the disk also needs. */
const CHECKS = 2
const WAITING_CHECKS = 64

/** CONNACK return codes. @see MQTT 3.1.1 §3.2.2.3 */
export const CONNACK = { identifierRejected: 2, unavailable: 3, badUserOrPassword: 4, notAuthorised: 5 } as const
export type Refusal = { returnCode: number; message: string }
/** An identity that the appliance gives to a process of its own; the password is random and lasts as long as this process. */
export interface InternalClient { username: string; password: string; role: Role }
export type Known = { name: string | undefined; role: Role }

const digestOf = (password: string | Uint8Array) => createHash('sha256').update(password).digest()

/** Tells who a client is: by the certificate, else by name and password, else (on this machine only) as nobody in particular. */
export class Authenticator {
  readonly #clients: Map<string, BusConfig['clients'][number]>
  readonly #anonymousRole: Role | undefined
  readonly #internal: Map<string, { role: Role; digest: Buffer }>
  readonly #gate = new Gate(CHECKS, WAITING_CHECKS)
  /** Checked where there is no such user, so that the time taken does not tell which names exist. */
  readonly #decoy: string

  /** @throws MtorError CONFIG_INVALID for a password hash that cannot be one, or a name given twice */
  constructor(config: Pick<BusConfig, 'clients' | 'anonymousRole'>, internal: readonly InternalClient[] = []) {
    this.#internal = new Map(internal.map(({ username, password, role }) => [username, { role, digest: digestOf(password) }]))
    this.#clients = new Map()
    for (const client of config.clients) {
      if (this.#clients.has(client.username)) throw new MtorError('CONFIG_INVALID', `bus.clients has ${client.username} twice`)
      if (this.#internal.has(client.username)) throw new MtorError('CONFIG_INVALID', `bus.clients has ${client.username}, a name that the appliance uses itself`)
      if (client.passwordHash !== undefined) checkPasswordHash(client.passwordHash)
      this.#clients.set(client.username, client)
    }
    this.#anonymousRole = config.anonymousRole ?? (config.clients.length === 0 ? 'operator' : undefined)
    this.#decoy = config.clients.find((client) => client.passwordHash !== undefined)?.passwordHash
      ?? `scrypt$16384$8$1$${Buffer.alloc(16).toString('base64')}$${Buffer.alloc(32).toString('base64')}`
  }

  async identify(from: { loopback: boolean; certificateName?: string }, username: string | undefined, password: Uint8Array | undefined): Promise<Known | Refusal> {
    if (from.certificateName !== undefined) {
      const client = this.#clients.get(from.certificateName)
      return client ? { name: client.username, role: client.role } : { returnCode: CONNACK.notAuthorised, message: `no client is named ${from.certificateName}, as the certificate is` }
    }
    if (username === undefined || username === '') {
      if (!this.#anonymousRole) return { returnCode: CONNACK.notAuthorised, message: 'a name and password, or a client certificate, is needed' }
      if (!from.loopback) return { returnCode: CONNACK.notAuthorised, message: 'clients without a name are served on this machine only' }
      return { name: undefined, role: this.#anonymousRole }
    }
    // A random password of many bits needs no slow hash.
    const internal = this.#internal.get(username)
    if (internal) return from.loopback && timingSafeEqual(digestOf(password ?? ''), internal.digest) ? { name: username, role: internal.role } : { returnCode: CONNACK.badUserOrPassword, message: 'wrong name or password' }
    const client = this.#clients.get(username)
    try {
      const right = await this.#gate.run(() => verifyPassword(password ?? '', client?.passwordHash ?? this.#decoy))
      if (right && client?.passwordHash !== undefined) return { name: client.username, role: client.role }
      return { returnCode: CONNACK.badUserOrPassword, message: 'wrong name or password' }
    } catch (error) {
      return { returnCode: CONNACK.unavailable, message: (error as Error).message }
    }
  }
}
