import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, X509Certificate, type KeyObject } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { MtorError } from '../contracts/errors.ts'
import { HOST_PATTERN, signList, type MemberList, type SignedList } from './list.ts'
import { inPrivateFolder, openssl } from './openssl.ts'

/** A board whose clock was never set believes it is 1970: no certificate of a realm is "not yet valid" to it. @see RFC 5280 §4.1.2.5 */
const NOT_BEFORE = '19700101000000Z'
/** "No well-defined expiration date". @see RFC 5280 §4.1.2.5 */
const NO_END = '99991231235959Z'
/** Long, so that a realm that lay in a cupboard for some years still starts; renewed a year after it was made, while in use. */
export const CERTIFICATE_YEARS = 5
const YEAR_MS = 365 * 24 * 3600_000
export const RENEW_AFTER_MS = YEAR_MS
export const CERTIFICATE_MS = CERTIFICATE_YEARS * YEAR_MS
const MAX_CSR_CHARACTERS = 4096

/** SHA-256 of a certificate (DER), lower-case hexadecimal. */
export const fingerprintOf = (certPem: string | X509Certificate): string => createHash('sha256').update((typeof certPem === 'string' ? new X509Certificate(certPem) : certPem).raw).digest('hex')
/** SHA-256 of a certificate's public key (SPKI). */
export const keyHashOf = (certificate: X509Certificate): string => createHash('sha256').update(certificate.publicKey.export({ type: 'spki', format: 'der' })).digest('hex')
/** Serial number as lists hold it. */
export const serialOf = (certificate: Pick<X509Certificate, 'serialNumber'>): string => certificate.serialNumber.toUpperCase().padStart(32, '0')

/** A fresh private key (EC P-256, PKCS #8, PEM). */
export const makeKey = (): string => generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string

/** A request for a certificate for this key: the key itself stays here. */
export const makeRequest = (folder: string, keyPem: string, node: string): Promise<string> => inPrivateFolder(folder, async (inside) => {
  await writeFile(join(inside, 'key.pem'), keyPem, { mode: 0o600 })
  await writeConfig(inside, [])
  await openssl(inside, ['req', '-new', '-config', 'openssl.cnf', '-key', 'key.pem', '-subj', `/CN=${node}`, '-out', 'request.pem'])
  return readFile(join(inside, 'request.pem'), 'utf8')
})

export interface CertificateRequest {
  csr: string
  node: string
  /** Further names and addresses at which the node is reached; programs that do not know about realms (etcd) look at these. */
  hosts: readonly string[]
  /** Undefined while the clock is not known good: the certificate then has no end until it is renewed under a good clock. */
  wallMs: number | undefined
}
export interface Issued { certPem: string; serial: string; key: string }

/** The realm's certificate authority. Whoever holds it may say who belongs to the realm. */
export class Authority {
  readonly realm: string
  readonly certPem: string
  readonly keyPem: string
  readonly #folder: string
  readonly #key: KeyObject

