import type { ExpectedAnswer } from './answer-ears.ts'
import { GARBAGE, type Word } from './engine.ts'
import { WAKE_WORD } from './grammar.ts'

/** From the first sound of an utterance to the silence that ends it. Positions are sample numbers of the stream. */
export interface Utterance {
  from: number
  onset: number
  speechEnd: number
  /** It may be the answer to a question. */
  answer?: ExpectedAnswer | undefined
  /** It may take back the command before it. */
  mayObject?: boolean
  /** Began while the box itself was speaking: only "stop" counts. */
  echo: boolean
  /** 'open': may still begin with the wake word. 'command': is for the box. 'other': is not. */
  is: 'open' | 'command' | 'other'
  spotFrom: number
  wakeMs?: number
  /** Another node answers it. */
  isForgotten?: true
  wakeStart?: number
  /** Where the wake word ended, if it is in this utterance. */
  wakeEnd?: number
  wakeFrames: number
  stopFrames: number
  stopsSettled: number
  pauseLooked: boolean
  lead?: string
  /** What the open vocabulary made of it, where it fell silent. */
  openWords?: Word[] | undefined
  /** Silence at which the text was last found incomplete. */
  triedSilenceMs: number
}

/** Nothing has been looked for in it yet. */
export const utterance = (begins: Pick<Utterance, 'from' | 'onset' | 'speechEnd' | 'answer' | 'echo' | 'is'>): Utterance => ({
  ...begins, spotFrom: begins.from, wakeFrames: 0, stopFrames: 0, stopsSettled: 0, pauseLooked: false, triedSilenceMs: 0,
})

export const opensWithWakeWord = (words: readonly string[]): boolean => words[0] === WAKE_WORD || (words[0] === GARBAGE && words[1] === WAKE_WORD)
