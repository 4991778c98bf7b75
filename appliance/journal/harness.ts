import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ManualClock } from '../contracts/clock.ts'
import type { SystemEventInput } from '../contracts/events.ts'
import type { JournalHarness } from './contract.ts'
import { SqliteJournal, type SqliteJournalOptions } from './sqlite.ts'

/** A SqliteJournal in a temporary folder, for tests, with its events and time moved by hand. */
export class SqliteHarness implements JournalHarness {
  readonly folder: string
  readonly file: string
  readonly clock = new ManualClock()
  readonly events: SystemEventInput[] = []
  journal: SqliteJournal
  readonly #options: Partial<SqliteJournalOptions>
  #listeners: ((event: SystemEventInput) => void)[] = []

  private constructor(folder: string, options: Partial<SqliteJournalOptions>) {
    this.folder = folder
    this.file = join(folder, 'journal.sqlite')
    this.#options = options
    this.journal = this.create()
  }

  static async make(options: Partial<SqliteJournalOptions> & { started?: boolean } = {}): Promise<SqliteHarness> {
    const { started = true, ...rest } = options
    const harness = new SqliteHarness(await mkdtemp(join(tmpdir(), 'mtor-journal-')), rest)
    if (started) await harness.journal.start()
    return harness
  }

  create(overrides: Partial<SqliteJournalOptions> = {}): SqliteJournal {
    return new SqliteJournal({
      file: this.file, clock: this.clock, maxFinished: 100_000, archiveMaxBytes: 1 << 28, ...this.#options, ...overrides,
      onEvent: (event) => {
        this.events.push(event)
        for (const listener of this.#listeners) listener(event)
      },
    })
  }

  async reopen(): Promise<SqliteJournal> {
    await this.journal.stop()
    this.journal = this.create()
    await this.journal.start()
    return this.journal
  }

  /** Resolves with the first event of this name, past or future. */
  event(name: string): Promise<SystemEventInput> {
    const past = this.events.find((event) => event.name === name)
    return past ? Promise.resolve(past) : this.nextEvent(name)
  }

  nextEvent(name: string): Promise<SystemEventInput> {
    return new Promise((resolve) => { this.#listeners.push((event) => { if (event.name === name) resolve(event) }) })
  }

  async dispose() {
    await this.journal.stop()
    await rm(this.folder, { recursive: true, force: true })
  }
}
