import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { MtorError } from '../contracts/errors.ts'
import type { ListenerConfig } from '../config/schema.ts'

const run = promisify(execFile)

/** What a TLS server needs, as PEM. With `ca`, a client certificate it signed is an identity. */
export interface TlsMaterial { cert: Buffer; key: Buffer; ca?: Buffer }

/** True for hosts that only this machine can reach. */
export const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || /^(::ffff:)?127\.\d+\.\d+\.\d+$/.test(host)

/** Whether a listener speaks TLS: as configured, else on beyond loopback. */
export const wantsTls = (listener: ListenerConfig): boolean => listener.tls === undefined ? !isLoopback(listener.host) : listener.tls !== false

const readPem = async (file: string): Promise<Buffer> => readFile(file).catch((error: Error) => {
  throw new MtorError('CONFIG_INVALID', `cannot read the TLS file ${file}: ${error.message}`, { cause: error })
})

/**
 * The certificate of a listener: the configured files, or a self-signed one (EC P-256, ten years) made on first use
 * as `bus-cert.pem` and `bus-key.pem` in the state folder, readable by its owner only.
 * @throws MtorError CONFIG_INVALID when a file cannot be read, or openssl is needed and missing
 */
export async function tlsMaterial(listener: ListenerConfig, stateDir: string, node: string, openssl = 'openssl'): Promise<TlsMaterial | undefined> {
  if (!wantsTls(listener)) return undefined
  if (typeof listener.tls === 'object') {
    const { cert, key, ca } = listener.tls
    return { cert: await readPem(cert), key: await readPem(key), ...(ca === undefined ? {} : { ca: await readPem(ca) }) }
  }
  const certFile = join(stateDir, 'bus-cert.pem')
  const keyFile = join(stateDir, 'bus-key.pem')
  try { return { cert: await readFile(certFile), key: await readFile(keyFile) } } catch { /* made below */ }
  await mkdir(stateDir, { recursive: true })
  // openssl would create the key readable to all; in a folder only we can enter, nobody can open it before chmod.
  const folder = await mkdtemp(join(stateDir, '.bus-cert-'))
  try {
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
    await run(openssl, ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '3650', '-sha256',
      '-subj', `/CN=${node}`, '-addext', `subjectAltName=DNS:${node},DNS:${node}.local,DNS:localhost,IP:127.0.0.1,IP:::1`, '-keyout', key, '-out', cert])
    await Promise.all([chmod(cert, 0o600), chmod(key, 0o600)])
    await rename(key, keyFile)
    await rename(cert, certFile)
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    throw new MtorError('CONFIG_INVALID', `listener ${listener.host}:${listener.port} needs a certificate and ${missing ? 'openssl is not installed' : `openssl could not make one: ${(error as Error).message}`}`,
      { cause: error, hint: 'Install openssl, or name certificate files in bus.listeners[].tls.' })
  } finally { await rm(folder, { recursive: true, force: true }) }
  return { cert: await readFile(certFile), key: await readFile(keyFile) }
}
