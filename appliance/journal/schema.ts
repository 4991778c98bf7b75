import type { DatabaseSync } from 'node:sqlite'
import { MtorError } from '../contracts/errors.ts'

/**
 * Numbered migrations: number N brings a file from version N-1 to N and is never changed afterwards.
 * The version a file has is in its `user_version`.
 */
export const MIGRATIONS: readonly string[] = [
  // 1: intents with their one final state, devices with their fencing counters, small values of other parts.
  `CREATE TABLE intent (
     n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, hash BLOB NOT NULL, envelope TEXT NOT NULL, client TEXT NOT NULL,
     boot INTEGER NOT NULL, mono REAL NOT NULL, wall REAL,
     state TEXT NOT NULL, node TEXT, attempt INTEGER NOT NULL DEFAULT 0, device TEXT, epoch INTEGER, sequence INTEGER,
     progress TEXT, final TEXT, finishedWall REAL);
   CREATE INDEX intent_open ON intent(n) WHERE final IS NULL;
   CREATE TABLE device (device TEXT PRIMARY KEY, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL) WITHOUT ROWID;
   CREATE TABLE value (key TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
   CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;`,
  // 2: failed intents that an operator may resubmit; finished ones can leave for the archive, which keeps their ids.
  `ALTER TABLE intent ADD COLUMN deadLetter INTEGER NOT NULL DEFAULT 0;
   CREATE INDEX intent_dead ON intent(n) WHERE deadLetter = 1;
   CREATE INDEX intent_done ON intent(n) WHERE final IS NOT NULL AND deadLetter = 0;
   CREATE TABLE archived (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, hash BLOB NOT NULL, file INTEGER NOT NULL);`,
]

export const SCHEMA_VERSION = MIGRATIONS.length

export const versionOf = (db: DatabaseSync): number => db.prepare('PRAGMA user_version').get()!.user_version as number

/** The error for a file that a later release wrote: it is left as it is. */
export const newerVersion = (file: string, version: number) => new MtorError('JOURNAL_UNAVAILABLE',
  `${file} has schema version ${version}, this release knows versions up to ${SCHEMA_VERSION}; the file was left as it is`,
  { hint: 'Install the newer release again, or move the file away.', data: { version, known: SCHEMA_VERSION } })

/** Brings `db` to the newest version, each step in its own transaction. */
export function migrate(db: DatabaseSync, to: number = SCHEMA_VERSION) {
  for (let version = versionOf(db) + 1; version <= to; version++) {
    db.exec('BEGIN IMMEDIATE')
    try {
      db.exec(MIGRATIONS[version - 1]!)
      db.exec(`PRAGMA user_version = ${version}`)
      db.exec('COMMIT')
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK')
      throw error
    }
  }
}
