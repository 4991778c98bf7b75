import test, { type ExecutionContext } from 'ava'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { freePort } from '../contracts/free-port.ts'
import { addRealmCommands } from '../cli/realm.ts'
import { makeConfig } from '../config/load.ts'
import { systemClock, type Clock } from '../contracts/clock.ts'
import type { SystemEvent } from '../contracts/events.ts'
import { Hub } from '../contracts/hub.ts'
import { ControlClient } from '../gateway/client.ts'
import { ControlServer } from '../gateway/control.ts'
import { guessedAddress, memberNames, ownAddress, Realm, realmRoutes, type RealmStatus } from './index.ts'
import { becomes, temporary } from './testing.ts'

/** A board: a state folder, a control socket, the `mtor` command, and a daemon's part in the realm that can be started. */
async function board(t: ExecutionContext, node: string, clock: Clock = systemClock) {
  const stateDir = await temporary(t)
  const config = makeConfig({ node, stateDir, peers: { host: '127.0.0.1', port: await freePort() } })
  const socket = join(stateDir, 'c.sock')
  const events: SystemEvent[] = []
  let realm: Realm | undefined
  let server: ControlServer | undefined
  const stop = async () => { await server?.stop(); await realm?.stop(); server = realm = undefined }
  t.teardown(stop)
  return {
    node, stateDir, config, events, stop,
    get realm() { return realm! },
    named: (name: string) => events.filter((event) => event.name === name),
    /** As the daemon does it. */
    async start() {
      const member = memberNames(stateDir)
      const hub = new Hub(clock, member?.node ?? node)
      hub.onSystem((event) => { events.push(event) })
      realm = member && await Realm.open({ stateDir, config: config.peers, clock, hub, version: '0.1.0' })
      await realm?.start()
      server = new ControlServer(socket, realmRoutes({ realm, stateDir, node: member?.node ?? node, version: '0.1.0', config: config.peers }))
      await server.start()
    },
    async mtor(...args: string[]): Promise<{ value: Record<string, unknown>; text: string }> {
      const printed: { value: unknown; text: string }[] = []
      const program = new Command('mtor').exitOverride()
      addRealmCommands(program, { config: () => config, client: () => new ControlClient(socket), json: () => false, print: (value, text) => { printed.push({ value, text: text() }) }, interrupted: new AbortController() })
      await program.parseAsync(['realm', ...args], { from: 'user' })
      return printed[0] as never
    },
  }
}
type Board = Awaited<ReturnType<typeof board>>
const token = async (at: Board, ...args: string[]) => { const { address, token: text } = (await at.mtor('token', ...args)).value as { address: string; token: string }; return ['join', address, text] }
const allOnline = (...boards: Board[]) => becomes('all are online', () => boards.every(({ realm }) => realm.status().nodes.filter(({ online }) => online).length === boards.length))

/** Two full boards and a witness, set up with the commands. */
async function rover(t: ExecutionContext): Promise<[Board, Board, Board]> {
  const [a, b, c] = [await board(t, 'a'), await board(t, 'b'), await board(t, 'c')]
  await a.mtor('create', 'mars')
  await a.start()
  await b.mtor(...await token(a))
  await c.mtor(...await token(a, '--role', 'witness'))
  await Promise.all([b.start(), c.start()])
  await allOnline(a, b, c)
  return [a, b, c]
}

test('two boards and a witness: made, joined, and each shows the others', async (t) => {
  const [a, b, c] = await rover(t)
  await becomes('each has said its version', () => [a, b, c].every(({ realm }) => realm.status().nodes.every(({ version }) => version !== undefined)))
  for (const one of [a, b, c]) {
    const { value, text } = await one.mtor('status')
    const status = value as never as RealmStatus & { running: boolean }
    t.like(status, { running: true, realm: 'mars', node: one.node, listVersion: 3, revoked: 0 })
    t.deepEqual(status.nodes.map(({ node, role, online, protocol, version }) => [node, role, online, protocol, version]), [['a', 'full', true, 1, '0.1.0'], ['b', 'full', true, 1, '0.1.0'], ['c', 'witness', true, 1, '0.1.0']])
    t.regex(text, /c.* +witness +127\.0\.0\.1:\d+ +online/)
  }
  a.realm.useLeader(() => 'b')
  t.regex((await a.mtor('status')).text, /Leader: b\./)
  await becomes('clocks are compared', () => Object.keys(c.realm.status().clock.seenBy).length === 2)
  await becomes('the other full node can admit too', () => b.realm.status().admits)
  t.is(readFileSync(join(b.stateDir, 'realm/ca-key.pem'), 'utf8'), readFileSync(join(a.stateDir, 'realm/ca-key.pem'), 'utf8'))
  t.is(statSync(join(b.stateDir, 'realm/ca-key.pem')).mode & 0o777, 0o600)
  t.false(existsSync(join(c.stateDir, 'realm/ca-key.pem')), 'a witness gets no key')
  await t.throwsAsync(c.mtor('token'), { code: 'UNAUTHORISED' })
  await t.throwsAsync(c.realm.peers.request('a', 'realm', { op: 'authority' }, { timeoutMs: 5_000 }), { code: 'UNAUTHORISED' })
})

