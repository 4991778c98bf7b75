import type { Heard } from '../../bus/index.ts'
import type { Clock } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import type { Hub } from '../../contracts/hub.ts'
import type { Topics } from '../../contracts/topics.ts'
import type { IntentService } from '../../dispatch/index.ts'
import type { Conversation } from '../../speech/conversation.ts'
import type { Understander } from '../../understand/index.ts'

/** What a dialect needs of the core. Whatever it is asked for becomes an intent, through the one door, as who asked. */
export interface DialectParts {
  hub: Hub
  clock: Clock
  topics: Topics
  service: Pick<IntentService, 'envelope' | 'run'>
  conversation: Pick<Conversation, 'hear'>
  understander: Pick<Understander, 'match'>
  bus: {
    publish(topic: string, payload: unknown, options?: { retain?: boolean; qos?: 0 | 1 }): void
    /** With `realm` also what clients of other nodes publish. */
    subscribe(filter: string, listener: (heard: Heard) => void, options?: { realm?: boolean }): () => void
  }
  /** Opens the ears without the wake word; 0 closes them. Does nothing while speech is off. */
  expectAnswer(forMs: number): void
}

/** Longer texts are nobody's sentence; bytes. */
const MAX_TEXT_BYTES = 4_000
const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The text of a message. @throws MtorError TOO_LARGE, MALFORMED */
export function textOf(payload: Buffer): string {
  if (payload.length > MAX_TEXT_BYTES) throw new MtorError('TOO_LARGE', `expected at most ${MAX_TEXT_BYTES} bytes, got ${payload.length}`)
  try { return utf8.decode(payload) } catch (error) { throw new MtorError('MALFORMED', 'expected UTF-8', { cause: error }) }
}
