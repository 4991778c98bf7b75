import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import { isCode } from '../contracts/codes.ts'
import type { Clock } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'
import { fingerprintOf, makeKey, makeRequest } from './authority.ts'
import type { RealmFolder } from './folder.ts'
import { joinAnswerValidator, readFrame, sendFrame } from './join-messages.ts'
import { openList } from './list.ts'
import { Membership } from './membership.ts'
import { ALPN, open, subjectOf } from './peers/dial.ts'
import { PEER_PROTOCOL } from './peers/hello.ts'
import { CHANNEL_BINDING, fitsToken, parseToken, proveToken } from './tokens.ts'

const TIMEOUT_MS = 10_000
const MAX_ANSWER_BYTES = 1024 * 1024
/** Where nodes listen unless they are told otherwise. */
export const DEFAULT_PORT = 7717

/** "host", "host:port", "[v6]:port" or a bare IPv6 address. @throws MtorError USAGE */
export function parseAddress(text: string, defaultPort = DEFAULT_PORT): { host: string; port: number } {
  const [, bracketed, plain, digits] = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const host = bracketed ?? plain ?? (isIP(text) === 6 ? text : undefined)
  const port = digits === undefined ? defaultPort : Number(digits)
  if (host === undefined || port < 1 || port > 65_535) throw new MtorError('USAGE', `an address is HOST or HOST:PORT, got ${JSON.stringify(text)}`)
  return { host, port }
}

export interface JoinOptions {
  folder: RealmFolder
  /** Of a member that is running. */
  host: string
  port: number
  token: string
  /** Name of this node; a token that was made to replace a node says another. */
  node: string
  /** Where the others reach this node; host left out: at the address it comes from. */
  own: { host?: string; port: number }
  clock: Clock
}

/**
 * Joins a realm. The token proves both sides: first the authority's certificate is fetched and compared with the
 * fingerprint in the token, then TLS itself verifies the member against that authority, and on that connection this node
 * proves that it knows the secret of the token. Somebody in between has no certificate of that authority; and whoever
 * has one that was revoked gets a proof that is good for nothing else.
 * @throws MtorError ALREADY_A_MEMBER, TOKEN_INVALID, NODE_UNREACHABLE, VERSION_MISMATCH
 */
export async function joinRealm({ folder, host, port, token, node, own, clock }: JoinOptions): Promise<Membership> {
  if (folder.isMember) throw new MtorError('ALREADY_A_MEMBER', `${folder.path} is in use`)
  const { secret, fingerprintStart } = parseToken(token)
  const place = { host, port, ALPNProtocols: [ALPN.join], minVersion: 'TLSv1.3' } satisfies ConnectionOptions
  const caCertPem = await fetchAuthority(place, fingerprintStart, clock)
  const keyPem = makeKey()
  const csr = await makeRequest(folder.path, keyPem, node)
  const socket = await open({
    ...place, ca: caCertPem, rejectUnauthorized: true,
    // Any member will do: it is the authority that we know.
    checkServerIdentity: () => undefined,
  }, TIMEOUT_MS, clock)
  try {
    const answer = readFrame(socket, MAX_ANSWER_BYTES)
    const timer = clock.setTimeout(() => socket.destroy(), TIMEOUT_MS)
    socket.once('close', () => clock.clearTimeout(timer))
    const binding = socket.exportKeyingMaterial(CHANNEL_BINDING.bytes, CHANNEL_BINDING.label, Buffer.alloc(0))
    sendFrame(socket, { t: 'join', protocol: PEER_PROTOCOL, ...proveToken(secret, binding, csr), node, ...own, csr })
    const header = await answer
    if (header.t === 'refused') throw refusalOf(header.error)
    const joined = joinAnswerValidator.assert(header, 'MALFORMED', 'answer of the realm')
    const list = openList(joined.list, caCertPem, joined.realm)
    const subject = subjectOf(new X509Certificate(joined.cert))
    if (subject.node !== joined.node || subject.realm !== joined.realm || !list.members.find((member) => member.node === joined.node)?.serials.includes(subject.serial)) {
      throw new MtorError('MALFORMED', 'the realm answered with a certificate that is not in its member list')
    }
    return await Membership.settle({ folder, realm: joined.realm, node: joined.node, list: joined.list, keyPem, certPem: joined.cert, caCertPem })
  } finally { socket.destroy() }
}

/** The certificate of the authority, as the member shows it, if it is the one the token speaks of. */
async function fetchAuthority(place: ConnectionOptions, fingerprintStart: string, clock: Clock): Promise<string> {
  // Nothing is believed and nothing is sent on this connection.
  const socket = await open({ ...place, rejectUnauthorized: false }, TIMEOUT_MS, clock)
  try {
    const shown: X509Certificate[] = []
    for (let one = socket.getPeerX509Certificate(); one && shown.length < 4; one = one.issuerCertificate) shown.push(one)
    const authority = shown.find((one) => fitsToken(fingerprintOf(one), fingerprintStart))
    if (!authority) throw new MtorError('TOKEN_INVALID', `${place.host}:${place.port} is not of the realm that the token was made for`, { hint: 'Check the address. If it is right, somebody may stand in between: nothing was sent.' })
    return authority.toString()
  } finally { socket.destroy() }
}

function refusalOf(error: unknown): MtorError {
  const { code, message, hint } = (error ?? {}) as { code?: unknown; message?: unknown; hint?: unknown }
  return new MtorError(isCode(code) ? code : 'TOKEN_INVALID', typeof message === 'string' ? message : 'the realm gave no reason', typeof hint === 'string' ? { hint } : {})
}
