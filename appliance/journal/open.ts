import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { MtorError } from '../contracts/errors.ts'
import type { SystemEventInput } from '../contracts/events.ts'
import { readCounters, syncFolder, writeCounters, type Counters } from './counters.ts'
import { rescue } from './rescue.ts'
import { isIntact } from './rows.ts'
import { migrate, newerVersion, SCHEMA_VERSION, versionOf } from './schema.ts'
import { isCorrupt } from './sqlite-errors.ts'

/** Up to this size the whole file is checked at start (measured: 1.6 GB/s from memory); a larger one table by table. */
const CHECK_WHOLE_BYTES = 128 * 1024 * 1024
/** No further table is checked after this long; the most important ones come first, ms. */
const CHECK_BUDGET_MS = 2_000
const SUFFIXES = ['', '-wal', '-shm']
const CHECKED_TABLES = ['device', 'meta', 'value', 'intent', 'archived']

export interface OpenOptions { file: string; wallMs?: number; onEvent(event: SystemEventInput): void }

/**
 * Opens the journal's file, new or old. A damaged one is set aside with an event, and a new one starts with what
 * could still be read. Throws JOURNAL_UNAVAILABLE for a file of a newer release, and what SQLite throws when the
 * disk cannot be used.
 */
export function openJournal({ file, wallMs, onEvent }: OpenOptions): { db: DatabaseSync; counters: Counters } {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const corrupt = (message: string, aside: string | undefined, data = {}) => onEvent({ severity: 'critical', component: 'journal', name: 'journal.corrupt', code: 'JOURNAL_CORRUPT',
    message: `${message}; ${aside ? `the file was set aside as ${basename(aside)}` : 'it had been set aside'}`, data: { ...(aside ? { file: basename(aside) } : {}), ...data } })
  const stored = readCounters(file)
  const counters: Counters = structuredClone(stored ?? { schema: SCHEMA_VERSION, boot: 0, bootId: '', epochs: {} })
  if (existsSync(`${file}.rescued`)) corrupt('The rescue of a damaged journal had been interrupted and was finished', finishRescue(file, wallMs))
  const fresh = !existsSync(file) || statSync(file).size === 0
  if (fresh && stored) onEvent({ severity: 'error', component: 'journal', name: 'journal.missing', code: 'JOURNAL_CORRUPT', message: `${basename(file)} is gone or empty although it has been used; a new one is started` })
  let db: DatabaseSync
  try {
    db = prepare(file, fresh, stored)
  } catch (error) {
    if (!isCorrupt(error)) throw error
    const saved = rescueInto(`${file}.rescue`, file, counters)
    if (!stored && wallMs !== undefined) raiseEpochs(counters, Math.floor(wallMs / 1000))
    writeCounters(file, counters)
    renameSync(`${file}.rescue`, `${file}.rescued`)
    corrupt(error instanceof Error ? error.message : String(error), finishRescue(file, wallMs), saved)
    db = prepare(file, false, undefined)
  }
  try {
    reconcile(db, counters)
    if (JSON.stringify(counters) !== JSON.stringify(stored)) writeCounters(file, counters)
    return { db, counters }
  } catch (error) {
    db.close()
    throw error
  }
}

