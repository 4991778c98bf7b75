import type { Box, Detection, TaskName } from './port.ts'

/** Boxes are the same where they overlap this much (intersection over union). */
export const MIN_IOU = 0.5
export const MAX_SCORE_DIFFERENCE = 0.1
/** Edits per character of the longer text, after case and white space are put aside. */
export const MAX_EDIT_RATE = 0.1
/** Of numbers: the larger of these, absolute and relative. GPUs multiply with 10 to 11 bits of fraction (TF32). */
const ABSOLUTE = 1e-3
const RELATIVE = 1e-2
/** Of figures of a detector's raw outputs, which are small where nothing is seen. */
const SUMMARY_RELATIVE = 2e-2
const SUMMARY_ABSOLUTE = 1e-5

/** What of the input the comparison needs to know. */
export interface Asked { minScore?: unknown }

/**
 * Whether two outputs of a task say the same, by the task's own measure; used for known answers and for votes.
 * Undefined where they do, else what differs, in words. What comes out of a file or out of a broken model may have any shape.
 */
export function difference(task: TaskName, expected: unknown, got: unknown, asked: Asked = {}): string | undefined {
  if (!isRecord(expected) || !isRecord(got)) return `an object was expected, got ${typeof got}`
  switch (task) {
    case 'detect': return detectDifference(expected, got, asked) ?? summaryDifference(expected.summary, got.summary)
    case 'read': case 'transcribe': return textDifference(expected.text, got.text)
    case 'speak': return numberDifference('audioS', expected.audioS, got.audioS, 0.05) ?? numberDifference('loudnessDb', expected.loudnessDb, got.loudnessDb, 0.5)
    case 'tensor': return tensorsDifference(expected.tensors, got.tensors)
    case 'normality': return numberDifference('error', expected.error, got.error) ?? worstDifference(expected.worst, got.worst)
    case 'keyword': return numberDifference('score', expected.score, got.score, 0.01)
  }
}

export const isEqual = (task: TaskName, a: unknown, b: unknown, asked: Asked = {}): boolean => difference(task, a, b, asked) === undefined

/** Intersection over union of two boxes, 0 to 1. */
export function iou(a: Box, b: Box): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x)
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y)
  if (!(width > 0 && height > 0)) return 0
  return width * height / (a.width * a.height + b.width * b.height - width * height)
}

/**
 * Every detection must find its own partner; the most certain choose first. One that is hardly more certain than was asked for may be
 * missing on the other side: there the same box may have stayed just below.
 */
function detectDifference(expected: Record<string, unknown>, got: Record<string, unknown>, { minScore }: Asked): string | undefined {
  const a = expected.detections; const b = got.detections
  if (!isDetections(a) || !isDetections(b)) return 'a list of detections was expected'
  const mayBeMissing = ({ score }: Detection) => typeof minScore === 'number' && score <= minScore + MAX_SCORE_DIFFERENCE
  const text = ({ label, score, box }: Detection) => `${label} of score ${score.toFixed(2)} at ${Math.round(box.x)},${Math.round(box.y)}`
  const left = [...b]
  for (const wanted of [...a].sort((x, y) => y.score - x.score)) {
    const fits = left.map((d, at) => ({ at, iou: iou(wanted.box, d.box), d })).filter(({ d, iou: overlap }) => d.label === wanted.label && overlap >= MIN_IOU && Math.abs(d.score - wanted.score) <= MAX_SCORE_DIFFERENCE)
    const best = fits.sort((x, y) => y.iou - x.iou)[0]
    if (best) left.splice(best.at, 1)
    else if (!mayBeMissing(wanted)) return `a ${text(wanted)} was expected and is not there`
  }
  const more = left.find((d) => !mayBeMissing(d))
  return more && `a ${text(more)} is there and was not expected`
}

/** Figures of the raw outputs of a test pattern: means, which TF32 moves far less than single values. */
function summaryDifference(expected: unknown, got: unknown): string | undefined {
  if (expected === undefined) return undefined
  if (!isNumbers(expected) || !isNumbers(got) || expected.length !== got.length) return 'figures of the raw outputs were expected'
  const at = expected.findIndex((value, index) => !(Math.abs(value - got[index]!) <= SUMMARY_RELATIVE * Math.abs(value) + SUMMARY_ABSOLUTE))
  return at < 0 ? undefined : `figure ${at} of the raw outputs: ${expected[at]} was expected, got ${got[at]}`
}

