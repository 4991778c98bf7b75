import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, statSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createServer } from 'node:tls'
import test, { type ExecutionContext } from 'ava'
import { makeConfig } from '../../config/load.ts'
import { systemClock as clock } from '../../contracts/clock.ts'
import type { SystemEvent } from '../../contracts/events.ts'
import { freePort } from '../../contracts/free-port.ts'
import { Hub } from '../../contracts/hub.ts'
import { EtcdClient, type EtcdTls } from '../../journal/etcd/index.ts'
import { one, put } from '../../journal/etcd/wire.ts'
import { members } from '../etcd/index.ts'
import { memberNames, Realm, type Invitation } from '../index.ts'
import { createRealm, joinWith } from '../routes.ts'
import { becomes, temporary } from '../testing.ts'
import { Consensus } from './index.ts'

const BINARY = process.env['MTOR_ETCD'] ?? '/usr/bin/etcd'
const WITHIN_MS = 60_000

/** A node's part in the realm with its etcd, as the daemon starts and stops them. */
class Board {
  readonly events: SystemEvent[] = []
  readonly node: string
  readonly stateDir: string
  host = '127.0.0.1'
  ports = { links: 0, clientPort: 0, peerPort: 0 }
  realm!: Realm
  consensus!: Consensus

  private constructor(node: string, stateDir: string) { this.node = node; this.stateDir = stateDir }

  static async make(t: ExecutionContext, node: string): Promise<Board> {
    const board = new Board(node, await temporary(t))
    await board.otherPorts()
    t.teardown(() => board.stop())
    return board
  }

  async otherPorts() { this.ports = { links: await freePort(), clientPort: await freePort(), peerPort: await freePort() } }

  get config() {
    const { links, ...etcd } = this.ports
    return makeConfig({ node: this.node, stateDir: this.stateDir, peers: { host: this.host, port: links }, realmMode: { etcd: { ...etcd, binary: BINARY } } })
  }

