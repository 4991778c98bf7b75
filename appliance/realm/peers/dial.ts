import { X509Certificate } from 'node:crypto'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import type { Clock } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import { serialOf } from '../authority.ts'
import type { Credentials } from '../membership.ts'

/** What is spoken is agreed in the TLS handshake: links between members, or the one question of a newcomer. @see RFC 7301 */
export const ALPN = { peer: 'mtor-peer/1', join: 'mtor-join/1' } as const

/** Name, realm and serial number in a certificate. */
export function subjectOf(certificate: X509Certificate): { node: string | undefined; realm: string | undefined; serial: string } {
  const part = (name: string) => certificate.subject.split('\n').find((line) => line.startsWith(`${name}=`))?.slice(name.length + 1)
  return { node: part('CN'), realm: part('O'), serial: serialOf(certificate) }
}

/** What both ends of a link have in common: TLS 1.3, our certificate with its chain, and no authority but the realm's. */
export const tlsOptions = ({ keyPem, certPem, caCertPem }: Credentials) => ({ key: keyPem, cert: `${certPem}\n${caCertPem}`, ca: caCertPem, minVersion: 'TLSv1.3' as const })

export interface DialOptions { host: string; port: number; node: string; realm: string; credentials: Credentials; timeoutMs: number; clock: Clock; signal: AbortSignal }

/**
 * Opens the TLS connection to a node: its certificate must be of this realm's authority and bear its name, whatever
 * address it is reached at.
 * @throws MtorError NODE_UNREACHABLE, NOT_A_MEMBER, CANCELLED
 */
export function dial({ host, port, node, realm, credentials, timeoutMs, clock, signal }: DialOptions): Promise<{ socket: TLSSocket; serial: string }> {
  const options: ConnectionOptions = {
    host, port, ...tlsOptions(credentials), ALPNProtocols: [ALPN.peer], servername: node, rejectUnauthorized: true,
    checkServerIdentity: (_, { raw }) => {
      const subject = subjectOf(new X509Certificate(raw))
      return subject.node === node && subject.realm === realm ? undefined : new MtorError('NOT_A_MEMBER', `the certificate is of ${subject.node} of realm ${subject.realm}`)
    },
  }
  return open(options, timeoutMs, clock, signal).then((socket) => {
    const certificate = socket.getPeerX509Certificate()
    if (!certificate || socket.alpnProtocol !== ALPN.peer) { socket.destroy(); throw new MtorError('NODE_UNREACHABLE', `${host}:${port} speaks something else`) }
    return { socket, serial: serialOf(certificate) }
  })
}

/** A TLS connection; refused certificates are NOT_A_MEMBER, everything else NODE_UNREACHABLE. */
export function open(options: ConnectionOptions, timeoutMs: number, clock: Clock, signal?: AbortSignal): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const place = `${options.host}:${options.port}`
    if (signal?.aborted) { reject(new MtorError('CANCELLED', `dialling ${place} was cancelled`)); return }
    const socket = connect(options)
    const done = (error?: MtorError) => {
      clock.clearTimeout(timer)
      signal?.removeEventListener('abort', cancel)
      socket.off('error', failed)
      socket.on('error', () => {})
      if (error) { socket.destroy(); reject(error) } else resolve(socket)
    }
    const failed = (error: NodeJS.ErrnoException) => done(new MtorError(isOfCertificate(error) ? 'NOT_A_MEMBER' : 'NODE_UNREACHABLE', `${place}: ${error.message}`, { cause: error }))
    const cancel = () => done(new MtorError('CANCELLED', `dialling ${place} was cancelled`))
    const timer = clock.setTimeout(() => done(new MtorError('NODE_UNREACHABLE', `${place} did not answer within ${timeoutMs} ms`)), timeoutMs)
    signal?.addEventListener('abort', cancel, { once: true })
    socket.once('error', failed)
    socket.once('secureConnect', () => done())
  })
}

/** OpenSSL's verdicts on a certificate, as Node names them, and our own of checkServerIdentity. */
const isOfCertificate = ({ code, message }: NodeJS.ErrnoException) => /CERT|SIGNATURE|ISSUER|CA_|CRL/.test(code ?? '') || /certificate/.test(message)
