import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { systemClock, type Clock } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'
import type { SystemEvent } from '../contracts/events.ts'
import { Hub } from '../contracts/hub.ts'
import { Admission } from './admission.ts'
import { RealmFolder } from './folder.ts'
import { joinRealm } from './join.ts'
import type { NodeRole } from './list.ts'
import { freePort } from '../contracts/free-port.ts'
import { Membership } from './membership.ts'
import { TlsPeers, type TlsPeersOptions } from './peers/index.ts'
import { Tokens } from './tokens.ts'


export async function temporary(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mtor-realm-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Waits until it is so. */
export async function becomes(what: string, check: () => boolean, withinMs = 15_000): Promise<void> {
  const untilMs = performance.now() + withinMs
  while (!check()) {
    if (performance.now() > untilMs) throw new MtorError('DEADLINE', `${what}: not within ${withinMs} ms`)
    await new Promise((resolve) => { setTimeout(resolve, 5) })
  }
}

export interface TestNode {
  node: string; folder: RealmFolder; membership: Membership; tokens: Tokens; peers: TlsPeers; hub: Hub; events: SystemEvent[]; port: number
  named(name: string): SystemEvent[]
  online(): string[]
}
export interface NodeOptions extends Partial<TlsPeersOptions> { role?: NodeRole; at?: TestNode; realm?: string; start?: boolean }

/** The first node makes a realm; further ones join at another, over real TLS, with a real token. */
export async function startNode(t: ExecutionContext, node: string, options: NodeOptions = {}): Promise<TestNode> {
  const { role = 'full', at, realm = 'home', start = true, ...more } = options
  const clock: Clock = more.clock ?? systemClock
  const folder = new RealmFolder(await temporary(t))
  const port = await freePort()
  let membership: Membership
  if (at) {
    const { token } = await at.tokens.make({ role, minutes: 15, fingerprint: at.membership.authority!.fingerprint })
    membership = await joinRealm({ folder, host: '127.0.0.1', port: at.port, token, node, own: { port }, clock: systemClock })
    if (role === 'full') await membership.keepAuthority(at.membership.authority!.keyPem)
  } else membership = await Membership.create({ folder, realm, node, host: '127.0.0.1', port, wallMs: Date.now() })
  const hub = new Hub(clock, node)
  const events: SystemEvent[] = []
  hub.onSystem((event) => { events.push(event) })
  const tokens = new Tokens({ folder, clock, boot: 'this' })
  const admission = new Admission({ membership, tokens, clock, hub })
  const peers = new TlsPeers({ membership, clock, hub, host: '127.0.0.1', port, version: '0.1.0', heartbeatMs: 100, offlineAfterMs: 500, onNewcomer: (socket) => { void admission.serve(socket) }, ...more })
  // As the realm does it: lists go round.
  peers.on('realm', (from, message) => { const { list } = message as { list: never }; if (membership.adopt(list).answer) peers.send(from, 'realm', { op: 'list', list: membership.signed }) })
  membership.onChange(() => peers.send('*', 'realm', { op: 'list', list: membership.signed }))
  t.teardown(() => peers.stop())
  if (start) await peers.start()
  return { node, folder, membership, tokens, peers, hub, events, port, named: (name) => events.filter((event) => event.name === name), online: () => peers.list().filter((one) => one.online).map((one) => one.node).sort() }
}

/** Three nodes that are all linked. */
export async function three(t: ExecutionContext, options: NodeOptions = {}): Promise<[TestNode, TestNode, TestNode]> {
  const a = await startNode(t, 'a', options)
  const b = await startNode(t, 'b', { ...options, at: a })
  const c = await startNode(t, 'c', { ...options, role: 'witness', at: a })
  const nodes: [TestNode, TestNode, TestNode] = [a, b, c]
  await becomes('all are linked', () => nodes.every((one) => one.online().length === 2))
  return nodes
}

/** A TCP proxy that can be cut one way or both: bytes are then swallowed, and no end is passed on. */
export class Proxy {
  readonly #server
  readonly #pairs = new Set<{ near: Socket; far: Socket }>()
  cut = { there: false, back: false }

  /** @param target its port; undefined while nobody is there */
  constructor(target: () => number | undefined) {
    this.#server = createServer({ allowHalfOpen: true }, (near) => {
      const port = target()
      if (port === undefined) { near.destroy(); return }
      const far = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
      const pair = { near, far }
      this.#pairs.add(pair)
      near.on('data', (data) => { if (!this.cut.there) far.write(data) })
      far.on('data', (data) => { if (!this.cut.back) near.write(data) })
      near.on('end', () => { if (!this.cut.there) far.end() })
      far.on('end', () => { if (!this.cut.back) near.end() })
      near.on('error', () => { if (!this.cut.there) far.destroy() })
      far.on('error', () => { if (!this.cut.back) near.destroy() })
      near.on('close', () => { if (!this.cut.there) far.destroy() })
      far.on('close', () => { if (!this.cut.back) near.destroy(); this.#pairs.delete(pair) })
    })
  }

  async start(t: ExecutionContext): Promise<number> {
    await new Promise<void>((resolve) => { this.#server.listen(0, '127.0.0.1', resolve) })
    t.teardown(() => { this.#server.close(); for (const { near, far } of this.#pairs) { near.destroy(); far.destroy() } })
    return (this.#server.address() as AddressInfo).port
  }
}
