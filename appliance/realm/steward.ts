import type { X509Certificate } from 'node:crypto'
import Type from 'typebox'
import type { Clock, Timer } from '../contracts/clock.ts'
import { MtorError, toMtorError } from '../contracts/errors.ts'
import type { SystemEventInput } from '../contracts/events.ts'
import { validator } from '../contracts/validate.ts'
import { CERTIFICATE_MS, RENEW_AFTER_MS, serialOf } from './authority.ts'
import { HOST_PATTERN, MAX_SERIALS, SignedList, type Member } from './list.ts'
import type { Membership } from './membership.ts'
import type { Peers } from './peers/port.ts'

const CHANNEL = 'realm'
const TIMEOUT_MS = 5_000
const TEND_MS = 60_000
/** A certificate is not renewed more often than this, whatever the clocks say. */
const RENEW_PAUSE_MS = 3600_000

const Host = Type.String({ pattern: HOST_PATTERN.source })
const Port = Type.Integer({ minimum: 1, maximum: 65_535 })
const listValidator = validator(Type.Object({ op: Type.Literal('list'), list: SignedList }))
const questionValidator = validator(Type.Union([
  Type.Object({ op: Type.Literal('authority') }),
  Type.Object({ op: Type.Literal('leave') }),
  Type.Object({ op: Type.Literal('renew'), csr: Type.String({ maxLength: 4096 }), serial: Type.String({ maxLength: 64 }), host: Host, port: Port }),
]))
const authorityValidator = validator(Type.Object({ caKey: Type.String({ maxLength: 4096 }) }))
const renewedValidator = validator(Type.Object({ cert: Type.String({ maxLength: 16_384 }), list: SignedList }))

export interface StewardOptions {
  membership: Membership
  peers: Peers
  clock: Clock
  report(event: Omit<SystemEventInput, 'component'>): void
  /** Where the others reach this node, by its configuration; host left out: as the member list says. */
  address: { host?: string; port: number }
}

/**
 * What members do for each other: pass on the member list, hand the authority's key to full nodes, renew certificates.
 *
 * Every full node holds the authority's key, because otherwise the loss of one board would mean that no board could
 * ever be replaced. It travels over the authenticated link only, to nodes that a signed list calls full. A witness,
 * which is often the cheapest and least guarded board, never gets it.
 */
export class Steward {
  readonly #options: StewardOptions
  #off: (() => void)[] = []
  #timer: Timer | undefined
  #tending: Promise<void> | undefined
  #again = false
  #renewedAtMs = -Infinity
  #told = new Set<string>()
  #running = false

