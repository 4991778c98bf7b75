import type { SQLOutputValue } from 'node:sqlite'
import { MtorError } from '../contracts/errors.ts'
import { contentHash } from './content.ts'
import type { JournalEntry } from './port.ts'

export type Row = Record<string, SQLOutputValue>

/** The columns of `intent` in the order in which a row is copied. */
export const INTENT_COLUMNS = ['id', 'hash', 'envelope', 'client', 'boot', 'mono', 'wall', 'state', 'node', 'attempt', 'device', 'epoch', 'sequence', 'progress', 'final', 'finishedWall', 'deadLetter'] as const

const parse = <T>(text: unknown): T | undefined => text === null || text === undefined ? undefined : JSON.parse(text as string) as T

/** True when the envelope still is what was accepted. A flipped bit in a stored distance must never reach a wheel. */
export const isIntact = (row: Row): boolean =>
  typeof row.envelope === 'string' && row.hash instanceof Uint8Array && contentHash(row.envelope).equals(row.hash)

/** A row of `intent` as the port shows it. Throws JOURNAL_CORRUPT when the envelope is not what was accepted. */
export function entryOf(row: Row): JournalEntry {
  if (!isIntact(row)) throw new MtorError('JOURNAL_CORRUPT', `The stored envelope of ${String(row.id)} does not match its checksum`)
  const progress = parse<Record<string, unknown>>(row.progress)
  const final = parse<NonNullable<JournalEntry['final']>>(row.final)
  const acceptedAt = { boot: row.boot as number, mono: row.mono as number, ...(row.wall === null ? {} : { wall: row.wall as number }) }
  return {
    envelope: JSON.parse(row.envelope as string) as JournalEntry['envelope'],
    state: row.state as JournalEntry['state'],
    acceptedAt,
    client: row.client as string,
    ...(row.node === null ? {} : {
      claim: {
        node: row.node as string,
        attempt: row.attempt as number,
        ...(row.device === null ? {} : { ticket: { device: row.device as string, epoch: row.epoch as number, sequence: row.sequence as number } }),
      },
    }),
    ...(progress ? { progress } : {}),
    ...(final ? { final } : {}),
    deadLetter: row.deadLetter === 1,
    ...(row.finishedWall === null ? {} : { finishedWall: row.finishedWall as number }),
  }
}
