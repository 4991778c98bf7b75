import { Authenticator } from '../../appliance/bus/identity.ts'
import { isLoopback } from '../../appliance/bus/certificate.ts'
import type { BusConfig, FlowsConfig } from '../../appliance/config/schema.ts'
import { MtorError } from '../../appliance/contracts/errors.ts'
import type { Role } from '../../appliance/contracts/intents.ts'
import type { EditorUser } from './messages.ts'

/** What a role may do in the editor, in Node-RED's words. */
const PERMISSIONS: Readonly<Partial<Record<Role, string>>> = { operator: '*', observer: 'read' }

/** Who may open the editor: the identities of the bus that have a password, operators to change flows, observers to look. */
export class EditorAccess {
  readonly #clients: BusConfig['clients']
  readonly #authenticator: Authenticator
  /** Whoever opens the editor must log in. Left open only where the bus is open too: on loopback, with no identities configured. */
  readonly login: boolean

  /** @throws MtorError CONFIG_INVALID where the editor would be open to the network with nobody who can log in */
  constructor(bus: Pick<BusConfig, 'clients' | 'anonymousRole'>, { host }: Pick<FlowsConfig, 'host'>) {
    this.#clients = bus.clients.filter(({ role, passwordHash }) => PERMISSIONS[role] !== undefined && passwordHash !== undefined)
    this.#authenticator = new Authenticator({ clients: this.#clients })
    const hasOperator = this.#clients.some(({ role }) => role === 'operator')
    if (!isLoopback(host) && !hasOperator) {
      throw new MtorError('CONFIG_INVALID', `flows.host ${host} opens the editor to the network, and no operator in bus.clients has a password`, { hint: 'Add one (mtor config hash-password makes the passwordHash), or set flows.host to 127.0.0.1.' })
    }
    this.login = hasOperator || (bus.anonymousRole ?? (bus.clients.length === 0 ? 'operator' : undefined)) !== 'operator'
  }

  user(username: string): EditorUser | null {
    const client = this.#clients.find((one) => one.username === username)
    return client ? { username, permissions: PERMISSIONS[client.role]! } : null
  }

  async authenticate(username: string, password: string): Promise<EditorUser | null> {
    if (username === '' || this.#clients.length === 0) return null
    const known = await this.#authenticator.identify({ loopback: false }, username, Buffer.from(password))
    return 'returnCode' in known || known.name === undefined ? null : this.user(known.name)
  }
}
