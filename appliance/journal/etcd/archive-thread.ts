import { mkdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import type { SystemEventInput } from '../../contracts/events.ts'
import { Archive } from '../archive.ts'
import type { Row } from '../rows.ts'
import type { ArchiveReply, ArchiveRequest, ArchiveThreadOptions } from './archive-messages.ts'
import { idBytes, KnownIds, unpackIds } from './known-ids.ts'

/**
 * The archive's thread: files of archived intents, as the SQLite journal has them, and an index of the ids that the
 * realm has archived. The index is a copy of what etcd has, so a damaged one is made anew.
 */
const { file, maxBytes, memory } = workerData as ArchiveThreadOptions
const port = parentPort!
const known = new KnownIds(memory)
let events: SystemEventInput[] = []
const archive = new Archive(file, maxBytes, (event) => { events.push(event) })
let index: DatabaseSync

function open(): DatabaseSync {
  const db = new DatabaseSync(file, { timeout: 3_000 })
  try {
    // Losing the last of it in a power cut is no loss: it comes from etcd again.
    db.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
      CREATE TABLE IF NOT EXISTS known (id BLOB PRIMARY KEY, hash BLOB NOT NULL, segment INTEGER NOT NULL, file INTEGER) WITHOUT ROWID;
      CREATE INDEX IF NOT EXISTS known_segment ON known(segment);
      CREATE TABLE IF NOT EXISTS segment (n INTEGER PRIMARY KEY, copied INTEGER NOT NULL)`)
    for (const { id } of db.prepare('SELECT id FROM known').iterate()) known.add(id as Uint8Array)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function transact(work: () => void) {
  index.exec('BEGIN IMMEDIATE')
  try { work(); index.exec('COMMIT') } catch (error) {
    if (index.isTransaction) index.exec('ROLLBACK')
    throw error
  }
}

const OPERATIONS: { [K in ArchiveRequest['operation']]: (request: Extract<ArchiveRequest, { operation: K }>) => unknown } = {
  /** Ids that were archived by any node; those of segments before `keepFrom` are forgotten. */
  segments({ segments, keepFrom }) {
    const insert = index.prepare('INSERT OR IGNORE INTO known(id, hash, segment) VALUES (?, ?, ?)')
    const mark = index.prepare('INSERT OR IGNORE INTO segment(n, copied) VALUES (?, 0)')
    transact(() => {
      for (const { n, packed } of segments) {
        for (const { id, hash } of unpackIds(packed)) insert.run(id, hash, n)
        mark.run(n)
      }
      index.prepare('DELETE FROM known WHERE segment < ?').run(keepFrom)
      index.prepare('DELETE FROM segment WHERE n < ?').run(keepFrom)
    })
  },
  /** The intents of a segment, where their content could still be had. False while the archive cannot be written. */
  copy({ segment, rows }) {
    const into = rows.length ? archive.append(rows as unknown as Row[]) : 0
    if (into === undefined) return false
    const found = index.prepare('UPDATE known SET file = ? WHERE id = ?')
    transact(() => {
      for (const row of rows) found.run(into, idBytes(row['id'] as string))
      index.prepare('UPDATE segment SET copied = 1 WHERE n = ?').run(segment)
    })
    return true
  },
  uncopied: () => index.prepare('SELECT n FROM segment WHERE copied = 0 ORDER BY n').all().map(({ n }) => n),
  hash: ({ id }) => {
    const row = index.prepare('SELECT hash FROM known WHERE id = ?').get(idBytes(id))
    return row && Buffer.from(row.hash as Uint8Array).toString('base64')
  },
  get: ({ id }) => {
    const row = index.prepare('SELECT file FROM known WHERE id = ?').get(idBytes(id))
    return row?.file ? archive.get(row.file as number, id) : undefined
  },
  close: () => {
    index.close()
    archive.close()
  },
}

function post(reply: ArchiveReply) {
  if (events.length) { reply.events = events; events = [] }
  port.postMessage(reply)
}

mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
try { index = open() } catch (error) {
  for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
  events.push({ severity: 'warning', component: 'journal', name: 'journal.archive-index-renewed', code: 'JOURNAL_CORRUPT', message: `${file}: ${String(error)}; it is filled from etcd again` })
  index = open()
}

port.on('message', (request: ArchiveRequest) => {
  try {
    post({ n: request.n, value: (OPERATIONS[request.operation] as (request: ArchiveRequest) => unknown)(request) })
  } catch (error) { post({ n: request.n, error: String(error) }) }
  if (request.operation === 'close') process.exit(0)
})
post({ n: 0, value: (index.prepare('SELECT max(n) n FROM segment').get()?.n as number | null) ?? 0 })