test('when the board that made the realm is dead, the other replaces it, and the new one takes its name', async (t) => {
  const [a, b, c] = await rover(t)
  await becomes('b has the key', () => b.realm.status().admits)
  await t.throwsAsync(b.mtor('replace', 'a'), { code: 'BUSY' })
  await a.stop()
  await becomes('it is missed', () => b.realm.status().nodes.some(({ online }) => online === false))
  await t.throwsAsync(b.mtor('replace', 'z'), { code: 'NOT_FOUND' })
  await t.throwsAsync(b.mtor('replace', 'b'), { code: 'USAGE' })
  const { value, text } = await b.mtor('replace', 'a')
  t.regex(text, /mtor realm join 127\.0\.0\.1:\d+ mtor-/)
  const fresh = await board(t, 'spare')
  await fresh.mtor('join', String(value.address), String(value.token))
  await fresh.start()
  await allOnline(b, c, fresh)
  t.deepEqual(memberNames(fresh.stateDir), { realm: 'mars', node: 'a' })
  t.is(c.realm.status().revoked, 1)
  // The dead board comes back to life, with the name and certificate it had.
  await a.start()
  await becomes('it learns that it is out', () => a.named('node.removed').length === 1)
  t.is(a.named('node.removed')[0]!.severity, 'critical')
  t.regex((await a.mtor('status')).text, /REMOVED: certificate .* was revoked \(replaced\)/)
  t.deepEqual(b.realm.status().nodes.map(({ node, online }) => [node, online]), [['a', true], ['b', true], ['c', true]])
})

test('a node leaves: the others know, its keys are gone, and it may join again', async (t) => {
  const [a, b, c] = await rover(t)
  const { text } = await c.mtor('leave')
  t.regex(text, /^Left the realm\.\n/)
  t.false(existsSync(join(c.stateDir, 'realm')))
  await becomes('both know', () => [a, b].every(({ realm }) => realm.status().nodes.length === 2 && realm.status().revoked === 1))
  await t.throwsAsync(c.mtor('status'), { code: 'NOT_A_MEMBER', message: /has left/ })
  await c.stop()
  await c.mtor(...await token(a, '--role', 'witness'))
  await c.start()
  await allOnline(a, b, c)
})

test('who cannot tell anybody leaves by force only, and the last one leaves freely', async (t) => {
  const [a, b, c] = await rover(t)
  await Promise.all([a.stop(), b.stop()])
  await becomes('alone', () => c.realm.status().nodes.filter(({ online }) => online).length === 1)
  await t.throwsAsync(c.mtor('leave'), { code: 'NODE_UNREACHABLE' })
  t.regex((await c.mtor('leave', '--force')).text, /Nobody could be told/)
  const alone = await board(t, 'x')
  await alone.mtor('create', 'one')
  await alone.start()
  t.notRegex((await alone.mtor('leave')).text, /told/)
})

