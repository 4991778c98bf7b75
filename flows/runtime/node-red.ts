import { createServer as createHttpServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import vm from 'node:vm'
import { MtorError, toMtorError } from '../../appliance/contracts/errors.ts'
import { mendContext } from './context.ts'
import { Exchange } from './exchange.ts'
import { LogLines, type NodeRedLine } from './log-lines.ts'
import type { Ask, EditorUser, FromNodeRed, Setup, ToNodeRed } from './messages.ts'
import { hasProbe, PROBE_NODE_TYPES, withProbe } from './probe-flow.ts'
import { refusalOf } from './same-site.ts'
import { makeStorage, type StorageUser } from './storage.ts'
import type { Flows } from './flow.ts'

/** As much of Node-RED as is used here. @see https://nodered.org/docs/api/modules/ */
interface NodeRed {
  init(server: Server, settings: object): void
  start(): Promise<void>
  stop(): Promise<void>
  version(): string
  httpAdmin: (request: IncomingMessage, response: object, next: () => void) => void
  httpNode: (request: IncomingMessage, response: object, next: () => void) => void
  events: { on(event: string, listener: (payload: never) => void): void }
  nodes: { getNodeList(): { types: string[]; enabled: boolean; err?: unknown }[]; getType(type: string): unknown }
  runtime: { flows: { getFlows(options: object): Promise<{ flows: Flows; rev: string }>; setFlows(options: SetFlows): Promise<{ rev: string }> } }
}
interface SetFlows { flows: { flows: Flows; credentials?: object; rev?: string }; deploymentType?: string; user?: StorageUser; req?: unknown }

/** The core ends us where this does not go through. */
const STOP_MS = 1_500

/** Node-RED inside its own process: started with what the core says, and asked and told by it. */
export class NodeRedProcess {
  readonly #send: (message: FromNodeRed) => void
  readonly #exchange = new Exchange()
  readonly #clientId = process.env['MTOR_REALM_CLIENT'] ?? 'flows'
  readonly #red = createRequire(import.meta.url)('node-red') as NodeRed
  #started = false
  /** Resolved when flows have been started, or cannot be. */
  #settled = Promise.withResolvers<void>()

  constructor(send: (message: FromNodeRed) => void) { this.#send = send }

  take(message: ToNodeRed): void {
    switch (message.kind) {
      case 'run': this.#run(message.setup).catch((thrown: unknown) => { this.#failed(thrown) }); break
      case 'answer': if (message.error === undefined) this.#exchange.answer(message.id, message.value); else this.#exchange.fail(message.id, new MtorError('INTERNAL', message.error)); break
      case 'deploy': void this.#deploy(message); break
      case 'shutdown': void this.#stop(); break
    }
  }

  #ask<T>(ask: Ask): Promise<T> { return this.#exchange.ask<T>((id) => { this.#send({ kind: 'ask', id, ask }); return true }) }

  /** Undefined where the appliance's own nodes are not installed: then nothing can be proven by an intent. */
  #probeClientId = () => PROBE_NODE_TYPES.every((type) => this.#red.nodes.getType(type)) ? `${this.#clientId}-probe` : undefined

  async #run(setup: Setup): Promise<void> {
    limitScripts(setup.functionTimeoutS * 1000)
    for (const aside of await mendContext(setup.userDir)) this.#send({ kind: 'log', level: 'error', message: `a file of the context of flows was damaged; it is set aside as ${aside}`, leftOut: 0 })
    const red = this.#red
    let server: Server
    const serve: RequestListener = (request, response) => {
      const refusal = refusalOf(request, setup.loopbackOnly)
      const refuse = (status: number, text: string) => { response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${text}\n`) }
      if (refusal !== undefined) { refuse(403, refusal); return }
      red.httpAdmin(request, response, () => { red.httpNode(request, response, () => { refuse(404, 'there is nothing here') }) })
    }
    server = setup.tls ? createHttpsServer({ ...setup.tls, minVersion: 'TLSv1.2' }, serve) : createHttpServer(serve)
    server.on('upgrade', (request: IncomingMessage, socket) => { if (refusalOf(request, setup.loopbackOnly) !== undefined) socket.destroy() })
    const { port } = await this.#listen(server, setup)
    red.init(server, this.#settings(setup, port))
    this.#keepProbe()
    const running = ({ missing }: { missing: string[] }) => {
      this.#send({ kind: 'running', missing, probe: this.#probeClientId() !== undefined })
      this.#settled.resolve()
    }
    red.events.on('flows:started', () => { running({ missing: [] }) })
    red.events.on('runtime-event', ({ id, payload }: { id: string; payload?: { error?: string; types?: string[] } }) => { if (id === 'runtime-state' && payload?.error === 'missing-types') running({ missing: payload.types ?? [] }) })
    await red.start()
    this.#started = true
    this.#send({ kind: 'listening', port, version: red.version(), types: red.nodes.getNodeList().flatMap(({ types, enabled, err }) => enabled && err === undefined ? types : []) })
  }

  /** Where another program has the port, such as a Node-RED that was here before, a free one is taken: flows are not held up by that. */
  async #listen(server: Server, { host, port }: Setup): Promise<AddressInfo> {
    const listen = (at: number) => new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
      server.once('error', resolve)
      server.listen(at, host, () => { server.off('error', resolve); resolve(undefined) })
    })
    let error = await listen(port)
    if (error?.code === 'EADDRINUSE') {
      this.#send({ kind: 'log', level: 'warning', message: `another program has port ${port} of ${host}: the editor takes a free one (see flows.port in the configuration)`, leftOut: 0 })
      error = await listen(0)
    }
    if (error) throw new MtorError('CONFIG_INVALID', `the editor cannot listen on ${host}:${port}: ${error.message}`)
    return server.address() as AddressInfo
  }

  #settings(setup: Setup, port: number): object {
    const lines = new LogLines((line) => { this.#send({ kind: 'log', ...line }) })
    return {
      uiHost: setup.host, uiPort: port, httpAdminRoot: '/', httpNodeRoot: '/', userDir: setup.userDir, apiMaxLength: '16mb',
      storageModule: makeStorage({ ask: (ask) => this.#ask(ask), userDir: setup.userDir, probeClientId: this.#probeClientId, onProbeMissing: () => { setImmediate(() => { void this.#bringProbeBack() }) } }),
      credentialSecret: setup.credentialSecret,
      ...(setup.login ? { adminAuth: this.#adminAuth() } : {}),
      // Commands of the operating system are no business of a flow.
      nodesExcludes: ['90-exec.js'],
      functionExternalModules: false, globalFunctionTimeout: setup.functionTimeoutS, exportGlobalContextKeys: false, functionGlobalContext: {},
      externalModules: { autoInstall: false, palette: { allowInstall: false, allowUpload: false, allowUpdate: false }, modules: { allowInstall: false } },
      // Ours first: what people open this editor for.
      paletteCategories: ['subflows', 'MTOR', 'common', 'function', 'network', 'sequence', 'parser', 'storage'],
      fileWorkingDirectory: setup.filesDir,
      contextStorage: { default: { module: 'localfilesystem', config: { dir: setup.userDir, flushInterval: 5 } } },
      diagnostics: { enabled: false, ui: false }, runtimeState: { enabled: false, ui: false }, telemetry: { enabled: false, updateNotification: false },
      editorTheme: { page: { title: 'MTOR flows' }, header: { title: 'MTOR flows' }, tours: false, projects: { enabled: false } },
      logging: { core: { level: 'warn', metrics: false, audit: false, handler: () => (line: NodeRedLine) => { lines.take(line) } } },
    }
  }

  /** Who may is known to the core; hashes of passwords never come here. */
  #adminAuth(): object {
    return {
      type: 'credentials',
      users: (username: unknown) => this.#ask<EditorUser | null>({ what: 'user', username: String(username) }),
      authenticate: (username: unknown, password: unknown) => this.#ask<EditorUser | null>({ what: 'authenticate', username: String(username), password: String(password) }),
    }
  }

  /** A deploy that lacks the probe, or has changed it, gets it back before it runs. */
  #keepProbe(): void {
    const { flows } = this.#red.runtime
    const set = flows.setFlows
    flows.setFlows = (options) => {
      const clientId = this.#probeClientId()
      if (clientId === undefined || !Array.isArray(options.flows?.flows) || hasProbe(options.flows.flows, clientId)) return set(options)
      return set({ ...options, flows: { ...options.flows, flows: withProbe(options.flows.flows, clientId) } })
    }
  }

  /** Other ways to change flows (one tab by the admin API) do not go through there. */
  async #bringProbeBack(): Promise<void> {
    const { flows } = this.#red.runtime
    try { await flows.setFlows({ flows: { flows: (await flows.getFlows({})).flows }, deploymentType: 'nodes', user: { username: 'appliance' } }) } catch (thrown) {
      this.#send({ kind: 'log', level: 'error', message: `the probe flow could not be added: ${toMtorError(thrown).message}`, leftOut: 0 })
    }
  }

  async #deploy({ id, flows, credentials, author, of }: Extract<ToNodeRed, { kind: 'deploy' }>): Promise<void> {
    try {
      if (!this.#started) throw new MtorError('FLOWS_DOWN', 'Node-RED is just starting')
      const user: StorageUser = { username: author, deploy: { ...(credentials === undefined ? {} : { credentials }), ...(of === undefined ? {} : { of }) } }
      this.#settled = Promise.withResolvers()
      await this.#red.runtime.flows.setFlows({ flows: { flows, ...(credentials === undefined ? {} : { credentials }) }, deploymentType: 'full', user })
      await this.#settled.promise
      this.#send({ kind: 'deployed', id })
    } catch (thrown) {
      const { code, message } = toMtorError(thrown)
      this.#send({ kind: 'deployed', id, error: { code, message } })
    }
  }

  async #stop(): Promise<void> {
    setTimeout(() => process.exit(0), STOP_MS)
    try { if (this.#started) await this.#red.stop() } finally { process.exit(0) }
  }

  #failed(thrown: unknown): void {
    const { code, message } = toMtorError(thrown)
    this.#send({ kind: 'failed', code, message })
    process.stderr.write(`${message}\n`, () => process.exit(1))
  }
}

/**
 * Node-RED's own limit of function nodes leaves their setup code out, and what a node says of itself takes its place: here
 * every script that says nothing else ends after `timeoutMs`. It counts what runs at once, not what a script waits for.
 */
function limitScripts(timeoutMs: number): void {
  const run = vm.Script.prototype.runInContext
  vm.Script.prototype.runInContext = function (context, options) { return run.call(this, context, { timeout: timeoutMs, ...options }) }
}
