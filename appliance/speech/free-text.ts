import type { Heard } from './answer-ears.ts'
import { GARBAGE, textOf, type Transcript, type Word } from './engine.ts'
import { leadOf, WAKE_WORD } from './grammar.ts'
import { afterWakeWord } from './judge.ts'

/** A time in an utterance, s since its first sound, as a time of the stream, ms. */
type MsAt = (s: number) => number

const meanOf = (words: readonly Word[]) => words.reduce((sum, { confidence }) => sum + confidence, 0) / words.length

/** What follows the lead, in the open vocabulary: `open` are its words, `readings` those of the grammar. */
export function textAfterLead(lead: string, readings: readonly Word[][], open: readonly Word[], msAt: MsAt): Heard | undefined {
  const real = readings.map((said) => said.filter(({ word }) => word !== GARBAGE)).find((said) => leadOf(textOf(said), [lead]) !== undefined)
  if (!real) return undefined
  const leadEndS = real[lead.split(' ').length - 1]!.endS
  const free = open.filter(({ startS, endS }) => (startS + endS) / 2 > leadEndS)
  if (free.length === 0) return undefined
  return { text: `${lead} ${textOf(free)}`, how: 'free', confidence: meanOf(free), free: { lead, fromMs: msAt(leadEndS) } }
}

/** The answer to a question for any text: `open`, where that has any. With the wake word it is the command that was heard. */
export function freeAnswer(heard: Heard, { words }: Transcript, open: readonly Word[], fromMs: number): Heard {
  const real = open.filter(({ word }) => word !== GARBAGE)
  const isCommand = heard.how === 'command'
  const isAddressed = words.find(({ word }) => word !== GARBAGE)?.word === WAKE_WORD || real[0]?.word === WAKE_WORD
  const text = textOf(afterWakeWord(real))
  if ((isCommand && isAddressed) || text === '') return heard
  return { text, how: 'free', confidence: meanOf(real), free: { lead: '', fromMs }, answer: isCommand ? { inGrammar: heard.text } : {} }
}