function textDifference(expected: unknown, got: unknown): string | undefined {
  if (typeof expected !== 'string' || typeof got !== 'string') return 'a text was expected'
  const plain = (text: string) => text.normalize('NFC').toLowerCase().replace(/\s+/g, ' ').trim()
  const a = plain(expected); const b = plain(got)
  const most = Math.floor(Math.max(a.length, b.length) * MAX_EDIT_RATE)
  return editDistance(a, b, most) <= most ? undefined : `${JSON.stringify(expected.slice(0, 60))} was expected, got ${JSON.stringify(got.slice(0, 60))}`
}

/**
 * Levenshtein's distance where it is at most `most`, else `most` + 1. Only a band of that width about the diagonal is
 * worked out, so that long texts cost little. @see Ukkonen, Algorithms for approximate string matching, 1985
 */
export function editDistance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1
  let above = Uint32Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = new Uint32Array(b.length + 1).fill(most + 1)
    if (i <= most) row[0] = i
    let least = row[0]!
    for (let j = Math.max(1, i - most); j <= Math.min(b.length, i + most); j++) {
      row[j] = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + (a.charCodeAt(i - 1) === b.charCodeAt(j - 1) ? 0 : 1))
      least = Math.min(least, row[j]!)
    }
    if (least > most) return most + 1
    above = row
  }
  return Math.min(above[b.length]!, most + 1)
}

function tensorsDifference(expected: unknown, got: unknown): string | undefined {
  if (!isRecord(expected) || !isRecord(got)) return 'tensors by name were expected'
  const names = Object.keys(expected).sort()
  if (names.join() !== Object.keys(got).sort().join()) return `tensors ${names.join(', ')} were expected, got ${Object.keys(got).sort().join(', ')}`
  for (const name of names) {
    const a = expected[name]; const b = got[name]
    if (!isTensor(a) || !isTensor(b)) return `${name} is no tensor`
    if (a.dims.join() !== b.dims.join() || a.data.length !== b.data.length) return `${name}: shape ${a.dims.join('×')} was expected, got ${b.dims.join('×')}`
    for (let at = 0; at < a.data.length; at++) if (!isNear(Number(a.data[at]), Number(b.data[at]))) return `${name}[${at}]: ${a.data[at]} was expected, got ${b.data[at]}`
  }
  return undefined
}

function worstDifference(expected: unknown, got: unknown): string | undefined {
  if (!Array.isArray(expected) || !Array.isArray(got)) return undefined
  const by = new Map((got as { name?: unknown; error?: unknown }[]).map((w) => [w?.name, w?.error]))
  for (const { name, error } of expected as { name: unknown; error: unknown }[]) {
    const problem = by.has(name) ? numberDifference(String(name), error, by.get(name)) : undefined
    if (problem) return problem
  }
  return undefined
}

const numberDifference = (what: string, expected: unknown, got: unknown, absolute = ABSOLUTE): string | undefined =>
  typeof expected === 'number' && typeof got === 'number' && isNear(expected, got, absolute) ? undefined : `${what}: ${String(expected)} was expected, got ${String(got)}`

/** NaN is near nothing: a model that gives one is broken. */
const isNear = (a: number, b: number, absolute = ABSOLUTE): boolean => Math.abs(a - b) <= Math.max(absolute, RELATIVE * Math.max(Math.abs(a), Math.abs(b))) || (a === b && !Number.isNaN(a))

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)
const isNumbers = (value: unknown): value is number[] => Array.isArray(value) && value.every((item) => typeof item === 'number')
const isBox = (value: unknown): value is Box => isRecord(value) && ['x', 'y', 'width', 'height'].every((key) => Number.isFinite(value[key]))
const isDetections = (value: unknown): value is Detection[] => Array.isArray(value) && value.every((d) => isRecord(d) && typeof d.label === 'string' && Number.isFinite(d.score) && isBox(d.box))
const isTensor = (value: unknown): value is { dims: number[]; data: ArrayLike<number | bigint> } => isRecord(value) && Array.isArray(value.dims) && (Array.isArray(value.data) || ArrayBuffer.isView(value.data))
