import { createPrivateKey, X509Certificate } from 'node:crypto'
import Type from 'typebox'
import { NodeName } from '../contracts/envelope.ts'
import { MtorError } from '../contracts/errors.ts'
import { validator } from '../contracts/validate.ts'
import { Authority, makeKey, makeRequest, serialOf } from './authority.ts'
import type { RealmFolder } from './folder.ts'
import { changeList, mergeLists, openList, sameContent, Revocation, SignedList, type Member, type MemberList, type NodeRole } from './list.ts'

const MemberFile = Type.Object({
  v: Type.Literal(1), realm: NodeName, node: NodeName, list: SignedList,
  alsoRevoked: Type.Optional(Type.Array(Revocation.properties.serial, { description: 'What a witness knows of lists that it could not put together with this one' })),
})
const fileValidator = validator(MemberFile)

/** What TLS needs to be this node: its own key and certificate, and the one authority it believes. PEM. */
export interface Credentials { keyPem: string; certPem: string; caCertPem: string }
/** A list came from another node: whether it told us something new, and whether we know more than it says. */
export interface Adopted { changed: boolean; answer: boolean }

const isWhole = (text: string | undefined, what: string): string => {
  if (text === undefined) throw new MtorError('CONFIG_INVALID', `the realm folder has no ${what}`, { hint: 'Leave with: mtor realm leave --force; then join again.' })
  return text
}

/** Realm and name of this node, if it is a member: `member.json` decides, not a host name that may change. @throws MtorError CONFIG_INVALID */
export function membershipOf(folder: RealmFolder): { realm: string; node: string } | undefined {
  const text = folder.readNow('member')
  if (text === undefined) return undefined
  const { realm, node } = parseFile(text, folder)
  return { realm, node }
}

function parseFile(text: string, folder: RealmFolder) {
  let value: unknown
  try { value = JSON.parse(text) } catch (error) { throw new MtorError('CONFIG_INVALID', `${folder.of('member')} is not JSON`, { cause: error }) }
  return fileValidator.assert(value, 'CONFIG_INVALID', folder.of('member'))
}

/** Who this node is in its realm, and who else is in it. */
export class Membership {
  readonly folder: RealmFolder
  readonly realm: string
  readonly node: string
  readonly #keyPem: string
  readonly #caCertPem: string
  #certPem: string
  #authority: Authority | undefined
  #signed: SignedList
  #list: MemberList
  /** Of lists that a witness could not put together with its own, for want of the authority's key: enforced all the same. */
  readonly #alsoRevoked: Set<string>
  readonly #listeners = new Set<() => void>()
  readonly #forgetting = new Set<(told: boolean) => Promise<void>>()
  #writing: Promise<void> = Promise.resolve()

  private constructor(options: Credentials & { folder: RealmFolder; realm: string; node: string; signed: SignedList; alsoRevoked: readonly string[]; authority: Authority | undefined }) {
    this.folder = options.folder
    this.realm = options.realm
    this.node = options.node
    this.#keyPem = options.keyPem
    this.#certPem = options.certPem
    this.#caCertPem = options.caCertPem
    this.#authority = options.authority
    this.#signed = options.signed
    this.#list = openList(options.signed, options.caCertPem, options.realm)
    this.#alsoRevoked = new Set(options.alsoRevoked)
  }

  /** Reads `<state>/realm`. @throws MtorError CONFIG_INVALID when something is missing or does not fit together */
  static async load(folder: RealmFolder): Promise<Membership> {
    const { realm, node, list, alsoRevoked = [] } = parseFile(isWhole(await folder.read('member'), 'member.json'), folder)
    const [keyPem, certPem, caCertPem, caKeyPem] = await Promise.all([folder.read('key'), folder.read('cert'), folder.read('caCert'), folder.read('caKey')])
    const credentials = { keyPem: isWhole(keyPem, 'node-key.pem'), certPem: isWhole(certPem, 'node-cert.pem'), caCertPem: isWhole(caCertPem, 'ca-cert.pem') }
    try {
      if (!new X509Certificate(credentials.certPem).checkPrivateKey(createPrivateKey(credentials.keyPem))) throw new MtorError('CONFIG_INVALID', 'node-key.pem is not the key of node-cert.pem')
      const authority = caKeyPem === undefined ? undefined : new Authority({ realm, certPem: credentials.caCertPem, keyPem: caKeyPem, folder: folder.path })
      return new Membership({ folder, realm, node, ...credentials, signed: list, alsoRevoked, authority })
    } catch (error) { throw new MtorError('CONFIG_INVALID', `${folder.path}: ${(error as Error).message}`, { cause: error, hint: 'Leave with: mtor realm leave --force; then join again.' }) }
  }

