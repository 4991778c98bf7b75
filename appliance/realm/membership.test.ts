import test from 'ava'
import fc from 'fast-check'
import { createPublicKey, X509Certificate } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:tls'
import type { AddressInfo } from 'node:net'
import { freePort } from '../contracts/free-port.ts'
import { ManualClock, systemClock } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'
import { Authority, CERTIFICATE_MS, makeKey, makeRequest } from './authority.ts'
import { RealmFolder } from './folder.ts'
import { joinRealm, parseAddress } from './join.ts'
import { changeList, mergeLists, openList, sameContent, type Member, type MemberList } from './list.ts'
import { Membership } from './membership.ts'
import { ALPN } from './peers/dial.ts'
import { needsRenewal } from './steward.ts'
import { startNode, temporary } from './testing.ts'
import { fitsToken, formatToken, parseToken, proveToken, Tokens } from './tokens.ts'

const WALL = Date.UTC(2026, 5, 1)
const make = async (t: import('ava').ExecutionContext, wallMs: number | undefined = WALL) => Membership.create({ folder: new RealmFolder(await temporary(t)), realm: 'home', node: 'a', host: '192.0.2.7', port: 7717, wallMs })

test('a new realm has one member, files for its owner only, and comes back from them', async (t) => {
  const made = await make(t)
  t.like(made.self, { node: 'a', role: 'full', host: '192.0.2.7', port: 7717 })
  for (const file of ['member', 'caCert', 'caKey', 'cert', 'key'] as const) t.is(statSync(made.folder.of(file)).mode & 0o777, 0o600, file)
  t.is(statSync(made.folder.path).mode & 0o777, 0o700)
  const again = await Membership.load(made.folder)
  t.deepEqual(again.list, made.list)
  t.is(again.ownRefusal, undefined)
  await t.throwsAsync(Membership.create({ folder: made.folder, realm: 'home', node: 'a', host: '192.0.2.7', port: 7717, wallMs: WALL }), { code: 'ALREADY_A_MEMBER' })
})

test('certificates name node, realm and address, are of the authority, and are good on a board that believes it is 1970', async (t) => {
  const { certificate, credentials } = await make(t)
  const ca = new X509Certificate(credentials.caCertPem)
  t.true(certificate.verify(ca.publicKey) && certificate.checkIssued(ca))
  t.is(certificate.subject, 'O=home\nCN=a')
  t.regex(certificate.subjectAltName!, /DNS:a, DNS:a\.local, DNS:localhost, IP Address:127\.0\.0\.1, IP Address:0:0:0:0:0:0:0:1, IP Address:192\.0\.2\.7/)
  t.deepEqual([certificate.validFromDate.getTime(), ca.validFromDate.getTime()], [0, 0])
  t.is(certificate.validToDate.getTime(), WALL + CERTIFICATE_MS)
  t.deepEqual([certificate.ca, ca.ca], [false, true])
})

test('a certificate is renewed after a year, when it was made without a clock, and when the node has moved', async (t) => {
  const dated = await make(t)
  const { certificate, self } = dated
  const address = { port: 7717 }
  const days = (n: number) => WALL + n * 24 * 3600_000
  t.false(needsRenewal(certificate, days(300), self!, address))
  t.true(needsRenewal(certificate, days(366), self!, address))
  t.false(needsRenewal(certificate, undefined, self!, address), 'no clock, no haste')
  t.true(needsRenewal(certificate, days(1), self!, { port: 7718 }))
  t.true(needsRenewal(certificate, days(1), self!, { host: '192.0.2.8', port: 7717 }))
  const undated = await Membership.create({ folder: new RealmFolder(await temporary(t)), realm: 'home', node: 'a', host: '192.0.2.7', port: 7717, wallMs: undefined })
  t.is(undated.certificate.validToDate.getUTCFullYear(), 9999)
  t.true(needsRenewal(undated.certificate, days(1), undated.self!, address))
})

