import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { systemClock } from '../../contracts/clock.ts'
import type { SystemEventInput } from '../../contracts/events.ts'
import { freePorts } from '../../contracts/free-port.ts'
import { EtcdProcess } from '../../realm/etcd/process.ts'
import type { JournalHarness } from '../contract.ts'
import { EtcdJournal, type EtcdJournalOptions } from './journal.ts'


/** etcd members on loopback in a temporary folder, for tests. */
export class TestEtcd {
  readonly folder: string
  readonly members: EtcdProcess[]
  readonly endpoints: string[]
  readonly events: SystemEventInput[]
  #realms = 0

  private constructor(folder: string, members: EtcdProcess[], endpoints: string[], events: SystemEventInput[]) {
    this.folder = folder
    this.events = events
    this.members = members
    this.endpoints = endpoints
  }

  static async make(count = 1, binary = process.env['MTOR_ETCD'] ?? '/usr/bin/etcd'): Promise<TestEtcd> {
    const folder = await mkdtemp(join(tmpdir(), 'mtor-etcd-'))
    const ports = await freePorts(count * 2)
    const names = Array.from({ length: count }, (_, i) => `n${i + 1}`)
    const peers = names.map((name, i) => ({ name, url: `http://127.0.0.1:${ports[count + i]}` }))
    const events: SystemEventInput[] = []
    const members = names.map((name, i) => new EtcdProcess({
      binary, name, clock: systemClock, folder: join(folder, name), clientUrls: [`http://127.0.0.1:${ports[i]}`], peerUrl: peers[i]!.url,
      initialCluster: peers, state: 'new', onEvent: (event) => { events.push(event) },
    }))
    const etcd = new TestEtcd(folder, members, ports.slice(0, count).map((port) => `http://127.0.0.1:${port}`), events)
    await Promise.all(members.map((member) => member.start()))
    await Promise.all(members.map((member) => member.ready(10_000)))
    return etcd
  }

  /** Options of a journal in a realm of its own, so that tests do not see each other. */
  options(overrides: Partial<EtcdJournalOptions> = {}): EtcdJournalOptions {
    const realm = overrides.realm ?? `realm-${++this.#realms}-${process.hrtime.bigint()}`
    const node = overrides.node ?? 'base'
    return { etcd: { endpoints: this.endpoints }, realm, node, clock: systemClock, archiveFile: join(this.folder, realm, `${node}.sqlite`), archiveMaxBytes: 1 << 28, progressMs: 20, ...overrides }
  }

  async journal(overrides: Partial<EtcdJournalOptions> = {}): Promise<EtcdHarness> {
    const harness = new EtcdHarness(this.options(overrides))
    await harness.journal.start()
    return harness
  }

  /** The member that leads now. */
  async leader(): Promise<EtcdProcess> {
    for (;;) {
      for (const member of this.members) {
        const status = await member.status().catch(() => undefined)
        if (status?.leaderId !== undefined && status.leaderId === status.memberId) return member
      }
      await setTimeout(20)
    }
  }

  async dispose() {
    await Promise.all(this.members.map((member) => member.stop()))
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** An EtcdJournal with its events, for tests. */
export class EtcdHarness implements JournalHarness {
  readonly options: EtcdJournalOptions
  readonly events: SystemEventInput[] = []
  journal: EtcdJournal

  constructor(options: EtcdJournalOptions) {
    this.options = options
    this.journal = this.create()
  }

  create(overrides: Partial<EtcdJournalOptions> = {}): EtcdJournal {
    return new EtcdJournal({ ...this.options, onEvent: (event) => { this.events.push(event) }, ...overrides })
  }

  async reopen(): Promise<EtcdJournal> {
    await this.journal.stop()
    this.journal = this.create()
    await this.journal.start()
    return this.journal
  }

  async dispose() { await this.journal.stop() }
}