  /** Makes a realm whose only node this is. @throws MtorError ALREADY_A_MEMBER */
  static async create(options: { folder: RealmFolder; realm: string; node: string; host: string; port: number; wallMs: number | undefined }): Promise<Membership> {
    const { folder, realm, node, host, port, wallMs } = options
    if (folder.isMember) throw new MtorError('ALREADY_A_MEMBER', `${folder.path} is in use`)
    const authority = await Authority.make(folder.path, realm)
    const keyPem = makeKey()
    const { certPem, serial, key } = await authority.issue({ csr: await makeRequest(folder.path, keyPem, node), node, hosts: [host], wallMs })
    const empty: MemberList = { v: 1, realm, version: 0, members: [], revoked: [] }
    const list = authority.sign(changeList(empty, { put: { node, role: 'full', host, port, key, serials: [serial] } }))
    return Membership.settle({ folder, realm, node, list, keyPem, certPem, caCertPem: authority.certPem, caKeyPem: authority.keyPem })
  }

  /** Writes the files of a new member; `member.json` last. */
  static async settle(options: Credentials & { folder: RealmFolder; realm: string; node: string; list: SignedList; caKeyPem?: string }): Promise<Membership> {
    const { folder, realm, node, list } = options
    if (options.caKeyPem !== undefined) await folder.write('caKey', options.caKeyPem)
    await folder.write('caCert', options.caCertPem)
    await folder.write('key', options.keyPem)
    await folder.write('cert', options.certPem)
    await folder.write('member', `${JSON.stringify({ v: 1, realm, node, list }, null, 1)}\n`)
    return Membership.load(folder)
  }