test('of a request only the key is believed', async (t) => {
  const folder = await temporary(t)
  const authority = await Authority.make(folder, 'home')
  const csr = await makeRequest(folder, makeKey(), 'mallory')
  const { certPem } = await authority.issue({ csr, node: 'b', hosts: [], wallMs: WALL })
  t.is(new X509Certificate(certPem).subject, 'O=home\nCN=b')
  const tampered = csr.replace(/\n(....)/, (_, four: string) => `\n${[...four].reverse().join('')}`)
  for (const bad of ['', 'x', tampered, `${csr}${csr}`, csr.replace('CERTIFICATE REQUEST', 'CERTIFICATE')]) await t.throwsAsync(authority.issue({ csr: bad, node: 'b', hosts: [], wallMs: WALL }), { code: 'MALFORMED' })
  await t.throwsAsync(authority.issue({ csr, node: 'b', hosts: ['x,IP:10.0.0.1'], wallMs: WALL }), { code: 'MALFORMED' })
  const other = await Authority.make(folder, 'home')
  t.throws(() => new Authority({ realm: 'home', certPem: other.certPem, keyPem: authority.keyPem, folder }), { code: 'CONFIG_INVALID' })
})

test('files that do not fit together are told, and a list that was tampered with is refused', async (t) => {
  const made = await make(t)
  const file = made.folder.of('member')
  const text = readFileSync(file, 'utf8')
  for (const broken of ['{', '{}', text.replace('7717', '7718'), text.replace('"home"', '"away"')]) {
    writeFileSync(file, broken)
    await t.throwsAsync(Membership.load(made.folder), { code: 'CONFIG_INVALID' })
  }
  writeFileSync(file, text)
  writeFileSync(made.folder.of('key'), makeKey())
  await t.throwsAsync(Membership.load(made.folder), { code: 'CONFIG_INVALID' })
  const other = await make(t)
  t.throws(() => made.adopt(other.signed), { code: 'NOT_A_MEMBER' })
  t.throws(() => openList({ ...made.signed, text: made.signed.text.replace('full', 'null') }, made.credentials.caCertPem, 'home'), { code: 'NOT_A_MEMBER' })
  t.is(createPublicKey(made.credentials.caCertPem).asymmetricKeyType, 'ec')
})

const serial = (n: number) => n.toString(16).toUpperCase().padStart(32, '0')
const member = (node: string, key: number, serials: number[]): Omit<Member, 'changed'> => ({ node, role: 'full', host: node, port: 1, key: key.toString(16).padStart(64, '0'), serials: serials.map(serial) })
const EMPTY: MemberList = { v: 1, realm: 'home', version: 1, members: [], revoked: [] }

test('lists that were changed apart come to the same on all nodes, in whatever order they meet', (t) => {
  const change = fc.oneof(
    fc.record({ node: fc.constantFrom('a', 'b', 'c'), key: fc.nat(3), serials: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 2 }) }).map(({ node, key, serials }) => ({ put: member(node, key, serials) })),
    fc.integer({ min: 1, max: 12 }).map((n) => ({ revoke: [{ serial: serial(n), node: 'a', why: 'left' as const }] })),
  )
  const lists = fc.array(fc.array(change, { maxLength: 5 }), { minLength: 3, maxLength: 3 })
  fc.assert(fc.property(lists, fc.array(fc.tuple(fc.nat(2), fc.nat(2)), { maxLength: 10 }), (changes, meetings) => {
    const nodes = changes.map((some) => some.reduce<MemberList>((list, one) => changeList(list, one), EMPTY))
    const revoked = new Set(nodes.flatMap((list) => list.revoked.map((one) => one.serial)))
    const meet = (i: number, j: number) => { nodes[i] = nodes[j] = mergeLists(nodes[i]!, nodes[j]!) }
    for (const [i, j] of meetings) meet(i, j)
    for (let round = 0; round < 3; round++) { meet(0, 1); meet(1, 2); meet(2, 0) }
    t.true(sameContent(nodes[0]!, nodes[1]!) && sameContent(nodes[1]!, nodes[2]!))
    t.true(sameContent(mergeLists(nodes[0]!, nodes[0]!), nodes[0]!))
    for (const list of nodes) {
      for (const one of revoked) t.false(list.members.some(({ serials }) => serials.includes(one)), 'what was revoked stays so')
      t.is(new Set(list.members.map(({ node }) => node)).size, list.members.length)
    }
  }), { numRuns: 300 })
})

test('a name that was given away twice during a cut stays with one board, and the other is revoked', (t) => {
  const base = changeList(EMPTY, { put: member('a', 1, [1]) })
  const here = changeList(base, { put: member('b', 2, [2]) })
  const there = changeList(changeList(base, { put: member('c', 3, [3]) }), { put: member('b', 4, [4]) })
  const merged = mergeLists(here, there)
  t.deepEqual(merged.members.map(({ node, serials }) => [node, ...serials]), [['a', serial(1)], ['b', serial(4)], ['c', serial(3)]])
  t.deepEqual(merged.revoked, [{ serial: serial(2), node: 'b', why: 'conflict' }])
  t.true(merged.version > Math.max(here.version, there.version))
  t.is(mergeLists(base, here).version, here.version, 'what is only older makes no new version')
})