test('without a daemon: made, shown and forgotten; what needs others says so', async (t) => {
  const a = await board(t, 'a')
  await t.throwsAsync(a.mtor('status'), { code: 'NOT_A_MEMBER' })
  await t.throwsAsync(a.mtor('create', 'No Name'), { code: 'USAGE' })
  await t.throwsAsync(a.mtor('create', 'home', '--address', 'a b'), { code: 'USAGE' })
  t.regex((await a.mtor('create', 'home', '--address', 'rover.local:99')).text, /this node is a at rover\.local:99/)
  await t.throwsAsync(a.mtor('create', 'home'), { code: 'ALREADY_A_MEMBER' })
  await t.throwsAsync(a.mtor('join', '127.0.0.1', 'mtor-x'), { code: 'ALREADY_A_MEMBER' })
  t.regex((await a.mtor('status')).text, /the daemon does not run/)
  await t.throwsAsync(a.mtor('token'), { code: 'NOT_RUNNING' })
  await t.throwsAsync(a.mtor('leave'), { code: 'NOT_RUNNING' })
  await a.mtor('leave', '--force')
  t.is(memberNames(a.stateDir), undefined)
  await t.throwsAsync(a.mtor('join', '127.0.0.1', 'mtor-x'), { code: 'TOKEN_INVALID' })
})

test('a running daemon that is in no realm makes or joins one itself, and says that it must be started anew', async (t) => {
  const a = await board(t, 'a')
  await a.start()
  await t.throwsAsync(a.mtor('token'), { code: 'NOT_A_MEMBER' })
  t.regex((await a.mtor('create', 'home')).text, /Stop the daemon and start it again/)
  await a.stop()
  await a.start()
  for (const wrong of [['--minutes', '0'], ['--minutes', 'x'], ['--role', 'boss']]) await t.throwsAsync(a.mtor('token', ...wrong), { code: 'USAGE' })
  t.is((await a.mtor('token')).value.role, 'full')
})

test('a certificate is renewed after a year, by another full node for a witness, and links go on', async (t) => {
  let days = 0
  const clock: Clock = { ...systemClock, wallMs: () => Date.now() + days * 24 * 3600_000 }
  const [a, c] = [await board(t, 'a', clock), await board(t, 'c', clock)]
  await a.mtor('create', 'home')
  await a.start()
  await c.mtor(...await token(a, '--role', 'witness'))
  await c.start()
  await allOnline(a, c)
  const before = [a, c].map(({ realm }) => realm.membership.certificate.serialNumber)
  await Promise.all([a.stop(), c.stop()])
  days = 400
  await Promise.all([a.start(), c.start()])
  await becomes('both are renewed', () => [a, c].every((one) => one.named('certificate.renewed').length === 1))
  await allOnline(a, c)
  for (const [i, { realm, node }] of [a, c].entries()) {
    const { certificate, folder } = realm.membership
    t.not(certificate.serialNumber, before[i])
    t.true(certificate.validToDate.getTime() > clock.wallMs()! + 4.9 * 365 * 24 * 3600_000)
    t.is(readFileSync(folder.of('cert'), 'utf8'), realm.membership.credentials.certPem)
    t.true([a, c].every((one) => one.realm.membership.member(node)!.serials.includes(certificate.serialNumber)), 'all know it')
  }
  await Promise.all([a.stop(), c.stop()])
  days = 800
  await Promise.all([a.start(), c.start()])
  await becomes('both are renewed again', () => [a, c].every((one) => one.named('certificate.renewed').length === 2))
  t.true(a.realm.membership.member('c')!.serials.includes(before[1]!), 'none is forgotten: whoever replaces the node must revoke them all')
})

test('a witness that has moved tells its new port with its next certificate', async (t) => {
  const [a, b, c] = await rover(t)
  await c.stop()
  c.config.peers.port = await freePort()
  await c.start()
  await becomes('it was renewed', () => c.named('certificate.renewed').length === 1)
  await becomes('all know', () => [a, b].every(({ realm }) => realm.membership.member('c')!.port === c.config.peers.port))
  await allOnline(a, b, c)
  t.is(a.realm.membership.member('c')!.serials.length, 2, 'until the next time the old one is good too')
})

test('where a node is reached: as configured, else where it listens, else by its first address outside', (t) => {
  const peers = (more: object) => makeConfig({ peers: more }).peers
  t.deepEqual(ownAddress(peers({ address: 'rover.local' })), { host: 'rover.local', port: 7717 })
  t.deepEqual(ownAddress(peers({ address: 'rover.local:1', port: 2 })), { host: 'rover.local', port: 1 })
  t.deepEqual(ownAddress(peers({ host: '192.0.2.1' })), { host: '192.0.2.1', port: 7717 })
  t.deepEqual(ownAddress(peers({})), { port: 7717 })
  t.truthy(guessedAddress(peers({})).host)
})