  get credentials(): Credentials { return { keyPem: this.#keyPem, certPem: this.#certPem, caCertPem: this.#caCertPem } }
  get certificate(): X509Certificate { return new X509Certificate(this.#certPem) }
  /** Undefined on a witness, and on a full node until another has handed it over. */
  get authority(): Authority | undefined { return this.#authority }
  get list(): MemberList { return this.#list }
  get signed(): SignedList { return this.#signed }
  get self(): Member | undefined { return this.member(this.node) }
  /** A node that was removed meanwhile has no say: as a witness. */
  get role(): NodeRole { return this.self?.role ?? 'witness' }
  member(node: string): Member | undefined { return this.#list.members.find((member) => member.node === node) }

  /** Why a certificate is not good (any more); undefined when it is. */
  refusal(node: string, serial: string): MtorError | undefined {
    const revoked = this.#list.revoked.find((one) => one.serial === serial)
    if (revoked || this.#alsoRevoked.has(serial)) return new MtorError('NOT_A_MEMBER', `certificate ${serial.slice(-8)} of ${node} was revoked${revoked ? ` (${revoked.why})` : ''}`)
    const member = this.member(node)
    if (!member) return new MtorError('NOT_A_MEMBER', `${node} is not in the member list (version ${this.#list.version})`)
    return member.serials.includes(serial) ? undefined : new MtorError('NOT_A_MEMBER', `certificate ${serial.slice(-8)} is none that ${node} was given`)
  }

  /** Numbers of all certificates that are known to be revoked, sorted. */
  get revoked(): string[] { return [...new Set([...this.#list.revoked.map(({ serial }) => serial), ...this.#alsoRevoked])].sort() }

  /** Why this node itself is out; undefined while it is a member. */
  get ownRefusal(): MtorError | undefined { return this.refusal(this.node, serialOf(this.certificate)) }

  /** Takes over what another node's list knows and ours does not. @throws MtorError NOT_A_MEMBER, MALFORMED */
  adopt(signed: SignedList): Adopted {
    if (signed.text === this.#signed.text) return { changed: false, answer: false }
    const theirs = openList(signed, this.#caCertPem, this.realm)
    const mine = this.#list
    if (sameContent(mine, theirs)) {
      if (theirs.version > mine.version) this.#take(theirs, signed, false)
      return { changed: false, answer: theirs.version < mine.version }
    }
    const merged = mergeLists(mine, theirs)
    if (sameContent(merged, theirs)) { this.#take(theirs, signed); return { changed: true, answer: false } }
    if (sameContent(merged, mine)) return { changed: false, answer: true }
    if (this.#authority) { this.#take(merged, this.#authority.sign(merged)); return { changed: true, answer: true } }
    // Two full nodes changed the list apart. A witness cannot sign what both say: it passes one of them on, and whoever has the key puts them together.
    for (const { serial } of [...mine.revoked, ...theirs.revoked]) this.#alsoRevoked.add(serial)
    const takes = theirs.version > mine.version || (theirs.version === mine.version && signed.text > this.#signed.text)
    if (takes) this.#take(theirs, signed)
    else this.#take(mine, this.#signed)
    return { changed: takes, answer: true }
  }

  /** Changes the list; it is on the disk when this resolves. @throws MtorError UNAUTHORISED on a node without the authority's key */
  async change(change: { put?: Omit<Member, 'changed'>; revoke?: readonly Revocation[] }): Promise<void> {
    if (!this.#authority) throw new MtorError('UNAUTHORISED', 'this node does not hold the key of the realm\'s authority', { hint: 'Ask a full node.' })
    const list = changeList(this.#list, change)
    this.#take(list, this.#authority.sign(list))
    await this.settled()
  }

  /** Keeps the authority's key, which another full node has handed over. @throws MtorError CONFIG_INVALID when it is not this realm's */
  async keepAuthority(caKeyPem: string): Promise<void> {
    const authority = new Authority({ realm: this.realm, certPem: this.#caCertPem, keyPem: caKeyPem, folder: this.folder.path })
    await this.folder.write('caKey', caKeyPem)
    this.#authority = authority
  }

  /** Keeps a new certificate for the same key. @throws MtorError CONFIG_INVALID when it does not fit this node */
  async keepCertificate(certPem: string): Promise<void> {
    const certificate = new X509Certificate(certPem)
    if (!certificate.checkPrivateKey(createPrivateKey(this.#keyPem)) || !certificate.verify(new X509Certificate(this.#caCertPem).publicKey)) throw new MtorError('CONFIG_INVALID', 'a renewed certificate that is not for this node')
    await this.folder.write('cert', certPem)
    this.#certPem = certPem
    this.#tell()
  }

  request(): Promise<string> { return makeRequest(this.folder.path, this.#keyPem, this.node) }

  /** Called whenever the list or the own certificate has changed; returns what stops it. */
  onChange(listener: () => void): () => void { this.#listeners.add(listener); return () => { this.#listeners.delete(listener) } }

  /** Called before keys and data go, with whether the others know of it; returns what stops it. */
  beforeForgetting(action: (told: boolean) => Promise<void>): () => void { this.#forgetting.add(action); return () => { this.#forgetting.delete(action) } }

  /** Forgets the realm: keys, list, and what others keep in its folder. */
  async forget(told: boolean): Promise<void> {
    await Promise.all([...this.#forgetting].map((action) => action(told)))
    await this.folder.remove()
  }

  /** When what was taken over last is on the disk. @throws MtorError DISK_FULL, CONFIG_INVALID */
  settled(): Promise<void> { return this.#writing }

  #take(list: MemberList, signed: SignedList, news = true): void {
    this.#list = list
    this.#signed = signed
    for (const { serial } of list.revoked) this.#alsoRevoked.delete(serial)
    const also = () => this.#alsoRevoked.size > 0 ? { alsoRevoked: [...this.#alsoRevoked] } : {}
    const write = () => this.folder.isMember ? this.folder.write('member', `${JSON.stringify({ v: 1, realm: this.realm, node: this.node, list: this.#signed, ...also() }, null, 1)}\n`) : undefined
    this.#writing = this.#writing.then(write, write).then(() => {})
    // Whoever needs it awaits `settled`; a full disk must not end the process.
    this.#writing.catch(() => {})
    if (news) this.#tell()
  }

  #tell(): void { for (const listener of [...this.#listeners]) listener() }
}