test('a witness passes on what it cannot put together itself, and obeys every revocation meanwhile', async (t) => {
  const a = await startNode(t, 'a', { start: true })
  const b = await startNode(t, 'b', { at: a, start: false })
  const w = await startNode(t, 'w', { at: a, role: 'witness', start: false })
  b.membership.adopt(a.membership.signed)
  await a.membership.change({ put: { ...a.membership.self!, port: 7999 } })
  await b.membership.change({ revoke: [{ serial: serial(5), node: 'x', why: 'left' }] })
  w.membership.adopt(a.membership.signed)
  t.true(w.membership.adopt(b.membership.signed).answer)
  t.truthy(w.membership.refusal('x', serial(5)))
  t.is(w.membership.authority, undefined)
  await t.throwsAsync(w.membership.change({}), { code: 'UNAUTHORISED' })
  // A full node gets the other half from the witness, signs both, and the witness takes that.
  const before = w.membership.signed
  const outcome = (before.text === a.membership.signed.text ? b : a).membership
  t.deepEqual(outcome.adopt(before), { changed: true, answer: true })
  t.deepEqual(w.membership.adopt(outcome.signed), { changed: true, answer: false })
  t.is(w.membership.member('a')!.port, 7999)
  t.is(w.membership.list.revoked.length, 1)
})

test('a token is read as it was written, and a slip of the pen is noticed', (t) => {
  const secret = Buffer.alloc(16, 5)
  const fingerprint = 'ab'.repeat(32)
  const token = formatToken(secret, fingerprint)
  const read = parseToken(token)
  t.true(read.secret.equals(secret) && fitsToken(fingerprint, read.fingerprintStart) && !fitsToken('cd'.repeat(32), read.fingerprintStart))
  t.false(fitsToken(fingerprint, ''))
  for (const bad of ['', 'mtor-', token.slice(0, -1), `${token}AAAA`, token.slice(5), token.replace('B', 'C'), 'mtor-' + 'A'.repeat(47)]) t.throws(() => parseToken(bad), { code: 'TOKEN_INVALID' }, bad)
})

test('tokens expire on the monotonic clock, do not outlive the boot, are good once, and are not on the disk', async (t) => {
  const folder = new RealmFolder(await temporary(t))
  const clock = new ManualClock(1_000, undefined)
  const tokens = new Tokens({ folder, clock, boot: 'one' })
  const prove = (token: string, csr = 'csr') => proveToken(parseToken(token).secret, Buffer.from('binding'), csr)
  const { token, expiresInS } = await tokens.make({ role: 'witness', minutes: 15, fingerprint: 'ab'.repeat(32) })
  t.is(expiresInS, 900)
  t.is(statSync(folder.of('tokens')).mode & 0o777, 0o600)
  t.false(readFileSync(folder.of('tokens'), 'utf8').includes(parseToken(token).secret.toString('hex')))
  const grant = tokens.find(prove(token), Buffer.from('binding'), 'csr')!
  t.like(grant, { role: 'witness' })
  t.is(tokens.find(prove(token), Buffer.from('other connection'), 'csr'), undefined, 'a proof that was relayed')
  t.is(tokens.find(prove(token), Buffer.from('binding'), 'other key'), undefined)
  t.is(tokens.find({ ...prove(token), proof: '00' }, Buffer.from('binding'), 'csr'), undefined)
  const sameBoot = new Tokens({ folder, clock, boot: 'one' })
  await sameBoot.load()
  t.truthy(sameBoot.find(prove(token), Buffer.from('binding'), 'csr'), 'a daemon that is started anew knows it')
  const nextBoot = new Tokens({ folder, clock, boot: 'two' })
  await nextBoot.load()
  t.is(nextBoot.find(prove(token), Buffer.from('binding'), 'csr'), undefined)
  t.deepEqual(await Promise.all([tokens.spend(grant), tokens.spend(grant)]), [true, false])
  t.is(tokens.find(prove(token), Buffer.from('binding'), 'csr'), undefined)
  const late = await tokens.make({ role: 'full', minutes: 1, fingerprint: 'ab'.repeat(32) })
  const lateGrant = tokens.find(prove(late.token), Buffer.from('binding'), 'csr')!
  await clock.advance(60_000)
  t.is(tokens.find(prove(late.token), Buffer.from('binding'), 'csr'), undefined)
  t.false(await tokens.spend(lateGrant))
})