  /** @throws MtorError CONFIG_INVALID when the key does not belong to the certificate */
  constructor(options: { realm: string; certPem: string; keyPem: string; folder: string }) {
    this.realm = options.realm
    this.certPem = options.certPem
    this.keyPem = options.keyPem
    this.#folder = options.folder
    try { this.#key = createPrivateKey(options.keyPem) } catch (error) { throw new MtorError('CONFIG_INVALID', 'the key of the realm\'s authority cannot be read', { cause: error }) }
    if (!new X509Certificate(options.certPem).checkPrivateKey(this.#key)) throw new MtorError('CONFIG_INVALID', 'the key of the realm\'s authority is not the one of its certificate')
  }

  /** Makes the authority of a new realm. */
  static async make(folder: string, realm: string): Promise<Authority> {
    const keyPem = makeKey()
    const certPem = await inPrivateFolder(folder, async (inside) => {
      await writeFile(join(inside, 'key.pem'), keyPem, { mode: 0o600 })
      await writeConfig(inside, ['basicConstraints = critical,CA:TRUE,pathlen:0', 'keyUsage = critical,keyCertSign,cRLSign', 'subjectKeyIdentifier = hash'])
      await openssl(inside, ['req', '-new', '-config', 'openssl.cnf', '-key', 'key.pem', '-subj', `/O=${realm}/CN=MTOR realm CA`, '-out', 'request.pem'])
      await openssl(inside, ['ca', '-config', 'openssl.cnf', '-batch', '-notext', '-selfsign', '-keyfile', 'key.pem', '-in', 'request.pem', '-startdate', NOT_BEFORE, '-enddate', NO_END, '-out', 'cert.pem'])
      return readFile(join(inside, 'cert.pem'), 'utf8')
    })
    return new Authority({ realm, certPem, keyPem, folder })
  }

  get fingerprint(): string { return fingerprintOf(this.certPem) }

  sign(list: MemberList): SignedList { return signList(list, this.#key) }

  /**
   * A certificate for the key of a request, in which nothing else is believed: name and addresses are ours to say.
   * openssl checks that whoever made the request has the key.
   * @throws MtorError MALFORMED for a request that is none, or for another kind of key than EC P-256
   */
  async issue({ csr, node, hosts, wallMs }: CertificateRequest): Promise<Issued> {
    if (csr.length > MAX_CSR_CHARACTERS || !/^-----BEGIN CERTIFICATE REQUEST-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE REQUEST-----\n?$/.test(csr)) throw new MtorError('MALFORMED', 'no certificate request in PEM')
    const strange = hosts.find((host) => !HOST_PATTERN.test(host))
    if (strange !== undefined) throw new MtorError('MALFORMED', `no name or address of a host: ${JSON.stringify(strange.slice(0, 100))}`)
    const names = [...new Set([node, `${node}.local`, 'localhost', '127.0.0.1', '::1', ...hosts])].map((host) => isIP(host) ? `IP:${host}` : `DNS:${host}`)
    const endDate = wallMs === undefined ? NO_END : asn1Time(wallMs + CERTIFICATE_MS)
    const certPem = await inPrivateFolder(this.#folder, async (inside) => {
      await Promise.all([writeFile(join(inside, 'key.pem'), this.keyPem, { mode: 0o600 }), writeFile(join(inside, 'ca.pem'), this.certPem), writeFile(join(inside, 'request.pem'), csr)])
      await writeConfig(inside, ['basicConstraints = critical,CA:FALSE', 'keyUsage = critical,digitalSignature', 'extendedKeyUsage = serverAuth,clientAuth',
        'subjectKeyIdentifier = hash', 'authorityKeyIdentifier = keyid', `subjectAltName = ${names.join(',')}`])
      try {
        await openssl(inside, ['ca', '-config', 'openssl.cnf', '-batch', '-notext', '-cert', 'ca.pem', '-keyfile', 'key.pem', '-in', 'request.pem', '-subj', `/O=${this.realm}/CN=${node}`, '-startdate', NOT_BEFORE, '-enddate', endDate, '-out', 'cert.pem'])
      } catch (error) { throw new MtorError('MALFORMED', `the certificate request was not signed: ${(error as Error).message}`, { cause: error }) }
      return readFile(join(inside, 'cert.pem'), 'utf8')
    })
    const certificate = new X509Certificate(certPem)
    const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey
    if (asymmetricKeyType !== 'ec' || asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new MtorError('MALFORMED', `a certificate request must have a key of EC P-256, got ${asymmetricKeyType}`)
    return { certPem, serial: serialOf(certificate), key: keyHashOf(certificate) }
  }
}

const asn1Time = (wallMs: number) => new Date(wallMs).toISOString().replaceAll(/[-:T]|\.\d+/g, '')

/** A configuration for one certificate, with a random serial number of 16 bytes whose first is neither 0 nor negative. */
async function writeConfig(inside: string, extensions: readonly string[]): Promise<void> {
  const serial = randomBytes(16)
  serial[0] = 0x40 | (serial[0]! & 0x3f)
  await Promise.all([
    writeFile(join(inside, 'index.txt'), ''),
    writeFile(join(inside, 'serial'), `${serial.toString('hex').toUpperCase()}\n`),
    writeFile(join(inside, 'openssl.cnf'), `[req]
distinguished_name = names
[names]
[ca]
default_ca = realm
[realm]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
unique_subject = no
copy_extensions = none
email_in_dn = no
x509_extensions = extensions
[any]
organizationName = optional
commonName = supplied
[extensions]
${extensions.join('\n')}
`),
  ])
}
