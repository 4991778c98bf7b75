import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'

/**
 * A second, tiny durable copy of what must keep growing even when the database is lost: fencing epochs and the boot
 * count. It is written before the database commits, and the larger of both is believed.
 */
export interface Counters {
  /** Schema version of the database it belongs to: tells a newer file from one whose header was damaged. */
  schema: number
  boot: number
  bootId: string
  epochs: Record<string, number>
  /** Epochs of devices that are not listed start above this. Set when these counters themselves were lost. */
  floor?: number
}

export const countersFile = (journalFile: string) => `${journalFile}.counters`

/** The counters of a journal; undefined when the file is missing or its checksum does not fit. */
export function readCounters(journalFile: string): Counters | undefined {
  try {
    const text = readFileSync(countersFile(journalFile), 'utf8')
    const end = text.indexOf('\n')
    const body = text.slice(0, end)
    if (end < 0 || text.slice(end + 1).trim() !== crc32(body).toString(16)) return undefined
    return JSON.parse(body) as Counters
  } catch { return undefined }
}

/** Replaces the counters atomically: new file, fsync, rename, fsync of the folder. @see rename(2) */
export function writeCounters(journalFile: string, counters: Counters) {
  const file = countersFile(journalFile)
  const body = JSON.stringify(counters)
  const fd = openSync(`${file}.new`, 'w', 0o600)
  try {
    writeSync(fd, `${body}\n${crc32(body).toString(16)}\n`)
    fsyncSync(fd)
  } finally { closeSync(fd) }
  renameSync(`${file}.new`, file)
  syncFolder(dirname(file))
}

/** Makes renames and new files of a folder durable. */
export function syncFolder(folder: string) {
  const fd = openSync(folder, 'r')
  try { fsyncSync(fd) } finally { closeSync(fd) }
}
