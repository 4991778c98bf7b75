export * from './port.ts'
export { SqliteJournal, type SqliteJournalOptions } from './sqlite.ts'
export type { JournalFault } from './messages.ts'