  get #parts() { return { stateDir: this.stateDir, node: this.node, config: this.config.peers } }
  async create() { await createRealm(this.#parts, { name: `r${randomUUID().slice(0, 8)}` }) }
  async join({ address, token }: Invitation) { await joinWith(this.#parts, { at: address, token }) }

  async startLinks() {
    const hub = new Hub(clock, memberNames(this.stateDir)!.node)
    hub.onSystem((event) => { this.events.push(event) })
    this.realm = await Realm.open({ stateDir: this.stateDir, config: this.config.peers, clock, hub, version: '0.1.0' })
    const { membership, peers } = this.realm
    this.consensus = new Consensus({ membership, peers, config: this.config.realmMode, host: this.host, clock, hub })
    await this.realm.start()
  }

  async start() { await this.startLinks(); await this.consensus.start() }
  async stop() { await this.consensus?.stop(); await this.realm?.stop() }

  named(name: string) { return this.events.filter((event) => event.name === name) }
  works() { return becomes(`etcd of ${this.node} works`, () => this.consensus.health === 'ok', WITHIN_MS) }
  get clientUrl() { return `https://${this.host}:${this.ports.clientPort}` }
  get peerUrl() { return `https://${this.host}:${this.ports.peerPort}` }

  /** Asks the etcd of this node over a new connection. */
  async ask<T>(question: (client: EtcdClient) => Promise<T>, tls: EtcdTls = this.consensus.tls): Promise<T> {
    const client = new EtcdClient({ endpoints: [this.clientUrl], tls, clock, timeoutMs: 2_000 })
    try { return await question(client) } finally { client.close() }
  }

  members() { return this.ask(members) }
  async names() { return (await this.members()).map(({ name, learner }) => learner ? `${name} (learner)` : name).sort() }
}

async function eventually(t: ExecutionContext, what: string, check: () => Promise<boolean>) {
  for (const untilMs = performance.now() + WITHIN_MS; !await check().catch(() => false);) {
    if (performance.now() > untilMs) { t.fail(`${what}: not within ${WITHIN_MS} ms`); return }
    await new Promise((resolve) => { setTimeout(resolve, 100) })
  }
}

const hasVote = (t: ExecutionContext, at: Board, ...names: string[]) => eventually(t, `${names.join(', ')} vote`, async () => (await at.names()).join() === names.join())
/** Does the etcd of this node talk to whoever has this certificate? */
const lets = (at: Board, { caCertPem: ca, certPem: cert, keyPem: key }: { caCertPem: string; certPem: string; keyPem: string }) => at.ask((client) => client.range(one('k')), { ca, cert, key }).then(() => true, () => false)

/** As a node asks before it starts its etcd, again and again: etcd takes in nobody before all have been connected for a while. */
const letIn = (t: ExecutionContext, at: Board, who: Board) => eventually(t, `${who.node} is let in`, () => who.realm.peers.request(at.realm.membership.node, 'etcd', { op: 'join', peerUrl: who.peerUrl }, { timeoutMs: 20_000 }).then(() => true))

async function realm(t: ExecutionContext, ...roles: ('full' | 'witness')[]): Promise<Board[]> {
  const first = await Board.make(t, 'a')
  await first.create()
  await first.start()
  await first.works()
  const boards = [first]
  for (const [i, role] of roles.entries()) {
    const board = await Board.make(t, 'bcd'[i]!)
    await board.join(await first.realm.invite({ role, minutes: 15 }))
    await board.start()
    await board.works()
    boards.push(board)
  }
  return boards
}

test.serial('whoever leaves is refused by the etcd of all others, also of a witness; these go on, down to the last', async (t) => {
  const [a, b, c] = await realm(t, 'full', 'witness') as [Board, Board, Board]
  const left = b.realm.membership.credentials
  for (const at of [a, c]) {
    t.true(await lets(at, left), 'while it is a member')
    t.is(statSync(at.realm.membership.folder.of('revoked')).mode & 0o777, 0o600)
  }
  t.deepEqual(await b.realm.leave(), { realm: a.realm.membership.realm, told: true })
  t.false(existsSync(join(b.stateDir, 'realm')), 'nothing is left, and nothing is written there any more')
  for (const at of [a, c]) {
    await eventually(t, 'it is refused', async () => !await lets(at, left))
    t.true(await lets(at, a.realm.membership.credentials) && await lets(at, c.realm.membership.credentials))
  }
  await hasVote(t, a, 'a', 'c')
  // Started anew, so that their etcds must greet each other again.
  await c.stop()
  await c.start()
  await c.works()
  await a.ask((client) => client.txn({ compare: [], success: [put('k', 'v')], failure: [] }))
  t.is((await c.ask((client) => client.range(one('k')))).kvs[0]?.value.toString(), 'v')
  t.false(await lets(c, left), 'also after a restart')
  // Of two, none can do without the other's vote until it is taken away.
  await c.realm.leave()
  await hasVote(t, a, 'a')
  await a.ask((client) => client.txn({ compare: [], success: [put('k', 'w')], failure: [] }))
})

test.serial('a node that was replaced is refused, the board that takes its name is not, and nobody believes an etcd with the old certificate', async (t) => {
  const [a, b, c] = await realm(t, 'full', 'witness') as [Board, Board, Board]
  const old = b.realm.membership.credentials
  const invitation = await a.realm.replace('b', { force: true })
  const fresh = await Board.make(t, 'spare')
  await fresh.join(invitation)
  await fresh.start()
  await fresh.works()
  await hasVote(t, fresh, 'a', 'b', 'c')
  for (const at of [a, c, fresh]) {
    await eventually(t, 'the old one is refused', async () => !await lets(at, old))
    t.true(await lets(at, fresh.realm.membership.credentials))
  }
  await becomes('its etcd ends, and is not started again and again', () => b.consensus.health === 'down', WITHIN_MS)
  const pretender = createServer({ key: old.keyPem, cert: old.certPem, requestCert: false }, (socket) => { socket.on('error', () => {}); socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}') })
  pretender.on('tlsClientError', () => {})
  await new Promise<void>((resolve) => { pretender.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { pretender.close() })
  const url = `https://127.0.0.1:${(pretender.address() as AddressInfo).port}`
  const client = new EtcdClient({ endpoints: [url], tls: a.consensus.tls, clock, timeoutMs: 1_000 })
  t.teardown(() => { client.close() })
  await t.throwsAsync(client.status(), { message: /was revoked \(replaced\)/ })
})

test.serial('what was let in for a node that never started keeps nobody out once that node is replaced', async (t) => {
  const [a] = await realm(t) as [Board]
  const never = await Board.make(t, 'never')
  await never.join(await a.realm.invite({ role: 'full', minutes: 15 }))
  await never.startLinks()
  await becomes('it is linked', () => never.realm.peers.list().some(({ online }) => online))
  await letIn(t, a, never)
  await never.stop()
  await hasVote(t, a, ' (learner)', 'a')
  const fresh = await Board.make(t, 'spare')
  await fresh.join(await a.realm.replace('never', { force: true }))
  // A start that failed before it came into the cluster, such as one whose port was taken, leaves this.
  mkdirSync(join(fresh.stateDir, 'realm/etcd/data/member/snap'), { recursive: true })
  await fresh.start()
  await fresh.works()
  t.deepEqual(await a.names(), ['a', 'never'])
  const other = await Board.make(t, 'other')
  await other.join(await a.realm.invite({ role: 'full', minutes: 15 }))
  await other.startLinks()
  await becomes('it is linked', () => other.realm.peers.list().some(({ node, online }) => node === 'a' && online))
  await letIn(t, a, other)
  await other.stop()
  await a.realm.replace('other', { force: true })
  await hasVote(t, a, 'a', 'never')
})

test.serial('nodes that come back with other ports, and one with another address, are found by the others', async (t) => {
  const [a, b, c] = await realm(t, 'full', 'witness') as [Board, Board, Board]
  const urls = async () => (await a.members()).map(({ name, peerUrls, clientUrls }) => [name, ...peerUrls, ...clientUrls].join(' ')).sort().join('\n')
  const now = () => [a, b, c].map(({ node, peerUrl, clientUrl }) => `${node} ${peerUrl} ${clientUrl}`).join('\n')
  await b.stop()
  b.ports.peerPort = await freePort()
  b.ports.clientPort = await freePort()
  await b.start()
  await eventually(t, 'the port of b has moved', async () => await urls() === now())
  await c.stop()
  await c.otherPorts()
  c.host = '127.0.0.2'
  await c.start()
  await eventually(t, 'the address of c has moved', async () => await urls() === now())
  await Promise.all([b.works(), c.works()])
  t.like(c.named('certificate.renewed')[0], { severity: 'info' })
  // The two that have moved find each other where they are now.
  await a.stop()
  await b.ask((client) => client.txn({ compare: [], success: [put('k', 'v')], failure: [] }, { timeoutMs: 20_000 }))
  t.is((await c.ask((client) => client.range(one('k'), { timeoutMs: 20_000 }))).kvs[0]?.value.toString(), 'v')
})
