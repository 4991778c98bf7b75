import { plural, withArticle } from '../contracts/objects.ts'
import { list, sentence } from './words.ts'

/** One object in a picture, as the detector gives it. */
export interface Seen { label: string; /** 0 to 1. */ score: number; box: { x: number; y: number; width: number; height: number } }

const PLACES = ['on the left', 'in the middle', 'on the right'] as const
type Place = (typeof PLACES)[number]
const COUNTS = ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten', 'eleven', 'twelve']
/** More kinds in one sentence are not followed by ear. */
const MAX_KINDS = 5
/** Longer texts are read on a screen, characters. */
const MAX_SPOKEN_TEXT = 240

/** Which third of the picture the middle of the box is in. */
function placeOf({ box }: Seen, widthPx: number): Place {
  const middle = (box.x + box.width / 2) / widthPx
  return PLACES[middle < 1 / 3 ? 0 : middle <= 2 / 3 ? 1 : 2]
}

const counted = (count: number, label: string): string => count === 1 ? withArticle(label) : `${COUNTS[count] ?? count} ${plural(label)}`
const areaOf = ({ box }: Seen) => box.width * box.height

/** What is alike: "two persons on the left and one in the middle". The places with most of them first. */
function placed(seen: readonly Seen[], widthPx: number): string {
  const label = seen[0]!.label
  const byPlace = PLACES.map((place) => ({ place, count: seen.filter((each) => placeOf(each, widthPx) === place).length })).filter(({ count }) => count > 0).sort((a, b) => b.count - a.count)
  const [first, ...others] = byPlace as [(typeof byPlace)[number], ...typeof byPlace]
  if (others.length === 0) return `${counted(first.count, label)} ${first.place}`
  return `${counted(seen.length, label)}, ${list(byPlace.map(({ place, count }) => `${COUNTS[count] ?? count} ${place}`))}`
}

/** "I see two persons on the left and a cup in the middle." The largest kind first, at most five kinds. */
export function spokenSight(detections: readonly Seen[], widthPx: number): string {
  if (detections.length === 0) return 'I see nothing that I know.'
  const kinds = [...Map.groupBy(detections, ({ label }) => label).values()].sort((a, b) => Math.max(...b.map(areaOf)) - Math.max(...a.map(areaOf)))
  const parts = kinds.slice(0, MAX_KINDS).map((kind) => placed(kind, widthPx))
  const more = kinds.length > MAX_KINDS ? ['other things'] : []
  // Where a part has commas of its own, a further comma would not be heard as the border between two.
  return parts.some((part) => part.includes(',')) ? `I see ${[...parts, ...more].join('; ')}.` : `I see ${list([...parts, ...more])}.`
}

const sureness = (score: number): string => score >= 0.75 ? 'quite sure' : score >= 0.5 ? 'fairly sure' : 'but I am not sure'

/** "Yes: a cup on the right, fairly sure." The surest counts. */
export function spokenFind(label: string, found: readonly Seen[], widthPx: number): string {
  if (found.length === 0) return `I see no ${label}.`
  return `Yes: ${placed(found, widthPx)}, ${sureness(Math.max(...found.map(({ score }) => score)))}.`
}

/** What was read, as one sentence. Line ends become pauses; a long text is cut between words, and said to be. */
export function spokenText(text: string): string {
  const lines = text.split('\n').map((line) => line.replaceAll(/\s+/g, ' ').trim()).filter((line) => line !== '')
  if (lines.length === 0) return 'I see no text.'
  const whole = lines.map((line, index) => index < lines.length - 1 && /[\p{L}\p{N}]$/u.test(line) ? `${line},` : line).join(' ')
  const cut = whole.length <= MAX_SPOKEN_TEXT ? whole : whole.slice(0, MAX_SPOKEN_TEXT + 1).replace(/\s+\S*$/, '').replace(/[,;:.\s]+$/, '')
  const end = /[.!?]$/.test(cut) ? '' : '.'
  return `It says: ${sentence(cut)}${end}${cut === whole ? '' : ' And so on.'}`
}
