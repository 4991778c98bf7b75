import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import Type from 'typebox'
import type { RealmModeConfig } from '../../config/schema.ts'
import type { Clock, Timer } from '../../contracts/clock.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { Hub } from '../../contracts/hub.ts'
import { validator } from '../../contracts/validate.ts'
import { EtcdClient, type EtcdTls } from '../../journal/etcd/index.ts'
import { serialOf } from '../authority.ts'
import { EtcdProcess, etcdVersion, hasData, members, moveMember, removeMember, setAside } from '../etcd/index.ts'
import type { Membership } from '../membership.ts'
import type { Peers } from '../peers/port.ts'
import { revocationList } from '../revocations.ts'
import { addLearner, promote, strays } from './members.ts'

export interface ConsensusOptions {
  membership: Membership
  peers: Peers
  config: RealmModeConfig
  /** Where the links to other nodes listen; etcd listens there too. */
  host: string
  clock: Clock
  hub: Hub
}

const CHANNEL = 'etcd'
const AGAIN_MS = 300
const ASK_MS = 20_000
const TEND_MS = 2_000
/** For the others to take a vote away: they look every two seconds, and etcd may want some more, ms. */
const LEAVE_MS = 20_000
/** Whoever was removed is not always told, but hears no leader any more; an election is over by then. */
const LEADERLESS_TIMES = 6
const url = (host: string, port: number) => `https://${host.includes(':') ? `[${host}]` : host}:${port}`

const Question = Type.Union([
  Type.Object({ op: Type.Literal('data') }),
  Type.Object({ op: Type.Union([Type.Literal('join'), Type.Literal('moved')]), peerUrl: Type.String({ pattern: '^https://[^/]{1,300}$' }) }),
  Type.Object({ op: Type.Literal('promote') }),
])
const questionValidator = validator(Question)
const joinedValidator = validator(Type.Object({ cluster: Type.Array(Type.Object({ name: Type.String(), url: Type.String() })), clientUrls: Type.Array(Type.String()) }))

/**
 * This node's member of etcd. The first node of a realm founds the cluster; every later one joins over the links of the
 * realm, first without a vote. A member that was removed, or whose data is damaged, joins anew by itself.
 */
export class Consensus {
  readonly #o: ConsensusOptions
  readonly #folder: string
  #process: EtcdProcess | undefined
  #client: EtcdClient | undefined
  #clientUrls: string[] = []
  #leader: string | undefined
  #running = false
  /** Its process is being exchanged. */
  #rejoining = false
  #leaving = false
  #removed = false
  /** What etcd was last told of revoked certificates; undefined before the first time. */
  #revoked: string | undefined
  #revokedTrouble = ''
  #writing: Promise<void> = Promise.resolve()
  /** Members that had not started when they were last looked at. */
  #waiting: string[] = []
  /** Called with the addresses of all members whenever they have changed. */
  onEndpoints: (urls: string[]) => void = () => {}
  #off: (() => void)[] = []
  #timer: Timer | undefined

