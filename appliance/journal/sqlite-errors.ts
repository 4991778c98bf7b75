import { MtorError } from '../contracts/errors.ts'

/** @see https://sqlite.org/rescode.html */
const SQLITE_CORRUPT = 11
const SQLITE_NOTADB = 26
/** TOOBIG, CONSTRAINT, MISMATCH, RANGE: what one request brought does not fit the tables; the disk is well. */
const OF_THE_REQUEST = [18, 19, 20, 25]

const primaryCode = (error: unknown): number | undefined => {
  const code = (error as { errcode?: unknown } | null)?.errcode
  return typeof code === 'number' ? code & 0xff : undefined
}

/** True when the file itself is damaged, and not just out of reach. */
export const isCorrupt = (error: unknown): boolean =>
  primaryCode(error) === SQLITE_CORRUPT || primaryCode(error) === SQLITE_NOTADB || (error instanceof MtorError && error.code === 'JOURNAL_CORRUPT')

/** True for an error of SQLite or of the file system: the whole group failed, not one request. */
export function isStorageError(error: unknown): boolean {
  const code = primaryCode(error)
  return code === undefined ? typeof (error as NodeJS.ErrnoException | null)?.errno === 'number' : !OF_THE_REQUEST.includes(code)
}

/** What callers see when the disk did not take it. */
export const unavailable = (error: unknown): MtorError => error instanceof MtorError && error.code === 'JOURNAL_UNAVAILABLE' ? error
  : new MtorError('JOURNAL_UNAVAILABLE', `The journal could not reach stable storage: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
