import { once } from 'node:events'
import { createRequire } from 'node:module'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { ExecutionContext } from 'ava'
import { startBus, topics, type Bench } from '../../appliance/bus/testing.ts'
import { systemClock } from '../../appliance/contracts/clock.ts'
import type { Code } from '../../appliance/contracts/codes.ts'
import type { DeclaredIntent } from '../../appliance/contracts/handlers.ts'
import type { Envelope } from '../../appliance/contracts/envelope.ts'
import type { IntentState } from '../../appliance/contracts/events.ts'
import { Handlers, type DeclarationProblem } from '../../appliance/dispatch/handlers.ts'
import type { SkillResult } from '../../appliance/skills/port.ts'
import realmNode from '../nodes/realm/index.ts'
import type { RealmNode } from './node.ts'
import type { Message, NodeConfig, Red, RedNode } from './red.ts'

const require = createRequire(import.meta.url)
type Listener = (...given: never[]) => void
interface TestNode extends RedNode { receive(msg: Message): void; on(event: string, listener: Listener): void; removeListener(event: string, listener: Listener): void }
interface Helper {
  init(path: string): void
  load(nodes: ((red: Red) => void)[], flow: NodeConfig[], credentials?: Record<string, unknown>): Promise<void>
  unload(): Promise<void>
  setFlows(flow: NodeConfig[], type?: string): Promise<void>
  getNode(id: string): TestNode
  clearFlows(): Promise<void>
  startServer(): Promise<void>
  stopServer(): Promise<void>
  request(): { get(path: string): Promise<{ status: number; body: unknown }> }
}

export interface FlowBench extends Bench {
  helper: Helper
  handlers: Handlers
  /** The config node of this bench, as a flow has it. */
  realmConfig: NodeConfig
  /** What is wrong with declared sentences, as the test wants it. */
  problems: DeclarationProblem[]
  learned: { declares: readonly DeclaredIntent[]; answers: readonly string[] }[]
  /** Loads a flow in which the node `realm` is the bus of this bench. */
  load(nodes: ((red: Red) => void)[], flow: NodeConfig[], credentials?: Record<string, unknown>): Promise<void>
  /** Resolves once the realm node is connected. */
  connected(id?: string): Promise<void>
  /** The next message that the node receives. */
  next(id: string): Promise<Message>
  /** The next status of the node that fits. */
  status(id: string, fits: (text: string) => boolean): Promise<string>
  /** Has the flow carry out an intent, as the dispatcher does, and tells how it ended. */
  carryOut(type: string, slots?: Record<string, unknown>, options?: { deadlineMs?: number; signal?: AbortSignal; progress?: (data: Record<string, unknown>) => void; id?: string }): Promise<SkillResult>
  /** The appliance's half of a submission: accepted, and then this. */
  onSubmit(answer: (envelope: Envelope) => { state: IntentState; data?: Record<string, unknown>; code?: Code; say?: string } | undefined): void
}

export const realmConfig = (port: number, more: Record<string, unknown> = {}): NodeConfig => ({ id: 'realm', type: 'mtor-realm', url: `mqtt://127.0.0.1:${port}`, realm: 'home', clientId: 'flows-test', reconnectS: 0.2, ...more })

/** Resolves once it holds; the test's own timeout is the limit. */
export async function until(holds: () => boolean): Promise<void> { while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10)) }