/** Opens, checks and migrates; closes again when anything is wrong. */
function prepare(file: string, fresh: boolean, stored: Counters | undefined): DatabaseSync {
  const db = new DatabaseSync(file, { timeout: 3_000 })
  try {
    // EXCLUSIVE: a second daemon on the same file is refused, and no shared memory file is needed.
    db.exec('PRAGMA locking_mode = EXCLUSIVE')
    const version = versionOf(db)
    if (version > SCHEMA_VERSION) {
      // The second copy of the version tells a newer release's file from a damaged header.
      if (stored && stored.schema <= SCHEMA_VERSION) throw new MtorError('JOURNAL_CORRUPT', `The header of ${basename(file)} claims schema version ${version}, it was ${stored.schema}`)
      throw newerVersion(file, version)
    }
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0')
    if (fresh) {
      chmodSync(file, 0o600)
      migrate(db)
      syncFolder(dirname(file))
    } else {
      check(db, file)
      try { migrate(db) } catch (error) {
        // SQL that does not fit the tables: the version in the header is not the version of the tables.
        if ((error as { errcode?: number }).errcode === 1) throw new MtorError('JOURNAL_CORRUPT', `${basename(file)} does not have the tables of schema version ${version}`, { cause: error })
        throw error
      }
      checkUnfinished(db)
    }
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** `PRAGMA quick_check`, with its time bounded. @see https://sqlite.org/pragma.html#pragma_quick_check */
function check(db: DatabaseSync, file: string) {
  const untilMs = performance.now() + CHECK_BUDGET_MS
  const present = new Set(db.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table'`).all().map((row) => row.name as string))
  const parts = statSync(file).size <= CHECK_WHOLE_BYTES ? [''] : CHECKED_TABLES.filter((table) => present.has(table)).map((table) => `('${table}')`)
  for (const part of parts) {
    if (performance.now() > untilMs) return
    const found = db.prepare(`PRAGMA quick_check${part}`).get()?.quick_check
    if (found !== 'ok') throw new MtorError('JOURNAL_CORRUPT', `${basename(file)} is damaged: ${String(found)}`)
  }
}

/** What is still to be carried out must be exactly what was accepted; quick_check does not look into values. */
function checkUnfinished(db: DatabaseSync) {
  for (const row of db.prepare('SELECT id, hash, envelope FROM intent WHERE final IS NULL').iterate()) {
    if (!isIntact(row)) throw new MtorError('JOURNAL_CORRUPT', `The stored envelope of ${String(row.id)} does not match its checksum`)
  }
}

/**
 * Of the database and its side copy the larger number is believed. Where the side copy is ahead, the sequence numbers
 * of that epoch are not known (the database was lost), so it may not be used any more: claims with it are refused as
 * stale until nextEpoch.
 */
function reconcile(db: DatabaseSync, counters: Counters) {
  const meta = new Map(db.prepare('SELECT key, value FROM meta').all().map((row) => [row.key as string, row.value as string]))
  const boot = Number(meta.get('boot') ?? 0)
  if (boot > counters.boot) Object.assign(counters, { boot, bootId: meta.get('bootId') ?? '' })
  const devices = new Map(db.prepare('SELECT device, epoch FROM device').all().map((row) => [row.device as string, row.epoch as number]))
  for (const [device, epoch] of devices) counters.epochs[device] = Math.max(epoch, counters.epochs[device] ?? 0)
  for (const [device, epoch] of Object.entries(counters.epochs)) {
    if (devices.get(device) === epoch) continue
    counters.epochs[device] = epoch + 1
    db.prepare('INSERT OR REPLACE INTO device(device, epoch, sequence) VALUES (?, ?, 0)').run(device, epoch + 1)
  }
  counters.schema = SCHEMA_VERSION
}

/** With both copies damaged, Unix seconds are larger than any number that was counted up. */
function raiseEpochs(counters: Counters, floor: number) {
  counters.floor = floor
  for (const device of Object.keys(counters.epochs)) counters.epochs[device] = Math.max(counters.epochs[device]!, floor)
}

/**
 * Builds the new journal beside the damaged one. Only when it is complete it gets the name `.rescued`, and only then
 * the damaged one is renamed, so that a crash at any moment of this is made good by the next start.
 */
function rescueInto(target: string, damaged: string, counters: Counters) {
  for (const suffix of SUFFIXES) rmSync(target + suffix, { force: true })
  const db = prepare(target, true, undefined)
  try { return rescue(damaged, db, counters) } finally { db.close() }
}

/** Sets the damaged journal aside and puts the rescued one, if it is complete, into its place. Returns the damaged one's new name. */
function finishRescue(file: string, wallMs: number | undefined): string | undefined {
  if (!existsSync(`${file}.rescued`)) return undefined
  const aside = existsSync(file) ? setAside(file, wallMs) : undefined
  renameSync(`${file}.rescued`, file)
  syncFolder(dirname(file))
  return aside
}

/** Renames the file with its write-ahead log, if there is something in it; returns the new name. Shared memory is made anew by whoever opens it. */
function setAside(file: string, wallMs: number | undefined): string {
  const time = wallMs === undefined ? 'unknown-time' : new Date(wallMs).toISOString().replace(/[-:]|\.\d+/g, '')
  let aside = `${file}.corrupt-${time}`
  for (let i = 2; existsSync(aside); i++) aside = `${file}.corrupt-${time}-${i}`
  if (statSync(`${file}-wal`, { throwIfNoEntry: false })?.size) renameSync(`${file}-wal`, `${aside}-wal`)
  renameSync(file, aside)
  for (const suffix of ['-wal', '-shm']) rmSync(file + suffix, { force: true })
  syncFolder(dirname(file))
  return aside
}
