/** What the nodes use of Node-RED's runtime. @see https://nodered.org/docs/api/ */
export interface Message { _msgid?: string; topic?: unknown; payload?: unknown; [key: string]: unknown }
export type Outputs = Message | readonly (Message | null | undefined)[]
export type Send = (out: Outputs) => void
export type Done = (error?: unknown) => void
export interface NodeStatus { fill?: 'red' | 'green' | 'yellow' | 'blue' | 'grey'; shape?: 'ring' | 'dot'; text?: string }

export interface RedNode<C = unknown> {
  id: string
  type: string
  z?: string
  name?: string
  credentials?: C
  send: Send
  status(status: NodeStatus): void
  error(error: unknown, msg?: Message): void
  warn(text: unknown): void
  log(text: string): void
  on(event: 'input', listener: (msg: Message, send: Send, done: Done) => void): void
  on(event: 'close', listener: (removed: boolean, done: () => void) => void): void
}

/** What the editor saved of a node. */
export interface NodeConfig { id: string; type: string; z?: string; g?: string; name?: string; [key: string]: unknown }

interface HttpRequest { query: Record<string, unknown> }
interface HttpResponse { json(body: unknown): void; status(code: number): HttpResponse }
type HttpHandler = (request: HttpRequest, response: HttpResponse, next: () => void) => void

/** What a node that has done with a message, or failed at it, is told to the hook with. */
export interface CompleteEvent { msg: Message; error?: unknown; node: { id: string; node: RedNode & { g?: string } } }

export interface Red {
  nodes: {
    createNode(node: RedNode, config: NodeConfig): void
    getNode(id: string): RedNode | null | undefined
    eachNode(callback: (config: NodeConfig) => void): void
    registerType(type: string, constructor: (this: never, config: never) => void, options?: { credentials?: Record<string, { type: 'text' | 'password' }> }): void
  }
  util: {
    generateId(): string
    cloneMessage<T>(msg: T): T
    getMessageProperty(msg: Message, property: string): unknown
    setMessageProperty(msg: Message, property: string, value: unknown, create?: boolean): boolean
    evaluateNodeProperty(value: string, type: string, node: RedNode, msg: Message, callback: (error: unknown, value: unknown) => void): void
  }
  hooks?: { add(id: string, listener: (event: CompleteEvent) => void): void; remove(id: string): void }
  httpAdmin: { get(path: string, ...handlers: HttpHandler[]): void }
  auth: { needsPermission(permission: string): HttpHandler }
  _: (key: string, values?: Record<string, unknown>) => string
}
