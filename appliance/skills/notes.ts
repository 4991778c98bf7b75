import type { Instant } from '../contracts/envelope.ts'
import { MtorError } from '../contracts/errors.ts'
import type { Note, NotesFile } from './notes-file.ts'
import type { Skill } from './port.ts'
import { dayOf, duration, sentence, timeOfDay } from './words.ts'

const DEFAULT_COUNT = 3
const DAY_MS = 24 * 3600_000

/** When a note was written, as far as the clocks of then and now tell: how long ago, or the day. */
function when(note: Instant, now: Instant): string {
  const sinceMs = note.boot === now.boot ? now.mono - note.mono : note.wall !== undefined && now.wall !== undefined ? now.wall - note.wall : undefined
  if (sinceMs !== undefined && sinceMs >= 0 && sinceMs < DAY_MS) return sinceMs < 1000 ? 'just now' : `${duration(sinceMs / 1000, 1)} ago`
  return note.wall === undefined ? 'at an unknown time' : `on ${dayOf(note.wall)} at ${timeOfDay(note.wall)}`
}

/** Writes spoken notes into a file that survives, and reads the last ones out. */
export function makeNotesSkill({ file, now }: { file: Pick<NotesFile, 'append' | 'last'>; now(): Instant }): Skill {
  const told = (action: Promise<unknown>, say: string) => action.catch((error: Error) => { throw new MtorError('JOURNAL_UNAVAILABLE', `notes: ${error.message}`, { cause: error, say }) })
  return {
    name: 'notes',
    types: ['log.record', 'log.play'],
    async run(context) {
      if (context.intent.type === 'log.record') {
        const { id, source } = context.intent
        const text = String(context.slots.text)
        const note: Note = { id, at: now(), ...(source.operator === undefined ? {} : { by: source.operator }), text }
        await told(file.append(note), 'I could not write that note.')
        return { say: 'Noted.', data: { ...note } }
      }
      const { count = DEFAULT_COUNT } = context.slots as { count?: number }
      const notes = await told(file.last(count), 'I could not read my notes.') as Note[]
      if (notes.length === 0) return { say: 'There are no notes.', data: { notes } }
      const present = now()
      return { say: notes.map((note) => `${sentence(when(note.at, present))}: ${note.text.replace(/[.!?\s]*$/, '')}.`).join(' '), data: { notes } }
    },
  }
}
