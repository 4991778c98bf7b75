import { createPrivateKey, sign } from 'node:crypto'

/** One element of ASN.1 in DER. @see ITU-T X.690 §8.1, §10.1 */
function der(tag: number, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  const { length } = content
  const bytes = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : length < 0x1_0000 ? [0x82, length >> 8, length & 0xff] : [0x83, length >> 16, (length >> 8) & 0xff, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...bytes]), content])
}
const sequence = (...contents: Buffer[]) => der(0x30, ...contents)
const integer = (hex: string) => {
  const digits = Buffer.from(hex.replace(/^(?:00)+(?=..)/, ''), 'hex')
  return der(0x02, ...(digits[0]! & 0x80 ? [Buffer.from([0])] : []), digits)
}
const ECDSA_WITH_SHA256 = sequence(der(0x06, Buffer.from('2a8648ce3d040302', 'hex')))
const COMMON_NAME = der(0x06, Buffer.from('550403', 'hex'))
/** 1970: no clock that was never set finds it in the future. */
const ALWAYS = der(0x17, Buffer.from('700101000000Z'))
/** "No well-defined expiration date". @see RFC 5280 §4.1.2.5 */
const NO_END = der(0x18, Buffer.from('99991231235959Z'))

/**
 * A list of revoked certificates (DER, version 2) for programs that know nothing of member lists, that is etcd. It is
 * signed with the node's own key, because a witness has no other: etcd reads the numbers, and neither signature nor
 * dates. What counts is the signature of the member list that it is made from. Written here and not with openssl, whose
 * lists have version 1 (refused from etcd 3.6 on) unless they are given a number of their own.
 * @param serials hexadecimal
 * @see RFC 5280 §5.1
 * @see https://github.com/etcd-io/etcd/blob/release-3.6/client/pkg/transport/listener_tls.go
 */
export function revocationList({ serials, node, keyPem }: { serials: readonly string[]; node: string; keyPem: string }): Buffer {
  const issuer = sequence(der(0x31, sequence(COMMON_NAME, der(0x0c, Buffer.from(node)))))
  // An empty list must be left out.
  const revoked = serials.length === 0 ? [] : [sequence(...serials.map((serial) => sequence(integer(serial), ALWAYS)))]
  const content = sequence(integer('01'), ECDSA_WITH_SHA256, issuer, ALWAYS, NO_END, ...revoked)
  return sequence(content, ECDSA_WITH_SHA256, der(0x03, Buffer.from([0]), sign('sha256', content, createPrivateKey(keyPem))))
}
