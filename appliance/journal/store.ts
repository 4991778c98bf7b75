import { statSync } from 'node:fs'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { MtorError } from '../contracts/errors.ts'
import type { Archive } from './archive.ts'
import { canonicalJson, contentHash } from './content.ts'
import { writeCounters, type Counters } from './counters.ts'
import type { AcceptInput, AcceptOutcome, ClaimInput, FinishInput, JournalEntry, JournalStats } from './port.ts'
import { entryOf, type Row } from './rows.ts'

export interface ListQuery { state?: JournalEntry['state']; deadLetter?: boolean; limit?: number }

const LIST_DEFAULT = 100
const LIST_MAX = 10_000
/** Checkpoint once the write-ahead log holds this many pages (of 4 KiB). */
const CHECKPOINT_PAGES = 1000
/** The ids of archived intents that are kept, so that a replay is still known; about 100 bytes each. */
const KNOWN_IDS_MAX = 1_000_000
const PROBE_BYTES = 64 * 1024

/**
 * The journal's operations on an open database, without threads or retries. Each must run inside a transaction of
 * `transact`, and checks everything before it writes, so that one refused operation leaves the others of its group alone.
 */
export class Store {
  readonly #db: DatabaseSync
  readonly #file: string
  readonly #archive: Archive
  readonly #counters: Counters
  readonly #statements = new Map<string, StatementSync>()
  #counts = { unfinished: 0, finished: 0, deadLetters: 0, archivedTotal: 0 }
  #commitMs = 0

  constructor(db: DatabaseSync, file: string, archive: Archive, counters: Counters) {
    this.#db = db
    this.#file = file
    this.#archive = archive
    this.#counters = counters
    this.#recount()
  }

