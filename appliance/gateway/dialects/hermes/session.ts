import type { Timer } from '../../../contracts/clock.ts'
import type { Identity } from '../../../contracts/intents.ts'

/** What was heard, and how well. `tookMs`: from the end of speech to the text. `isRejected`: the box does not act on it. */
export interface HeardText { text: string; confidence: number; tookMs: number; isRejected?: boolean }

/** One exchange with a person: begun by the wake word, or by a client. */
export interface Session {
  id: string
  /** Who started it; undefined: the wake word. */
  client: Identity | undefined
  customData: string | null
  intentFilter: readonly string[] | null
  sendIntentNotRecognized: boolean
  wakewordId: string | null
  /** asking: a question is out, by speech.ask. listening: what is heard next is carried out by the box. waiting: for the client to go on or to end it. saying: to be ended once said. */
  state: 'asking' | 'listening' | 'waiting' | 'saying'
  /** What was heard last in it has been told as an intent. */
  understood: boolean
  /** Of what was heard while asking. */
  heard: HeardText | undefined
  abort: AbortController
  timer: Timer | undefined
}

export const newSession = (id: string, client: Identity | undefined, more: Partial<Session> = {}): Session => ({
  id, client, customData: null, intentFilter: null, sendIntentNotRecognized: false, wakewordId: null, state: 'listening', understood: false, heard: undefined, abort: new AbortController(), timer: undefined, ...more,
})
