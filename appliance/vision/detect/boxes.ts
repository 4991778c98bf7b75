import { iou } from '../../inference/equality.ts'
import type { Box } from '../../inference/port.ts'

/** A box in pixels of the input, with the number of its class. */
export interface Candidate { label: number; score: number; box: Box }

/** Candidates by falling score; equal ones by class and place, so that the same outputs always give the same list. */
const order = (a: Candidate, b: Candidate): number => b.score - a.score || a.label - b.label || a.box.y - b.box.y || a.box.x - b.box.x

/** More candidates than this are cut before boxes are compared, which takes the square of their number. */
const MAX_COMPARED = 1_000

/**
 * Non-maximum suppression: the likeliest box stays, those that show the same object go. `sameClass` and `anyClass` are
 * intersection over union above which two boxes are taken for one object.
 */
export function suppress(candidates: Candidate[], limits: { sameClass: number; anyClass: number; most: number }): Candidate[] {
  const kept: Candidate[] = []
  for (const candidate of candidates.sort(order).slice(0, MAX_COMPARED)) {
    if (kept.length >= limits.most) break
    if (kept.every((better) => iou(better.box, candidate.box) <= (better.label === candidate.label ? limits.sameClass : limits.anyClass))) kept.push(candidate)
  }
  return kept
}
