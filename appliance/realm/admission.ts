import type { TLSSocket } from 'node:tls'
import type { Clock } from '../contracts/clock.ts'
import { MtorError, toMtorError } from '../contracts/errors.ts'
import type { Hub } from '../contracts/hub.ts'
import { joinRequestValidator, readFrame, sendFrame, type JoinAnswer } from './join-messages.ts'
import type { Membership } from './membership.ts'
import { commonProtocol, PEER_PROTOCOL } from './peers/hello.ts'
import { CHANNEL_BINDING, type Tokens } from './tokens.ts'

const MAX_REQUEST_BYTES = 16 * 1024
/** Newcomers at once, and how long one may take. */
const MAX_NEWCOMERS = 4
const TIMEOUT_MS = 10_000
/** A token cannot be guessed (128 bits); this keeps whoever tries from costing us anything. */
const MAX_FAILURES = 20
const FAILURES_PER_MS = 60_000
const MAX_MEMBERS = 32

export interface AdmissionOptions { membership: Membership; tokens: Tokens; clock: Clock; hub: Hub }

/** Lets newcomers in: whoever shows a token that was made here, once, gets a certificate for the key it has made itself. */
export class Admission {
  readonly #options: AdmissionOptions
  #newcomers = 0
  #failures = 0
  #failuresSinceMs = -Infinity
  /** Two that come at once are let in one after the other: both change the member list. */
  #queue: Promise<unknown> = Promise.resolve()

  constructor(options: AdmissionOptions) { this.#options = options }

  /** Answers a newcomer on its connection. Never throws. */
  async serve(socket: TLSSocket): Promise<void> {
    const { clock, hub } = this.#options
    const from = socket.remoteAddress ?? ''
    const timer = clock.setTimeout(() => socket.destroy(), TIMEOUT_MS)
    socket.once('close', () => clock.clearTimeout(timer))
    let counts = false
    try {
      // Whoever says nothing keeps nobody waiting: those the listener limits.
      const request = await readFrame(socket, MAX_REQUEST_BYTES)
      if (this.#newcomers >= MAX_NEWCOMERS) throw new MtorError('BUSY', `${MAX_NEWCOMERS} nodes are joining already`)
      this.#newcomers += 1
      counts = true
      const binding = socket.exportKeyingMaterial(CHANNEL_BINDING.bytes, CHANNEL_BINDING.label, Buffer.alloc(0))
      const joining = this.#queue.then(() => this.#admit(request, binding, from))
      this.#queue = joining.catch(() => {})
      const answer = await joining
      sendFrame(socket, { ...answer })
      socket.end()
      hub.system({ severity: 'info', component: 'realm', name: 'node.joined', message: `${answer.node} has joined as ${answer.role} node`, data: { node: answer.node, role: answer.role, address: from } })
    } catch (thrown) {
      const error = toMtorError(thrown)
      if (error.code === 'TOKEN_INVALID') this.#failures += 1
      hub.system({ severity: error.code === 'NODE_UNREACHABLE' ? 'debug' : 'warning', component: 'realm', name: 'join.refused', code: error.code, message: error.message, data: { address: from } })
      if (!socket.destroyed) { sendFrame(socket, { t: 'refused', error: error.toJSON() }); socket.end() }
    } finally { if (counts) this.#newcomers -= 1 }
  }

  async #admit(value: unknown, binding: Buffer, from: string): Promise<JoinAnswer> {
    const { membership, tokens, clock } = this.#options
    const nowMs = clock.monoMs()
    if (nowMs - this.#failuresSinceMs > FAILURES_PER_MS) { this.#failures = 0; this.#failuresSinceMs = nowMs }
    if (this.#failures >= MAX_FAILURES) throw new MtorError('BUSY', 'too many wrong tokens; try again in a minute')
    const request = joinRequestValidator.assert(value, 'MALFORMED', 'join request')
    const grant = tokens.find(request, binding, request.csr)
    if (!grant) throw new MtorError('TOKEN_INVALID', 'a join token that was not made here, has expired or has been used')
    const { authority } = membership
    if (!authority) throw new MtorError('UNAUTHORISED', 'this node does not hold the key of the realm\'s authority', { hint: 'Join at a full node.' })
    // What the newcomer can set right leaves its token good.
    commonProtocol(PEER_PROTOCOL, request.protocol, request.node)
    const node = grant.node ?? request.node
    if (membership.member(node)) throw new MtorError('ALREADY_A_MEMBER', `realm ${membership.realm} has a node ${node} already`, { hint: 'Give the new node a name of its own (node in its configuration), or let it take the place of the old one: mtor realm replace NODE' })
    if (membership.list.members.length >= MAX_MEMBERS) throw new MtorError('BUSY', `a realm has at most ${MAX_MEMBERS} nodes`)
    if (!await tokens.spend(grant)) throw new MtorError('TOKEN_INVALID', 'the join token has just been used')
    const host = request.host ?? from.replace(/^::ffff:/, '')
    const { certPem, serial, key } = await authority.issue({ csr: request.csr, node, hosts: [host], wallMs: clock.wallMs() })
    await membership.change({ put: { node, role: grant.role, host, port: request.port, key, serials: [serial] } })
    return { t: 'joined', realm: membership.realm, node, role: grant.role, cert: certPem, list: membership.signed }
  }
}
