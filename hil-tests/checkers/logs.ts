import { readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

/** Logs are all a judge may read. A line cut short by a kill −9 at the very end is no fact; one in the middle is a fault of the log. */
export function readFacts<T>(file: string): T[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  const facts: T[] = []
  lines.forEach((line, index) => {
    if (line === '') return
    try { facts.push(JSON.parse(line) as T) } catch (error) {
      // A killed writer leaves half a line, and its next life goes on behind it: what follows on that line is recovered.
      const restart = line.lastIndexOf('{"')
      if (restart > 0) { try { facts.push(JSON.parse(line.slice(restart)) as T); return } catch { /* Not a fact either. */ } }
      if (index < lines.length - 2) throw error
    }
  })
  return facts
}

/** What the journal holds of each intent: its state, by id. Read without the journal's own code. */
export function readJournalStates(file: string): Map<string, string> {
  const states = new Map<string, string>()
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    for (const row of database.prepare('SELECT id, state FROM intent').all() as { id: string; state: string }[]) states.set(row.id, row.state)
  } finally { database.close() }
  return states
}
