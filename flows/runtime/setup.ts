import { isLoopback, tlsMaterial, wantsTls } from '../../appliance/bus/certificate.ts'
import type { FlowsConfig, ListenerConfig } from '../../appliance/config/schema.ts'
import type { Places } from './confinement.ts'
import type { Setup } from './messages.ts'

type Editor = Pick<FlowsConfig, 'host' | 'port' | 'tls'>

const asListener = ({ host, port, tls }: Editor): ListenerConfig => ({ kind: 'tcp', host, port, ...(tls === undefined ? {} : { tls }) })

/** What Node-RED is told at its start. @throws MtorError CONFIG_INVALID where the certificate cannot be read or made */
export async function setupOf(config: FlowsConfig, given: { stateDir: string; node: string; places: Places; credentialSecret: string; login: boolean }): Promise<Setup> {
  const { stateDir, node, places: { userDir, filesDir }, credentialSecret, login } = given
  const { host, port, functionTimeoutS } = config
  const tls = await tlsMaterial(asListener(config), stateDir, node)
  return { host, port, userDir, filesDir, credentialSecret, functionTimeoutS, login, loopbackOnly: isLoopback(host), ...(tls ? { tls: { cert: tls.cert.toString(), key: tls.key.toString() } } : {}) }
}

/** Where the editor is found. */
export function editorUrl(config: Editor, port: number): string {
  const { host } = config
  return `${wantsTls(asListener(config)) ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}/`
}