/** A real broker with the appliance's own registry of handlers, and a real Node-RED runtime with the nodes of a flow. */
export async function startFlows(t: ExecutionContext): Promise<FlowBench> {
  const helper = require('node-red-node-test-helper') as Helper
  helper.init(require.resolve('node-red'))
  const values = new Map<string, unknown>()
  const problems: DeclarationProblem[] = [], learned: FlowBench['learned'] = []
  let answer: Parameters<FlowBench['onSubmit']>[0] = () => undefined
  let handlers: Handlers | undefined
  const bench = await startBus(t, {}, {
    handlers: {
      offer: (client, offer) => handlers!.offer(client, offer), claim: (id, claim) => handlers!.claim(id, claim),
      work: (id, work) => handlers!.work(id, work), gone: (client) => handlers!.gone(client),
    },
    submit: async (given) => {
      const envelope = given as Envelope
      bench.submitted.push({ envelope, identity: { client: 'flows-test', role: 'flow', kind: 'mqtt' } })
      const end = answer(envelope)
      // The event follows the receipt, as from the journal.
      if (end) setImmediate(() => bench.hub.intent({ id: envelope.id, type: envelope.type, ...end }))
      return { v: 1, id: envelope.id, ...(end ? { accepted: true } : { accepted: false, code: 'UNKNOWN_TYPE' as const, message: `no ${envelope.type}` }), at: bench.hub.now() }
    },
  })
  handlers = new Handlers({
    hub: bench.hub, clock: systemClock, topics,
    values: { put: async (key, value) => { values.set(key, value) }, read: async (key) => values.get(key), keys: async (prefix) => [...values.keys()].filter((key) => key.startsWith(prefix)) },
    publish: (topic, payload, options) => bench.bus.publish(topic, payload, options),
    check: () => problems, isVacant: () => false,
    learn: async (declares, answers) => { learned.push({ declares, answers }); return { unknownWords: [] } },
  })
  let isLoaded = false
  t.teardown(async () => {
    if (isLoaded) await helper.unload()
    handlers!.stop()
  })
  const { hooks } = require('@node-red/util') as { hooks: Red['hooks'] }
  return {
    ...bench, helper, handlers, problems, learned, realmConfig: realmConfig(bench.port),
    load: async (nodes, flow, credentials) => {
      isLoaded = true
      // The helper's runtime has no hooks; Node-RED has these.
      const withHooks = (node: (red: Red) => void) => (red: Red) => { (red as { hooks?: Red['hooks'] }).hooks = hooks; return node(red) }
      // What has no place on a tab is a config node to Node-RED.
      const placed = flow.map((node) => node.type === 'tab' || node.type === 'mtor-realm' ? node : { x: 1, y: 1, z: 'tab', ...node })
      const tabs = flow.some(({ type }) => type === 'tab') ? [] : [{ id: 'tab', type: 'tab', label: 'test' }]
      await helper.load([realmNode, ...nodes].map(withHooks), [realmConfig(bench.port), ...tabs, ...placed], credentials)
    },
    connected: (id = 'realm') => until(() => (helper.getNode(id) as unknown as RealmNode).realm?.connection.ready === true),
    next: (id) => new Promise((resolve) => { const node = helper.getNode(id); const take = ((msg: Message) => { node.removeListener('input', take as Listener); resolve(msg) }); node.on('input', take as Listener) }),
    status: (id, fits) => new Promise((resolve) => {
      const node = helper.getNode(id)
      node.on('call:status', ((call: { args: [{ text?: string }] }) => { const { text = '' } = call.args[0]; if (fits(text)) resolve(text) }) as unknown as Listener)
    }),
    carryOut: async (type, slots = {}, { deadlineMs = 5000, signal = new AbortController().signal, progress = () => {}, id } = {}) => {
      const { uuidv7 } = await import('../../appliance/contracts/ids.ts')
      return await handlers!.run({ id: id ?? uuidv7(), type, slots, source: { kind: 'voice', node: 'base' } }, { deadlineMs, signal, progress })
    },
    onSubmit: (take) => { answer = take },
  }
}

/** A cable to the bus that can be pulled: every connection through it breaks, new ones are let through again at once. */
export async function cableTo(t: ExecutionContext, port: number): Promise<{ port: number; pull(): void }> {
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect({ host: '127.0.0.1', port, noDelay: true })
    for (const [socket, other] of [[near, far], [far, near]] as const) {
      sockets.add(socket)
      socket.on('error', () => {}).on('close', () => { sockets.delete(socket); other.destroy() }).pipe(other)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const pull = () => { for (const socket of sockets) socket.destroy() }
  t.teardown(() => { pull(); server.close() })
  return { port: (server.address() as AddressInfo).port, pull }
}