  constructor(options: StewardOptions) { this.#options = options }

  start(): void {
    const { membership, peers } = this.#options
    this.#running = true
    this.#off = [
      peers.on(CHANNEL, (from, message) => { this.#listCame(from, message) }),
      peers.serve(CHANNEL, (from, message) => this.#answer(from, message)),
      membership.onChange(() => {
        peers.send('*', CHANNEL, { op: 'list', list: membership.signed })
        membership.settled().catch((error: unknown) => this.#once('list', { severity: 'error', name: 'list.not-kept', code: toMtorError(error).code, message: toMtorError(error).message }))
        this.tend()
      }),
      peers.onChange(() => this.tend()),
    ]
    this.tend()
  }

  async stop(): Promise<void> {
    this.#running = false
    for (const off of this.#off) off()
    this.#off = []
    this.#options.clock.clearTimeout(this.#timer)
    await this.#tending
  }

  /** Has another full node remove this one. @throws MtorError NODE_UNREACHABLE when none is online */
  async leave(): Promise<void> {
    const { peers, membership } = this.#options
    for (const { node } of this.#full()) {
      try { await peers.request(node, CHANNEL, { op: 'leave' }, { timeoutMs: TIMEOUT_MS }) } catch (thrown) {
        // Whoever has removed us ends our link before it can answer.
        const refused = peers.list().find((peer) => peer.node === node)?.offline === 'refused'
        if (!refused && membership.ownRefusal === undefined) continue
      }
      return
    }
    throw new MtorError('NODE_UNREACHABLE', 'no other full node is online that could take this one off the member list', { hint: 'Try again when one is, or leave with --force and remove this node there with: mtor realm replace NODE' })
  }

  /** Does what is due; once more afterwards if it is asked meanwhile. Never throws. */
  tend(): void {
    if (!this.#running) return
    if (this.#tending) { this.#again = true; return }
    const { clock } = this.#options
    clock.clearTimeout(this.#timer)
    this.#tending = this.#tend()
      .catch((thrown: unknown) => { const error = toMtorError(thrown); this.#once('tend', { severity: 'warning', name: 'realm.trouble', code: error.code, message: error.message }) })
      .then(() => {
        this.#tending = undefined
        if (this.#again) { this.#again = false; this.tend() } else if (this.#running) this.#timer = clock.setTimeout(() => this.tend(), TEND_MS)
      })
  }

  async #tend(): Promise<void> {
    const { membership, clock, peers } = this.#options
    const out = membership.ownRefusal
    if (out) { this.#once('out', { severity: 'critical', name: 'node.removed', code: 'NOT_A_MEMBER', message: `this node is no longer in realm ${membership.realm}: ${out.message}`, say: 'I have been removed from my realm.' }); return }
    if (membership.role === 'full' && !membership.authority) {
      for (const { node } of this.#full()) {
        const { caKey } = authorityValidator.assert(await peers.request(node, CHANNEL, { op: 'authority' }, { timeoutMs: TIMEOUT_MS }), 'MALFORMED', 'the authority\'s key')
        await membership.keepAuthority(caKey)
        this.#options.report({ severity: 'info', name: 'authority.received', message: `${node} has handed over the key of the authority: this node can admit others` })
        break
      }
    }
    if (clock.monoMs() - this.#renewedAtMs > RENEW_PAUSE_MS && needsRenewal(membership.certificate, clock.wallMs(), membership.self!, this.#options.address)) await this.#renew()
  }

  async #renew(): Promise<void> {
    const { membership, peers, clock, address } = this.#options
    const { host, port } = { host: membership.self!.host, ...address }
    const question = { op: 'renew', csr: await membership.request(), serial: serialOf(membership.certificate), host, port } as const
    const helper = membership.authority ? undefined : this.#full()[0]?.node
    if (!membership.authority && helper === undefined) return
    const answer = helper === undefined ? await this.#renewFor(membership.node, question) : renewedValidator.assert(await peers.request(helper, CHANNEL, question, { timeoutMs: TIMEOUT_MS }), 'MALFORMED', 'renewed certificate')
    this.#renewedAtMs = clock.monoMs()
    // First the list that names the new certificate, then the certificate: so it is never shown to anybody who does not know it.
    membership.adopt(answer.list)
    await membership.keepCertificate(answer.cert)
    this.#options.report({ severity: 'info', name: 'certificate.renewed', message: `certificate renewed, good until ${membership.certificate.validTo}` })
  }

  #listCame(from: string, message: unknown): void {
    const { membership, peers } = this.#options
    const { op } = (message ?? {}) as { op?: unknown }
    // The next version may have more to say.
    if (typeof op === 'string' && op !== 'list') return
    if (!listValidator.check(message)) { this.#options.report({ severity: 'warning', name: 'list.refused', code: 'MALFORMED', message: `${from} sent no member list` }); return }
    try {
      const { changed, answer } = membership.adopt(message.list)
      if (changed) this.#options.report({ severity: 'info', name: 'list.changed', message: `member list version ${membership.list.version}, from ${from}` })
      if (answer) peers.send(from, CHANNEL, { op: 'list', list: membership.signed })
    } catch (thrown) {
      const error = toMtorError(thrown)
      this.#options.report({ severity: 'warning', name: 'list.refused', code: error.code, message: `${from}: ${error.message}` })
    }
  }

  async #answer(from: string, message: unknown): Promise<unknown> {
    const { membership } = this.#options
    const question = questionValidator.assert(message, 'MALFORMED', 'question to the realm')
    const member = membership.member(from)
    if (!member) throw new MtorError('NOT_A_MEMBER', `${from} is no member`)
    if (question.op === 'renew') return this.#renewFor(from, question)
    if (question.op === 'leave') {
      await membership.change({ revoke: member.serials.map((serial) => ({ serial, node: from, why: 'left' })) })
      this.#options.report({ severity: 'info', name: 'node.left', message: `${from} has left the realm`, data: { node: from } })
      return {}
    }
    if (member.role !== 'full') throw new MtorError('UNAUTHORISED', `${from} is a ${member.role} node`)
    if (!membership.authority) throw new MtorError('UNAUTHORISED', 'this node does not hold the key itself')
    return { caKey: membership.authority.keyPem }
  }

  async #renewFor(node: string, { csr, serial, host, port }: { csr: string; serial: string; host: string; port: number }): Promise<{ cert: string; list: SignedList }> {
    const { membership, clock } = this.#options
    const { authority } = membership
    if (!authority) throw new MtorError('UNAUTHORISED', 'this node does not hold the key of the realm\'s authority', { hint: 'Ask a full node.' })
    const issued = await authority.issue({ csr, node, hosts: [host], wallMs: clock.wallMs() })
    // Looked at afterwards: it may have been removed meanwhile.
    const member = membership.member(node)
    if (!member?.serials.includes(serial)) throw new MtorError('NOT_A_MEMBER', `${node} has no certificate ${serial.slice(-8)} that is good`)
    if (issued.key !== member.key) throw new MtorError('UNAUTHORISED', `${node} asks for a certificate for another key`, { hint: 'A node with a new key joins anew.' })
    // Those from before stay on the list, because what is not on it must be revoked: programs like etcd know revoked ones only.
    const former = member.serials.filter((one) => one !== serial)
    const kept = former.slice(0, MAX_SERIALS - 2)
    await membership.change({
      put: { node, role: member.role, host, port, key: member.key, serials: [serial, issued.serial, ...kept] },
      revoke: former.slice(kept.length).map((one) => ({ serial: one, node, why: 'replaced' })),
    })
    return { cert: issued.certPem, list: membership.signed }
  }

  /** Full nodes that are online. */
  #full() { return this.#options.peers.list().filter(({ online, role }) => online && role === 'full') }

  #once(what: string, event: Omit<SystemEventInput, 'component'>): void {
    const key = `${what} ${event.message}`
    if (this.#told.has(key)) return
    if (this.#told.size > 100) this.#told.clear()
    this.#told.add(key)
    this.#options.report(event)
  }
}

/** A year after it was made, or when it has no end because no clock was known good then, or when the node has moved. */
export function needsRenewal(certificate: X509Certificate, wallMs: number | undefined, member: Member, address: { host?: string; port: number }): boolean {
  if (member.port !== address.port || (address.host !== undefined && member.host !== address.host)) return true
  if (wallMs === undefined) return false
  const leftMs = certificate.validToDate.getTime() - wallMs
  return leftMs < CERTIFICATE_MS - RENEW_AFTER_MS || leftMs > CERTIFICATE_MS + RENEW_AFTER_MS
}
