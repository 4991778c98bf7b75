import { MAX_TEXT_LENGTH } from './words.ts'

/**
 * Finding a stop in a written text. The sentences that stop, and the few that begin with a stop word and do not, stand
 * in intents/en/stop.yaml; this cuts a text into the pieces that are compared with them. A stop too many costs little,
 * a missed one much: markup, spelling in single letters, emoji and whatever is written around it hide no stop.
 */

/** Words of which one must be in a piece of a sentence for it to be looked at by itself. */
const WORDS = 'st+o+p+|stpo|sotp|tsop|halt|holt|freeze|who+a+h?|woah|abort|brakes?|cease|emergency'
const STOP_WORD = new RegExp(`(?<![\\p{L}'])(?:${WORDS})(?![\\p{L}'])`, 'iu')
/** The same for proposals: none is made where one of these stands. */
export const mentionsStop = (text: string): boolean => STOP_WORD.test(plainOf(text))

/** Single letters with something between: "S T O P", "s.t.o.p", "H-A-L-T". */
const SPELLED = /(?<![\p{L}\p{N}'’])\p{L}(?:[^\p{L}\p{N}\n]{1,3}\p{L}){3,40}(?![\p{L}\p{N}'’])/gu
const SPELLED_STOP = /^(st+o+p+|halt|freeze|whoa|abort|brake)(.*)$/i
/** The word with a space that slipped into it. */
const BROKEN = /(?<![\p{L}'’])s[ \t]?t[ \t]?o[ \t]?p(?![\p{L}'’])/giu
/** Signs that say it without a word. */
const SIGNS = /[\u{1F6D1}\u23F9]/gu
const TAG = /<\/?\p{L}[^<>\n]{0,100}>/gu
/** Cyrillic letters that look like those of stop words. */
const LOOKALIKES: Readonly<Record<string, string>> = { ѕ: 's', т: 't', о: 'o', р: 'p', с: 'c', а: 'a', е: 'e', х: 'x', Ѕ: 's', Т: 't', О: 'o', Р: 'p', С: 'c', А: 'a', Е: 'e', Х: 'x' }
/** What is neither word nor punctuation. */
const MARKUP = /[^\p{L}\p{N}\s.!?;:,()/'’。–—-]/gu

/**
 * A text without markup, marks on letters, letters of other widths, and signs, so that only words and punctuation are
 * left.
 */
function plainOf(text: string): string {
  return text.slice(0, MAX_TEXT_LENGTH)
    .normalize('NFKD')
    .replace(/[\p{M}\p{Cf}]/gu, '')
    .replace(/[ѕтоорсаехЅТОРСАЕХ]/g, (letter) => LOOKALIKES[letter]!)
    .slice(0, MAX_TEXT_LENGTH)
    .replace(SIGNS, ' stop ')
    .replace(TAG, ' ')
    .replace(SPELLED, (spelled) => {
      const found = SPELLED_STOP.exec(spelled.replace(/[^\p{L}]/gu, ''))
      return found ? ` ${found[1]} ${found[2]} ` : spelled
    })
    .replace(BROKEN, 'stop')
    .replace(MARKUP, ' ')
}

/** Where a sentence ends, and where a part of one may. */
const SENTENCE_END = /[.!?;\n\r。]+/u
const CLAUSE_END = new RegExp([
  /[,:()/–—]|\s-+\s?/,
  /(?<![\p{L}'])(?:and then|and|then|but|so)(?![\p{L}'])/u,
  // "There is a cat please stop".
  /\s(?=(?:please|just|now|you must|you have to)\s+(?:stop|halt|freeze|abort|brake)(?![\p{L}']))/u,
].map(({ source }) => source).join('|'), 'iu')
/** So many are looked at of those without a stop word, and so many repetitions of it. */
const MOST_SENTENCES = 12
/** What is said after one of these in the same sentence is reported, or wished for some day. */
const REPORTS = new Set([
  'means', 'if', 'when', 'whenever', 'until', 'unless', 'say', 'says', 'said', 'saying', 'tell', 'tells', 'told', 'asked', 'asks',
  'shouted', 'shouts', 'yelled', 'yells', 'cried', 'cries', 'heard', 'wrote', 'writes', 'reads', 'called', 'word', 'words', 'sign', 'sentence',
])
/** A stop word after one of these is forbidden, or a thing. */
const NO_STOP_AFTER = /(?:(?:n't|n’t|\bnot|\bnever)(?:\s+(?:ever|you|just|now))?|\b(?:bus|tram|train|truck|pit|rest|full|non|f|next|last|first|the|a|an|this|that|is|was))\s+$/iu
/** "To stop" is asked for after one of these, and only spoken about after others. */
const ASKED_TO = /\b(?:must|need|needs|have|has|want|wants|got|ought|like|telling|ordering|asking|begging|tell)\b[^.]{0,30}\bto\s+$/iu
/** A sentence that begins so asks about the world. */
const ASKS = /^\W*(?:did|do(?!\s+not\b)|does|has|have|had|is|are|was|were|will|would|shall|should|when|where|why|how|who|whose|which)\b/iu
/** "… stop", "… stop the rover", "… stop now": the word, and what may follow it at the end of a sentence. */
const ENDING = new RegExp(`^(.*?)(?<![\\p{L}'])((?:${WORDS})(?:\\s+(?:it|that|this|now|please|immediately|everything|here|there|moving|driving|turning|all|both|the|my|your|rover|robot|motors?|wheels|drives?|machine|vehicle|engines?))*)[^\\p{L}]*$`, 'isu')

/**
 * A sentence that ends with the word, whatever stands before it: "he's in the way stop". What is forbidden, reported or
 * asked about is none.
 */
function endingStop(sentence: string): string | undefined {
  const [, before = '', stop] = ENDING.exec(sentence) ?? []
  if (stop === undefined || NO_STOP_AFTER.test(before) || isReport(before) || ASKS.test(before)) return undefined
  if (/\bto\s+$/iu.test(before) && (!ASKED_TO.test(before) || /\bno\b/iu.test(before))) return undefined
  return stop
}

/** "He said: stop", but not "if you hear me, stop": the part before a part of a sentence announces what somebody says. */
const announces = (clause: string): boolean => REPORTS.has(clause.toLowerCase().split(/[^\p{L}]+/u).findLast((word) => word !== '') ?? '')

const isReport = (text: string): boolean => text.toLowerCase().split(/[^\p{L}]+/u).some((word) => REPORTS.has(word))

/** "Stop talking you will hit it stop": a sentence that begins with the word and has it again. */
function* repeatedStops(sentence: string): Generator<string> {
  const every = new RegExp(STOP_WORD, 'giu')
  const [first, ...more] = sentence.matchAll(every)
  if (!first || /\p{L}/u.test(sentence.slice(0, first.index))) return
  for (const { index } of more.slice(0, MOST_SENTENCES)) {
    const before = sentence.slice(first.index + first[0].length, index)
    if (!isReport(before) && !NO_STOP_AFTER.test(before)) yield sentence.slice(index)
  }
}

/**
 * The pieces of a text that may be a stop by themselves, in their order: its sentences, and parts of those with a stop
 * word.
 */
export function* stopCandidates(text: string): Generator<string> {
  const plain = plainOf(text)
  let sentences = 0
  for (const sentence of plain.split(SENTENCE_END)) {
    if (!/\p{L}/u.test(sentence)) continue
    const mentions = STOP_WORD.test(sentence)
    // A long text has many sentences: after the first ones only those are looked at that have the word.
    if (mentions || ++sentences <= MOST_SENTENCES) yield sentence
    if (!mentions) continue
    yield* repeatedStops(sentence)
    const ending = endingStop(sentence)
    if (ending !== undefined) yield ending
    let isAnnounced = false
    for (const clause of sentence.split(CLAUSE_END)) {
      if (!isAnnounced && clause !== sentence && STOP_WORD.test(clause)) yield clause
      if (clause.trim() !== '') isAnnounced = announces(clause)
    }
  }
}
