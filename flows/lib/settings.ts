import { hostname } from 'node:os'
import type { IClientOptions } from 'mqtt'
import { MtorError } from '../../appliance/contracts/errors.ts'

/** What a realm node says in the editor. Empty fields are taken from the environment, as the appliance gives it to its own Node-RED. */
export interface RealmFields {
  id: string
  name?: string
  url?: string
  realm?: string
  clientId?: string
  keepaliveS?: number | string
  reconnectS?: number | string
}
export interface RealmCredentials { username?: string; password?: string }
/** Node-RED's own node for certificates. */
export interface TlsNode { addTLSOptions(options: Record<string, unknown>): void }

export interface ConnectionSettings { url: string; realm: string; clientId: string; name: string; options: IClientOptions }

/** Realm and node names. @see ../../appliance/contracts/envelope.ts */
const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/
const PROTOCOLS = new Set(['mqtt:', 'mqtts:', 'ws:', 'wss:'])
const DEFAULTS = { url: 'mqtt://127.0.0.1:1883', realm: 'home', keepaliveS: 15, reconnectS: 2 }

/** This machine as a node name. */
export const machineName = (): string => hostname().toLowerCase().replaceAll(/[^a-z0-9-]+/g, '-').replace(/^-+/, '').slice(0, 40) || 'node-red'

function seconds(value: number | string | undefined, fallback: number): number {
  const number = Number(value)
  return Number.isFinite(number) && number > 0 ? number : fallback
}

/**
 * The connection that a realm node asks for. Without a client id one is made of machine and node, so that it is the same
 * after a restart and another on every machine that runs the same flow.
 * @throws MtorError CONFIG_INVALID
 */
export function settingsOf(fields: RealmFields, credentials: RealmCredentials = {}, tls?: TlsNode, env: NodeJS.ProcessEnv = process.env): ConnectionSettings {
  const given = (field: string | undefined, variable: string) => field?.trim() || env[variable] || undefined
  const url = given(fields.url, 'MTOR_REALM_URL') ?? DEFAULTS.url
  // Who names another broker does not want to hand it the password of this one.
  const own = !fields.url?.trim()
  const realm = given(fields.realm, 'MTOR_REALM_NAME') ?? DEFAULTS.realm
  const clientId = fields.clientId?.trim() || (own && env.MTOR_REALM_CLIENT) || `node-red-${machineName()}-${fields.id}`
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (!parsed || !PROTOCOLS.has(parsed.protocol)) throw new MtorError('CONFIG_INVALID', `broker: expected a URL such as mqtt://127.0.0.1:1883 (mqtts, ws, wss), got ${JSON.stringify(url)}`)
  if (!NAME.test(realm)) throw new MtorError('CONFIG_INVALID', `realm: expected lower-case letters, digits and dashes, got ${JSON.stringify(realm)}`)
  if (clientId.length > 100 || /[\s/+#]/.test(clientId)) throw new MtorError('CONFIG_INVALID', `client id: expected at most 100 characters without space, /, + and #, got ${JSON.stringify(clientId)}`)
  const username = credentials.username || (own ? env.MTOR_REALM_USER : undefined)
  const password = credentials.password || (own ? env.MTOR_REALM_PASSWORD : undefined)
  const options: IClientOptions = {
    clientId, keepalive: seconds(fields.keepaliveS, DEFAULTS.keepaliveS), reconnectPeriod: seconds(fields.reconnectS, DEFAULTS.reconnectS) * 1000,
    ...(username ? { username } : {}), ...(password ? { password } : {}),
  }
  tls?.addTLSOptions(options as Record<string, unknown>)
  return { url, realm, clientId, name: fields.name?.trim() || machineName(), options }
}