  constructor(options: ConsensusOptions) {
    this.#o = options
    this.#folder = join(options.membership.folder.path, 'etcd')
    try { this.#clientUrls = JSON.parse(readFileSync(this.#known, 'utf8')) as string[] } catch { /* the first start */ }
  }

  get #data() { return join(this.#folder, 'data') }
  get #known() { return join(this.#o.membership.folder.path, 'cluster.json') }
  get external(): boolean { return this.#o.config.etcd.endpoints.length > 0 }
  /** The node that leads, as far as this one knows. */
  get leader(): string | undefined { return this.#leader }

  /** Addresses for clients, the own one first. */
  get endpoints(): string[] {
    if (this.external) return [...this.#o.config.etcd.endpoints]
    return [this.#ownUrl, ...this.#clientUrls.filter((other) => other !== this.#advertised)]
  }

  get tls(): EtcdTls {
    const { caCertPem, certPem, keyPem } = this.#o.membership.credentials
    return { ca: caCertPem, cert: certPem, key: keyPem, ...(this.external ? {} : { checkServerIdentity: (host: string, certificate: PeerCertificate) => checkServerIdentity(host, certificate) ?? this.#refusal(certificate) }) }
  }

  /** Why what answers is no etcd of the realm (any more). A node that was removed still looks after its own. */
  #refusal(certificate: PeerCertificate): MtorError | undefined {
    const { membership } = this.#o
    const serial = serialOf(certificate)
    return serial === serialOf(membership.certificate) ? undefined : membership.refusal(String(certificate.subject.CN), serial)
  }

  get #host() { return this.#o.membership.self?.host ?? '127.0.0.1' }
  get #anywhere() { return ['', '0.0.0.0', '::'].includes(this.#o.host) }
  get #ownUrl() { return url(this.#anywhere ? '127.0.0.1' : this.#o.host, this.#o.config.etcd.clientPort) }
  get #advertised() { return url(this.#host, this.#o.config.etcd.clientPort) }
  get #peerUrl() { return url(this.#host, this.#o.config.etcd.peerPort) }

  /** Starts etcd, or begins to join; resolves without waiting for a majority. @throws MtorError NOT_FITTED without etcd */
  start(): Promise<void> {
    if (this.external || this.#running) return Promise.resolve()
    const { config, clock, peers, membership } = this.#o
    if (etcdVersion(config.etcd.binary) === undefined) return Promise.reject(new MtorError('NOT_FITTED', `expected etcd as ${config.etcd.binary}, found none that starts`, { hint: 'Install it with: apt-get install etcd-server; or name another with realmMode.etcd in the configuration.' }))
    this.#running = true
    this.#client = new EtcdClient({ endpoints: [this.#ownUrl], clock, tls: this.tls, timeoutMs: 2_000 })
    this.#off = [
      peers.serve(CHANNEL, (from, message) => this.#answer(from, message)),
      membership.onChange(() => { void this.#keepRevoked() }),
      membership.beforeForgetting((told) => this.#leave(told)),
    ]
    void this.#begin().catch((error: unknown) => this.#report('error', 'etcd.trouble', toMtorError(error)))
    this.#tendLater()
    return Promise.resolve()
  }

  async stop(): Promise<void> {
    if (!this.#running) return
    this.#running = false
    for (const off of this.#off) off()
    this.#o.clock.clearTimeout(this.#timer)
    this.#client?.close()
    await this.#process?.stop()
    await this.#writing
  }

  /** Before its keys and data go: who takes its etcd away from a cluster of two that still counts its vote takes away the majority. */
  async #leave(told: boolean): Promise<void> {
    const { clock, membership } = this.#o
    this.#leaving = true
    const process = this.#process
    if (told && process && membership.list.members.some(({ node }) => node !== membership.node)) {
      const untilMs = clock.monoMs() + LEAVE_MS
      for (let times = 0; !this.#removed && times < LEADERLESS_TIMES && clock.monoMs() < untilMs;) {
        await this.#pause()
        times = await process.status().then(({ leaderId }) => leaderId === undefined, () => false) ? times + 1 : 0
      }
    }
    await this.stop()
  }

  get health() { return this.external ? 'external' as const : this.#process?.health ?? 'starting' as const }

  async #begin(): Promise<void> {
    const { membership } = this.#o
    await this.#keepRevoked()
    if (hasData(this.#data)) return await this.#run([], 'existing')
    setAside(this.#data, this.#o.clock)
    if (membership.list.members.length === 1) return await this.#run([{ name: membership.node, url: this.#peerUrl }], 'new')
    while (this.#running) {
      const joined = await this.#join()
      if (joined) return await this.#run(joined, 'existing')
      if (await this.#foundsAlone()) return await this.#run([{ name: membership.node, url: this.#peerUrl }], 'new')
      await this.#pause()
    }
  }

  /** Asks the others in turn to be let in; undefined while none can do it. */
  async #join(): Promise<{ name: string; url: string }[] | undefined> {
    const { peers, membership } = this.#o
    for (const { node } of peers.list().filter(({ online }) => online)) {
      try {
        const { cluster, clientUrls } = joinedValidator.assert(await peers.request(node, CHANNEL, { op: 'join', peerUrl: this.#peerUrl }, { timeoutMs: ASK_MS }), 'MALFORMED', 'answer to joining')
        this.#remember(clientUrls)
        return cluster.map(({ name, url: peerUrl }) => peerUrl === this.#peerUrl ? { name: membership.node, url: peerUrl } : { name, url: peerUrl })
      } catch (error) { this.#report('debug', 'etcd.not-joined', toMtorError(error)) }
    }
    return undefined
  }

  /** No member of the realm has a cluster: then the first by name founds it. Only when all of them say so. */
  async #foundsAlone(): Promise<boolean> {
    const { peers, membership } = this.#o
    const others = membership.list.members.map(({ node }) => node).filter((node) => node !== membership.node)
    if (others.some((node) => node < membership.node)) return false
    const empty = await Promise.all(others.map(async (node) => {
      try { return (await peers.request(node, CHANNEL, { op: 'data' }, { timeoutMs: 1_000 }) as { data?: unknown }).data === false } catch { return false }
    }))
    return empty.every(Boolean)
  }

  async #run(initialCluster: { name: string; url: string }[], state: 'new' | 'existing'): Promise<void> {
    if (!this.#running) return
    this.#removed = false
    const { config, clock, hub, membership } = this.#o
    const { folder } = membership
    const process = this.#process = new EtcdProcess({
      binary: config.etcd.binary, name: membership.node, clock, folder: this.#folder,
      clientUrls: [this.#anywhere ? url('0.0.0.0', config.etcd.clientPort) : this.#ownUrl], advertiseClientUrls: [this.#advertised],
      peerUrl: this.#peerUrl, listenPeerUrl: url(this.#anywhere ? '0.0.0.0' : this.#o.host, config.etcd.peerPort),
      initialCluster, state, token: `mtor-${membership.realm}`, quotaBytes: config.etcd.quotaMB * 1024 * 1024,
      tls: { ca: folder.of('caCert'), cert: folder.of('cert'), key: folder.of('key'), revoked: folder.of('revoked') },
      // Who listens everywhere is reached as 0.0.0.0, which is in no certificate.
      clientTls: this.#anywhere ? { ...this.tls, servername: 'localhost' } : this.tls,
      onEvent: (event) => {
        // Etcd ends when its vote is taken away. Started again it would ask the others, who refuse its certificate now, and never learn why.
        const over = event.name === 'etcd.down' && (this.#leaving || membership.ownRefusal !== undefined)
        if (over) queueMicrotask(() => { void process.stop() })
        if (over || event.name === 'etcd.removed') this.#removed = true
        if (!(over && this.#leaving)) hub.system(event)
        if (event.name === 'etcd.removed' || event.name === 'etcd.corrupt') void this.#rejoin().catch((error: unknown) => this.#report('error', 'etcd.trouble', toMtorError(error)))
      },
    })
    await process.start()
    await this.#vote(process)
  }

  /** Until this member has its vote: another one must give it. */
  async #vote(process: EtcdProcess): Promise<void> {
    const { peers } = this.#o
    while (this.#running && this.#process === process && process.health !== 'ok') {
      for (const { node } of peers.list().filter(({ online }) => online)) {
        const { voter } = await peers.request(node, CHANNEL, { op: 'promote' }, { timeoutMs: ASK_MS }).catch(() => ({})) as { voter?: unknown }
        if (voter === true) return
      }
      await this.#pause()
    }
  }

  /** The cluster does not know this member any more, or its data is damaged: it is set aside, and fetched from the others. */
  async #rejoin(): Promise<void> {
    const { membership } = this.#o
    if (this.#rejoining || this.#leaving || membership.ownRefusal || membership.list.members.length === 1) return
    this.#rejoining = true
    try {
      const former = this.#process
      await former?.stop()
      const aside = former?.setAside()
      this.#o.hub.system({ severity: 'warning', component: 'etcd', name: 'etcd.rejoins', message: `this member joins its cluster anew${aside === undefined ? '' : `; its former data is ${aside}`}` })
    } finally { this.#rejoining = false }
    await this.#begin()
  }

  /** This node is reached elsewhere: etcd tells clients at its start only, and takes its certificate for them from then on. */
  async #restart(): Promise<void> {
    if (this.#rejoining || this.#leaving) return
    this.#rejoining = true
    try { await this.#process?.stop() } finally { this.#rejoining = false }
    await this.#run([], 'existing')
  }

  async #answer(from: string, message: unknown): Promise<unknown> {
    const question = questionValidator.assert(message, 'MALFORMED', 'question about etcd')
    if (question.op === 'data') return { data: hasData(this.#data) }
    const client = this.#client
    if (!client || this.#process?.health !== 'ok') throw new MtorError('NO_QUORUM', `etcd on this node is ${this.health}`)
    if (question.op === 'promote') return { voter: await promote(client, from) }
    if (question.op === 'moved') {
      const member = (await members(client)).find(({ name }) => name === from)
      if (!member) throw new MtorError('NOT_FOUND', `etcd has no started member ${from}`)
      await moveMember(client, this.#o.clock, member.id, question.peerUrl)
      return {}
    }
    const all = await addLearner(client, this.#o.clock, { node: from, peerUrl: question.peerUrl, nodes: this.#o.membership.list.members.map(({ node }) => node) })
    return { cluster: all.flatMap(({ name, peerUrls }) => peerUrls.map((peerUrl) => ({ name: name === '' ? from : name, url: peerUrl }))), clientUrls: all.flatMap(({ clientUrls }) => clientUrls) }
  }

  #tendLater() { this.#timer = this.#o.clock.setTimeout(() => { this.#tend().catch(() => { /* next time */ }).finally(() => { if (this.#running) this.#tendLater() }) }, TEND_MS) }

  /** For etcd, which knows nothing of member lists. The own certificate is left out: a node that was removed goes on to reach its own etcd. */
  #keepRevoked(): Promise<void> {
    const { membership } = this.#o
    const write = async () => {
      const { folder, node, credentials: { keyPem }, certificate } = membership
      try {
        const serials = membership.revoked.filter((serial) => serial !== serialOf(certificate))
        const revoked = serials.join()
        if (revoked === this.#revoked || !folder.isMember) return
        await folder.write('revoked', revocationList({ serials, node, keyPem }))
        this.#revoked = revoked
        this.#revokedTrouble = ''
      } catch (thrown) {
        const error = toMtorError(thrown)
        if (error.message !== this.#revokedTrouble) this.#report('error', 'etcd.revocations-not-kept', error)
        this.#revokedTrouble = error.message
      }
    }
    return this.#writing = this.#writing.then(write)
  }

  /** Who leads, where the others and this one are, and who is no member of the realm any more. */
  async #tend(): Promise<void> {
    const { membership, peers, clock } = this.#o
    await this.#keepRevoked()
    if (!this.#client || !this.#process || this.#leaving) return
    const { ownRefusal } = membership
    if (!ownRefusal && this.#process.hasData && !this.#process.options.advertiseClientUrls?.includes(this.#advertised)) { void this.#restart().catch((error: unknown) => this.#report('error', 'etcd.trouble', toMtorError(error))); return }
    if (this.#process.health === 'starting' || this.#process.health === 'down') return
    const [{ leaderId, memberId }, all] = await Promise.all([this.#process.status(), members(this.#client)])
    this.#leader = all.find(({ id }) => id === leaderId)?.name
    this.#remember(all.flatMap(({ clientUrls }) => clientUrls))
    if (!ownRefusal && all.some(({ id, peerUrls }) => id === memberId && !peerUrls.includes(this.#peerUrl))) await this.#move(memberId)
    const first = peers.list().every(({ online, node }) => !online || node > membership.node)
    if (this.#process.health !== 'ok' || !first || ownRefusal) return
    const never = strays(all, membership.list.members.map(({ node }) => node))
    for (const member of all) {
      const { id, name } = member
      // Who was let in a moment ago is given the time to start.
      if (name === '' ? !(never.includes(member) && this.#waiting.includes(id)) : membership.member(name)) continue
      await removeMember(this.#client, clock, id)
      this.#o.hub.system({ severity: 'info', component: 'etcd', name: 'etcd.member-removed', message: name === '' ? 'what was let in for a node that never started is removed' : `${name} is no member of the realm any more, and has no vote`, data: name === '' ? {} : { node: name } })
    }
    this.#waiting = never.map(({ id }) => id)
  }

  /** Tells etcd where this member is reached now. One that finds no majority from there has another node say it. */
  async #move(id: string): Promise<void> {
    const { peers, clock, hub } = this.#o
    const peerUrl = this.#peerUrl
    let told = this.#process!.health === 'ok'
    if (told) await moveMember(this.#client!, clock, id, peerUrl)
    else for (const { node } of peers.list().filter(({ online }) => online)) {
      told = await peers.request(node, CHANNEL, { op: 'moved', peerUrl }, { timeoutMs: ASK_MS }).then(() => true, () => false)
      if (told) break
    }
    if (told) hub.system({ severity: 'info', component: 'etcd', name: 'etcd.member-moved', message: `the others find etcd of this node at ${peerUrl} now` })
  }

  #remember(clientUrls: string[]) {
    if (clientUrls.length === 0 || JSON.stringify(clientUrls) === JSON.stringify(this.#clientUrls)) return
    this.#clientUrls = clientUrls
    this.onEndpoints(this.endpoints)
    try {
      writeFileSync(`${this.#known}.new`, JSON.stringify(clientUrls), { mode: 0o600 })
      renameSync(`${this.#known}.new`, this.#known)
    } catch (error) { this.#report('warning', 'etcd.addresses-not-kept', toMtorError(error, 'DISK_FULL')) }
  }

  #report(severity: 'debug' | 'warning' | 'error', name: string, { code, message }: MtorError) { this.#o.hub.system({ severity, component: 'etcd', name, code, message }) }
  #pause() { return new Promise<void>((resolve) => { this.#o.clock.setTimeout(resolve, AGAIN_MS) }) }
}
