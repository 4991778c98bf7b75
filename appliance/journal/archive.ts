import { readdirSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { SystemEventInput } from '../contracts/events.ts'
import type { JournalEntry } from './port.ts'
import { entryOf, isIntact, type Row } from './rows.ts'
import { isCorrupt } from './sqlite-errors.ts'

/** The archive is split into about this many files, so that dropping the oldest gives back a small share of it. */
const FILES = 8
/** After a failure to write, accepting goes on without the archive for this long, ms. */
const PAUSE_MS = 5_000

/**
 * Finished intents that left the journal: `NAME.archive-N.sqlite` beside it, N growing. Files beyond `maxBytes`
 * together are dropped, oldest first, with an event. Not safe for use from two threads.
 */
export class Archive {
  readonly #folder: string
  readonly #prefix: string
  readonly #maxBytes: number
  readonly #onEvent: (event: SystemEventInput) => void
  readonly #open = new Map<number, DatabaseSync>()
  #current = 0
  #pausedUntilMs = 0

  constructor(journalFile: string, maxBytes: number, onEvent: (event: SystemEventInput) => void) {
    this.#folder = dirname(journalFile)
    this.#prefix = `${basename(journalFile).replace(/\.sqlite$/, '')}.archive-`
    this.#maxBytes = maxBytes
    this.#onEvent = onEvent
  }

  /** Stores rows of `intent` durably; returns the number of the file they are in, or undefined while the archive cannot be written. */
  append(rows: Row[]): number | undefined {
    if (performance.now() < this.#pausedUntilMs) return undefined
    for (;;) {
      this.#current ||= Math.max(1, ...this.#numbers())
      if (this.#bytes(this.#current) > this.#maxBytes / FILES) this.#current += 1
      try {
        this.#store(rows)
        this.#dropOldest()
        return this.#current
      } catch (error) {
        this.#close(this.#current)
        this.#onEvent({ severity: 'error', component: 'journal', name: 'journal.archive-failed', code: isCorrupt(error) ? 'JOURNAL_CORRUPT' : 'JOURNAL_UNAVAILABLE', message: `${this.#path(this.#current)}: ${String(error)}` })
        if (!isCorrupt(error)) {
          this.#pausedUntilMs = performance.now() + PAUSE_MS
          return undefined
        }
        // The damaged file stays as it is; what comes next goes into a new one.
        this.#current += 1
      }
    }
  }

  #store(rows: Row[]) {
    const db = this.#database(this.#current)
    db.exec('BEGIN IMMEDIATE')
    try {
      const insert = db.prepare('INSERT OR REPLACE INTO entry(id, json) VALUES (?, ?)')
      // Of a damaged row only the id is kept, by the journal.
      for (const row of rows) if (isIntact(row)) insert.run(row.id as string, JSON.stringify(entryOf(row)))
      db.exec('COMMIT')
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK')
      throw error
    }
  }

  /** An archived entry; undefined when its file was dropped or cannot be read. */
  get(file: number, id: string): JournalEntry | undefined {
    if (!this.#bytes(file)) return undefined
    try {
      const row = this.#database(file).prepare('SELECT json FROM entry WHERE id = ?').get(id)
      return row && JSON.parse(row.json as string) as JournalEntry
    } catch (error) {
      this.#close(file)
      this.#onEvent({ severity: 'warning', component: 'journal', name: 'journal.archive-unreadable', code: 'JOURNAL_CORRUPT', message: `${this.#path(file)}: ${String(error)}` })
      return undefined
    }
  }

  close() { for (const file of [...this.#open.keys()]) this.#close(file) }

  #dropOldest() {
    const numbers = this.#numbers()
    let total = numbers.reduce((sum, file) => sum + this.#bytes(file), 0)
    for (const file of numbers) {
      if (total <= this.#maxBytes || file === this.#current) return
      const bytes = this.#bytes(file)
      this.#close(file)
      for (const suffix of ['', '-wal', '-shm']) rmSync(this.#path(file) + suffix, { force: true })
      total -= bytes
      this.#onEvent({ severity: 'info', component: 'journal', name: 'journal.archive-dropped', message: `The archive was over ${this.#maxBytes} bytes: its oldest file was dropped`, data: { file: basename(this.#path(file)), bytes } })
    }
  }

  #database(file: number): DatabaseSync {
    let db = this.#open.get(file)
    if (!db) {
      db = new DatabaseSync(this.#path(file))
      this.#open.set(file, db)
      db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE IF NOT EXISTS entry (id TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID')
    }
    return db
  }

  #close(file: number) {
    try { this.#open.get(file)?.close() } catch { /* a handle on a damaged file */ }
    this.#open.delete(file)
  }

  #path(file: number) { return join(this.#folder, `${this.#prefix}${file}.sqlite`) }

  #bytes(file: number): number {
    return ['', '-wal'].reduce((sum, suffix) => sum + (statSync(this.#path(file) + suffix, { throwIfNoEntry: false })?.size ?? 0), 0)
  }

  /** Numbers of the files that exist, oldest first. */
  #numbers(): number[] {
    return readdirSync(this.#folder).flatMap((name) => {
      const number = name.startsWith(this.#prefix) ? /^(\d+)\.sqlite$/.exec(name.slice(this.#prefix.length))?.[1] : undefined
      return number === undefined ? [] : [Number(number)]
    }).sort((a, b) => a - b)
  }
}