  /** Runs `work` in one transaction; returns after COMMIT is on stable storage. Throws what SQLite throws, rolled back. */
  transact(work: () => void) {
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      work()
      const start = performance.now()
      this.#db.exec('COMMIT')
      this.#commitMs = performance.now() - start
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      this.#recount()
      throw error
    }
  }

  boot(bootId: string): number {
    const counters = this.#counters
    if (counters.bootId !== bootId || counters.boot === 0) {
      counters.boot += 1
      counters.bootId = bootId
      writeCounters(this.#file, counters)
      this.#setMeta('boot', String(counters.boot))
      this.#setMeta('bootId', bootId)
    }
    return counters.boot
  }

  accept({ envelope, client, acceptedAt }: AcceptInput): AcceptOutcome {
    const text = canonicalJson(envelope)
    const hash = contentHash(text)
    const known = this.#get('SELECT hash FROM intent WHERE id = ?', envelope.id)
      ?? (this.#counts.archivedTotal ? this.#get('SELECT hash FROM archived WHERE id = ?', envelope.id) : undefined)
    if (known) return hash.equals(known.hash as Uint8Array) ? 'duplicate' : 'conflict'
    this.#run(`INSERT INTO intent(id, hash, envelope, client, boot, mono, wall, state) VALUES (?, ?, ?, ?, ?, ?, ?, 'accepted')`,
      envelope.id, hash, text, client, acceptedAt.boot, acceptedAt.mono, acceptedAt.wall ?? null)
    this.#counts.unfinished += 1
    return 'accepted'
  }

  claim({ id, node, device, epoch }: ClaimInput & { id: string }) {
    const row = this.#get('SELECT n, node, attempt FROM intent WHERE id = ? AND final IS NULL', id)
    if (!row || (row.node !== null && row.node !== node)) return undefined
    const ticket = device === undefined ? undefined : this.#ticket(device, epoch)
    const attempt = (row.attempt as number) + 1
    this.#run(`UPDATE intent SET state = 'claimed', node = ?, attempt = ?, device = ?, epoch = ?, sequence = ? WHERE n = ?`,
      node, attempt, ticket?.device ?? null, ticket?.epoch ?? null, ticket?.sequence ?? null, row.n as number)
    return { attempt, ...(ticket ? { ticket } : {}) }
  }

  progress({ id, data }: { id: string; data: Record<string, unknown> }) {
    this.#run('UPDATE intent SET progress = ? WHERE id = ? AND final IS NULL', JSON.stringify(data), id)
  }

  finish({ id, wall, ...input }: FinishInput & { id: string; wall?: number }): boolean {
    const { state, deadLetter = false, ...final } = input
    const done = this.#run('UPDATE intent SET state = ?, final = ?, deadLetter = ?, finishedWall = ? WHERE id = ? AND final IS NULL',
      state, JSON.stringify(final), Number(deadLetter), wall ?? null, id)
    if (!done) return false
    this.#counts.unfinished -= 1
    this.#counts.finished += 1
    if (deadLetter) this.#counts.deadLetters += 1
    return true
  }

  get(id: string): JournalEntry | undefined {
    const row = this.#get('SELECT * FROM intent WHERE id = ?', id)
    if (row) return entryOf(row)
    const archived = this.#get('SELECT file FROM archived WHERE id = ?', id)
    return archived && this.#archive.get(archived.file as number, id)
  }

  unfinished(): JournalEntry[] {
    return this.#all('SELECT * FROM intent WHERE final IS NULL ORDER BY n').map(entryOf)
  }

  list({ state, deadLetter, limit = LIST_DEFAULT }: ListQuery): JournalEntry[] {
    const where = [...(state === undefined ? [] : ['state = ?']), ...(deadLetter === undefined ? [] : [`deadLetter = ${Number(deadLetter)}`])]
    const sql = `SELECT * FROM intent ${where.length ? `WHERE ${where.join(' AND ')}` : ''} ORDER BY n DESC LIMIT ?`
    return this.#all(sql, ...(state === undefined ? [] : [state]), Math.max(0, Math.min(Math.floor(limit), LIST_MAX))).map(entryOf)
  }

  clearDeadLetter(id: string): boolean {
    const cleared = this.#run('UPDATE intent SET deadLetter = 0 WHERE id = ? AND deadLetter = 1', id) > 0
    if (cleared) this.#counts.deadLetters -= 1
    return cleared
  }

  nextEpoch(device: string, above = 0): number {
    const { epochs, floor = 0 } = this.#counters
    const row = this.#get('SELECT epoch FROM device WHERE device = ?', device)
    const epoch = Math.max(epochs[device] ?? floor, (row?.epoch as number | undefined) ?? 0, above) + 1
    // The side copy first: should the commit fail, this number is never given to anyone.
    epochs[device] = epoch
    writeCounters(this.#file, this.#counters)
    this.#setDevice(device, epoch, 0)
    return epoch
  }

  put({ key, value }: { key: string; value?: unknown }) {
    if (value === undefined) this.#run('DELETE FROM value WHERE key = ?', key)
    else this.#run('INSERT INTO value(key, json) VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET json = excluded.json', key, JSON.stringify(value))
  }

  read(key: string): unknown {
    const row = this.#get('SELECT json FROM value WHERE key = ?', key)
    return row && JSON.parse(row.json as string)
  }

  keys(prefix: string): string[] {
    const found: string[] = []
    for (const { key } of this.#all('SELECT key FROM value WHERE key >= ? ORDER BY key', prefix)) {
      if (!(key as string).startsWith(prefix)) break
      found.push(key as string)
    }
    return found
  }

  stats(): Omit<JournalStats, 'queue'> {
    const { unfinished, finished, deadLetters, archivedTotal } = this.#counts
    return { accepted: unfinished + finished + archivedTotal, unfinished, finished: finished + archivedTotal, deadLetters, archivedTotal, fileBytes: size(this.#file) + size(`${this.#file}-wal`), lastFsyncMs: this.#commitMs }
  }

  /** Moves what the write-ahead log holds into the database once there is enough of it; between groups, so that no commit waits for it. */
  checkpoint() {
    const { log } = this.#get('PRAGMA wal_checkpoint(NOOP)') as { log: number }
    if (log >= CHECKPOINT_PAGES) this.#db.exec('PRAGMA wal_checkpoint(PASSIVE)')
  }

  /**
   * Moves up to `limit` of the oldest finished intents beyond `maxFinished` into the archive; dead letters only when
   * nothing else is left. They are durable there before they leave here, so a crash between the two repeats the step.
   * Returns how many were moved: 0 when there is nothing to do, or the archive cannot be written at present.
   */
  archiveStep(maxFinished: number, limit: number): number {
    const count = Math.min(limit, this.#counts.finished - maxFinished)
    if (count <= 0) return 0
    let rows = this.#all('SELECT * FROM intent WHERE final IS NOT NULL AND deadLetter = 0 ORDER BY n LIMIT ?', count)
    if (!rows.length) rows = this.#all('SELECT * FROM intent WHERE deadLetter = 1 ORDER BY n LIMIT ?', count)
    const file = this.#archive.append(rows)
    if (file === undefined) return 0
    this.transact(() => {
      for (const row of rows) {
        this.#run('INSERT INTO archived(id, hash, file) VALUES (?, ?, ?)', row.id as string, row.hash as Uint8Array, file)
        this.#run('DELETE FROM intent WHERE n = ?', row.n as number)
        this.#counts.finished -= 1
        this.#counts.archivedTotal += 1
        if (row.deadLetter) this.#counts.deadLetters -= 1
      }
      this.#run('DELETE FROM archived WHERE n <= (SELECT max(n) FROM archived) - ?', KNOWN_IDS_MAX)
    })
    return rows.length
  }

  /** Writes as much as a group of requests may need and takes it away again: shows that the disk takes writes. */
  probe() {
    this.transact(() => { this.#setMeta('probe', 'x'.repeat(PROBE_BYTES)) })
    this.transact(() => { this.#run(`DELETE FROM meta WHERE key = 'probe'`) })
  }

  /** A fault for tests: the database may not grow beyond its present size, as on a full disk. */
  limitSize(full: boolean) { this.#db.exec(`PRAGMA max_page_count = ${full ? 1 : 0xfffffffe}`) }

  close() { this.#db.close() }

  /** A fresh right to send one command. An older epoch than the device's is refused; a newer one is taken over. */
  #ticket(device: string, wanted: number | undefined) {
    const row = this.#get('SELECT epoch, sequence FROM device WHERE device = ?', device) as { epoch: number; sequence: number } | undefined
    const epoch = wanted ?? (row ? row.epoch : this.nextEpoch(device))
    if (row && epoch < row.epoch) throw new MtorError('STALE_EPOCH', `Device ${device} has epoch ${row.epoch}, the claim came with ${epoch}`)
    if (epoch > (this.#counters.epochs[device] ?? 0)) {
      this.#counters.epochs[device] = epoch
      writeCounters(this.#file, this.#counters)
    }
    const sequence = row?.epoch === epoch ? row.sequence + 1 : 1
    this.#setDevice(device, epoch, sequence)
    return { device, epoch, sequence }
  }

  #setDevice(device: string, epoch: number, sequence: number) {
    this.#run('INSERT INTO device(device, epoch, sequence) VALUES (?, ?, ?) ON CONFLICT(device) DO UPDATE SET epoch = excluded.epoch, sequence = excluded.sequence', device, epoch, sequence)
  }

  #setMeta(key: string, value: string) { this.#run('INSERT OR REPLACE INTO meta(key, value) VALUES (?, ?)', key, value) }

  #recount() {
    const count = (sql: string) => (this.#get(sql)?.c as number | null) ?? 0
    const finished = count('SELECT count(*) c FROM intent WHERE final IS NOT NULL AND deadLetter = 0')
    const dead = count('SELECT count(*) c FROM intent WHERE deadLetter = 1')
    this.#counts = { unfinished: count('SELECT count(*) c FROM intent WHERE final IS NULL'), finished: finished + dead, deadLetters: dead, archivedTotal: count('SELECT max(n) c FROM archived') }
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (!statement) this.#statements.set(sql, statement = this.#db.prepare(sql))
    return statement
  }

  #get(sql: string, ...values: Value[]): Row | undefined { return this.#statement(sql).get(...values) }
  #all(sql: string, ...values: Value[]): Row[] { return this.#statement(sql).all(...values) }
  #run(sql: string, ...values: Value[]): number { return Number(this.#statement(sql).run(...values).changes) }
}

type Value = string | number | null | Uint8Array

function size(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}