const tokenOf = (at: Awaited<ReturnType<typeof startNode>>, more: object = {}) => at.tokens.make({ role: 'full', minutes: 15, fingerprint: at.membership.authority!.fingerprint, ...more })
const joining = async (t: import('ava').ExecutionContext, port: number, token: string, node = 'b') => joinRealm({ folder: new RealmFolder(await temporary(t)), host: '127.0.0.1', port, token, node, own: { port: await freePort() }, clock: systemClock })

test('a token that was used is refused, also when two use it at once', async (t) => {
  const a = await startNode(t, 'a')
  const { token } = await tokenOf(a)
  const outcomes = await Promise.allSettled([joining(t, a.port, token, 'b'), joining(t, a.port, token, 'c')])
  t.is(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
  t.is((outcomes.find((one) => one.status === 'rejected')!.reason as MtorError).code, 'TOKEN_INVALID')
  await t.throwsAsync(joining(t, a.port, token, 'd'), { code: 'TOKEN_INVALID' })
  t.is(a.membership.list.members.length, 2)
  t.like(a.named('join.refused')[0], { severity: 'warning', code: 'TOKEN_INVALID' })
})

test('an expired token is refused', async (t) => {
  const clock = new ManualClock()
  const a = await startNode(t, 'a', { clock })
  const { token } = await tokenOf(a)
  await clock.advance(15 * 60_000)
  await t.throwsAsync(joining(t, a.port, token), { code: 'TOKEN_INVALID' })
  t.is(a.membership.list.members.length, 1)
})

test('a name that is taken is refused, and the token is still good for another', async (t) => {
  const a = await startNode(t, 'a')
  const { token } = await tokenOf(a)
  await t.throwsAsync(joining(t, a.port, token, 'a'), { code: 'ALREADY_A_MEMBER' })
  t.is((await joining(t, a.port, token, 'b')).node, 'b')
  const bound = await tokenOf(a, { node: 'c', role: 'witness' })
  const joined = await joining(t, a.port, bound.token, 'anything')
  t.deepEqual([joined.node, joined.role], ['c', 'witness'], 'a token that was made for a node gives its name')
  t.is(joined.authority, undefined, 'the key of the authority is not handed out at the door')
})

test('a newcomer sends nothing to somebody of another realm, nor to somebody in between who shows our authority', async (t) => {
  const [a, other] = [await startNode(t, 'a'), await startNode(t, 'a')]
  const { token } = await tokenOf(a)
  await t.throwsAsync(joining(t, other.port, token), { code: 'TOKEN_INVALID', message: /not of the realm/ })
  // It has a certificate and key of its own, and the certificate of our authority, which is no secret.
  const { certPem, keyPem } = other.membership.credentials
  let heard = 0
  const between = createServer({ key: keyPem, cert: `${certPem}\n${a.membership.credentials.caCertPem}`, ALPNProtocols: [ALPN.join], minVersion: 'TLSv1.3' }, (socket) => { socket.on('error', () => {}); socket.on('data', (data: Buffer) => { heard += data.length }) })
  await new Promise<void>((resolve) => { between.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => between.close())
  await t.throwsAsync(joining(t, (between.address() as AddressInfo).port, token), { code: 'NOT_A_MEMBER' })
  t.is(heard, 0)
  t.is((await joining(t, a.port, token)).node, 'b', 'the token was not used up')
})

test('addresses are read as people write them', (t) => {
  t.deepEqual(parseAddress('rover.local'), { host: 'rover.local', port: 7717 })
  t.deepEqual(parseAddress('192.0.2.1:1'), { host: '192.0.2.1', port: 1 })
  t.deepEqual(parseAddress('[2001:db8::1]:99'), { host: '2001:db8::1', port: 99 })
  t.deepEqual(parseAddress('2001:db8::1'), { host: '2001:db8::1', port: 7717 })
  for (const bad of ['', ':1', 'a:0', 'a:70000', 'a b', 'http://a', '[::1', 'a:b']) t.throws(() => parseAddress(bad), { code: 'USAGE' }, bad)
})
