import { DatabaseSync } from 'node:sqlite'
import type { Counters } from './counters.ts'
import { INTENT_COLUMNS, isIntact, type Row } from './rows.ts'

/** Reading a damaged file ends after this long; the newest intents come first, ms. */
const BUDGET_MS = 5_000
const CHUNK = 64

/**
 * Copies what can still be read of a damaged journal into a new one: intents whose envelope matches its checksum,
 * small values, ids of archived intents, epochs and the boot count. Never throws for the damaged file.
 */
export function rescue(damaged: string, into: DatabaseSync, counters: Counters): { rescued: number; unfinished: number; lost: number } {
  const untilMs = performance.now() + BUDGET_MS
  const result = { rescued: 0, unfinished: 0, lost: 0 }
  let from: DatabaseSync
  // Read-only, so that closing does not write the log into the damaged file.
  try { from = new DatabaseSync(damaged, { readOnly: true }) } catch { return result }

  const attempt = <T>(work: () => T): T | undefined => { try { return work() } catch { return undefined } }
  /** Rows of `table` by falling n, damaged stretches left out one row at a time. */
  const eachByN = (table: string, take: (row: Row) => void) => {
    const top = attempt(() => from.prepare(`SELECT max(n) m FROM ${table} NOT INDEXED`).get()?.m as number | null)
      ?? attempt(() => from.prepare(`SELECT m FROM (SELECT max(rowid) m FROM ${table})`).get()?.m as number | null)
    const bottom = attempt(() => from.prepare(`SELECT min(n) m FROM ${table} NOT INDEXED`).get()?.m as number | null) ?? 1
    const range = attempt(() => from.prepare(`SELECT * FROM ${table} NOT INDEXED WHERE n BETWEEN ? AND ? ORDER BY n DESC`))
    if (!top || !range) return
    for (let high = top; high >= bottom && performance.now() < untilMs; high -= CHUNK) {
      const rows = attempt(() => range.all(Math.max(bottom, high - CHUNK + 1), high))
      if (rows) { for (const row of rows) take(row); continue }
      for (let n = high; n > high - CHUNK && n >= bottom; n--) {
        const one = attempt(() => range.get(n, n))
        if (one) take(one); else result.lost += 1
      }
    }
  }
  const each = (table: string, take: (row: Row) => void) => attempt(() => { for (const row of from.prepare(`SELECT * FROM ${table}`).iterate()) attempt(() => take(row)) })

  into.exec('BEGIN IMMEDIATE')
  try {
    each('device', ({ device, epoch }) => {
      if (typeof device === 'string' && Number.isSafeInteger(epoch)) counters.epochs[device] = Math.max(counters.epochs[device] ?? 0, epoch as number)
    })
    each('meta', ({ key, value }) => into.prepare('INSERT OR REPLACE INTO meta(key, value) VALUES (?, ?)').run(key!, value!))
    each('value', ({ key, json }) => {
      JSON.parse(json as string)
      into.prepare('INSERT OR REPLACE INTO value(key, json) VALUES (?, ?)').run(key!, json!)
    })
    const insert = into.prepare(`INSERT OR IGNORE INTO intent(n, ${INTENT_COLUMNS.join(', ')}) VALUES (?${', ?'.repeat(INTENT_COLUMNS.length)})`)
    eachByN('intent', (row) => {
      const whole = attempt(() => isIntact(row) && (JSON.parse(row.envelope as string) as { id: unknown }).id === row.id && (row.final === null || JSON.parse(row.final as string)))
      if (!whole || attempt(() => insert.run(row.n!, ...INTENT_COLUMNS.map((column) => row[column] ?? (column === 'deadLetter' ? 0 : null)))) === undefined) {
        result.lost += 1
        return
      }
      result.rescued += 1
      if (row.final === null) result.unfinished += 1
    })
    const archived = into.prepare('INSERT OR IGNORE INTO archived(n, id, hash, file) VALUES (?, ?, ?, ?)')
    eachByN('archived', (row) => { attempt(() => archived.run(row.n!, row.id!, row.hash!, row.file!)) })
    into.exec('COMMIT')
  } catch (error) {
    if (into.isTransaction) into.exec('ROLLBACK')
    throw error
  } finally { attempt(() => from.close()) }
  return result
}
