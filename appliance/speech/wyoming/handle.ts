import type { Clock } from '../../contracts/clock.ts'
import { toMtorError } from '../../contracts/errors.ts'
import type { Identity } from '../../contracts/intents.ts'
import type { Conversation } from '../conversation.ts'

const WYOMING: Identity = { client: 'wyoming', role: 'operator', kind: 'voice' }
/** Home Assistant waits for its answer; what takes longer goes on without it. */
const PATIENCE_MS = 20_000

/**
 * The core's side of Wyoming's `handle`: a text is carried out as if it had been said, with the same questions before
 * anything hazardous. What the box says of it. Never rejects.
 */
export async function handleText(text: string, { conversation, clock }: { conversation: Pick<Conversation, 'hear'>; clock: Clock }): Promise<{ ok: boolean; text: string }> {
  const patience = new AbortController()
  const timer = clock.setTimeout(() => patience.abort(), PATIENCE_MS)
  let answer = { ok: false, text: '' }
  try {
    for await (const turn of conversation.hear('wyoming', text, WYOMING, { spoken: true, signal: patience.signal })) {
      if (turn.kind === 'say') answer = { ok: turn.code === undefined, text: turn.say }
      else if (turn.kind === 'receipt') answer = turn.receipt.accepted ? { ok: true, text: 'I am at it.' } : { ok: false, text: turn.receipt.say ?? 'No.' }
      else if (turn.kind === 'event' && turn.event.state !== 'accepted' && turn.event.state !== 'started' && turn.event.state !== 'progress') answer = { ok: turn.event.state === 'succeeded', text: turn.event.say ?? '' }
    }
  } catch (error) { answer = { ok: false, text: toMtorError(error).say } } finally { clock.clearTimeout(timer) }
  return answer
}
