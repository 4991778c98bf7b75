import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { promisify } from 'node:util'
import { MtorError } from '../../appliance/contracts/errors.ts'

const run = promisify(execFile)
/** Of all that a process of this number makes here. */
const PREFIX = `mt${(process.pid % 46_656).toString(36)}`
/** Traffic control of a link: everything passes, nothing passes, or little a second. */
export type Passage = 'open' | 'shut' | { bitsPerS: number }
export type Direction = 'in' | 'out'

/** Where the nodes of a realm are, and what lies between them. */
export interface RealmNet {
  /** False where there is one network for all: then nothing can be cut. */
  readonly cuts: boolean
  /** Address of a node for the other nodes. */
  address(node: string): string
  /** Address of a node for clients, who reach it also while it is cut off from the other nodes. */
  clientAddress(node: string): string
  /** Command line that starts a program where the node is. */
  enter(node: string): readonly string[]
  /** What comes to a node from the others, or goes to them from it. */
  pass(node: string, direction: Direction, passage: Passage): Promise<void>
  stop(): Promise<void>
}

/** All nodes on the loopback, each at an address of its own: for machines where no network may be made. */
export class LoopbackNet implements RealmNet {
  readonly cuts = false
  readonly #nodes: readonly string[]
  constructor(nodes: readonly string[]) { this.#nodes = nodes }
  address(node: string): string { return `127.0.77.${this.#nodes.indexOf(node) + 1}` }
  clientAddress(node: string): string { return this.address(node) }
  enter(): readonly string[] { return [] }
  pass(): Promise<void> { return Promise.reject(new MtorError('NOT_FITTED', 'links on the loopback cannot be cut')) }
  stop(): Promise<void> { return Promise.resolve() }
}

/**
 * A network namespace a node, as boards on one switch have it: one link to the other nodes, which can be cut and
 * slowed in each direction, and one to the clients, which stays. Whole packets are dropped, so that TCP, TLS, etcd and
 * the links between nodes all see what they would see on a bad cable. Needs root, iproute2 and nsenter.
 */
export class NamespaceNet implements RealmNet {
  readonly cuts = true
  readonly #nodes: readonly string[]
  readonly #prefix = PREFIX
  readonly #subnet = `10.${64 + process.pid % 120}`
  /** One process that carries out a command a line: starting one for each would be slower than the faults. */
  #tc: ChildProcess | undefined

  constructor(nodes: readonly string[]) { this.#nodes = nodes }

  /** True where namespaces and links between them can be made. */
  static works(): boolean {
    const name = `mtry${process.pid}`
    try {
      execFileSync('ip', ['netns', 'add', name], { stdio: 'ignore' })
      try {
        execFileSync('nsenter', [`--net=/run/netns/${name}`, 'ip', 'link', 'set', 'lo', 'up'], { stdio: 'ignore' })
        execFileSync('tc', ['-n', name, 'qdisc', 'add', 'dev', 'lo', 'root', 'blackhole'], { stdio: 'ignore' })
        return true
      } finally { execFileSync('ip', ['netns', 'del', name], { stdio: 'ignore' }) }
    } catch { return false }
  }

  async start(): Promise<void> {
    const [links, clients] = ['r', 'c'].map((kind) => `${this.#prefix}${kind}`)
    for (const [bridge, net] of [[links, 0], [clients, 1]] as const) await this.#ip(`link add ${bridge} type bridge`, `link set ${bridge} up`, `addr add ${this.#subnet}.${net}.254/24 dev ${bridge}`)
    for (const [i, node] of this.#nodes.entries()) {
      const space = this.#space(node)
      await this.#ip(`netns add ${space}`, `-n ${space} link set lo up`)
      for (const [kind, bridge, net] of [['r', links, 0], ['c', clients, 1]] as const) await this.#ip(
        `link add ${this.#prefix}${kind}${node} type veth peer name ${kind}0 netns ${space}`, `link set ${this.#prefix}${kind}${node} master ${bridge} up`,
        `-n ${space} addr add ${this.#subnet}.${net}.${i + 1}/24 dev ${kind}0`, `-n ${space} link set ${kind}0 up`)
    }
    this.#tc = spawn('tc', ['-force', '-batch', '-'], { stdio: ['pipe', 'ignore', 'ignore'] })
    this.#tc.stdin!.on('error', () => { /* At its end. */ })
  }

  #space(node: string) { return `${this.#prefix}${node}` }
  address(node: string): string { return `${this.#subnet}.0.${this.#nodes.indexOf(node) + 1}` }
  clientAddress(node: string): string { return `${this.#subnet}.1.${this.#nodes.indexOf(node) + 1}` }
  enter(node: string): readonly string[] { return ['nsenter', `--net=/run/netns/${this.#space(node)}`, '--'] }

  async pass(node: string, direction: Direction, passage: Passage): Promise<void> {
    // What goes to a node leaves the switch's end of its cable; what comes from it leaves its own.
    const [space, device] = direction === 'in' ? ['', `${this.#prefix}r${node}`] : [`-n ${this.#space(node)} `, 'r0']
    const discipline = passage === 'open' ? 'pfifo limit 1000' : passage === 'shut' ? 'blackhole' : `tbf rate ${passage.bitsPerS}bit burst 5kb latency 400ms`
    const command = `qdisc replace dev ${device} root ${discipline}`
    // A batch works in one namespace only.
    if (space === '') this.#tc!.stdin!.write(`${command}\n`)
    else await this.#run('tc', `${space}${command}`)
  }

  async stop(): Promise<void> {
    this.#tc?.stdin?.end()
    const { namespaces, links } = namesOf(this.#nodes)
    for (const namespace of namespaces) await this.#ip(`netns del ${namespace}`).catch(() => {})
    for (const link of links) await this.#ip(`link del ${link}`).catch(() => {})
  }

  async #ip(...commands: string[]): Promise<void> { for (const command of commands) await this.#run('ip', command) }
  async #run(program: string, command: string): Promise<void> {
    try { await run(program, command.split(' ').filter(Boolean)) } catch (error) { throw new MtorError('NOT_FITTED', `${program} ${command}: ${(error as { stderr?: string }).stderr?.trim() ?? String(error)}`) }
  }
}

/** What the kernel has of a net of this process. */
export const namesOf = (nodes: readonly string[]) => ({
  namespaces: nodes.map((node) => `${PREFIX}${node}`),
  links: ['r', 'c'].flatMap((kind) => [`${PREFIX}${kind}`, ...nodes.map((node) => `${PREFIX}${kind}${node}`)]),
})

/** The best net that this machine allows. */
export async function makeNet(nodes: readonly string[]): Promise<RealmNet> {
  if (!NamespaceNet.works()) return new LoopbackNet(nodes)
  const net = new NamespaceNet(nodes)
  try { await net.start() } catch (error) { await net.stop(); throw error }
  return net
}
