import type { Box, TextLine } from '../../inference/port.ts'
import type { ReadWord } from './engine.ts'

/**
 * A line is text when one word of it is as sure as this, the surer the shorter: gravel, grass and spokes give words of one or
 * two signs now and then. Words that stand beside a sure one may be less sure.
 */
const ALONE = [Infinity, 0.92, 0.88, 0.7] as const
const BESIDE = 0.5

/** Letters and digits. */
const weight = (text: string) => text.replaceAll(/[^\p{L}\p{N}]/gu, '').length

const around = (boxes: readonly Box[]): Box => {
  const x = Math.min(...boxes.map((box) => box.x))
  const y = Math.min(...boxes.map((box) => box.y))
  return { x, y, width: Math.max(...boxes.map((box) => box.x + box.width)) - x, height: Math.max(...boxes.map((box) => box.y + box.height)) - y }
}

/** What is text of what was read, and what is grain: by how sure its words are. */
export function textLines(lines: readonly (readonly ReadWord[])[]): TextLine[] {
  const kept: TextLine[] = []
  for (const words of lines) {
    const isSure = words.some((word) => word.confidence >= ALONE[Math.min(3, weight(word.text)) as 0 | 1 | 2 | 3])
    const good = isSure ? words.filter((word) => word.confidence >= BESIDE && weight(word.text) > 0) : []
    if (good.length === 0) continue
    kept.push({ text: good.map((word) => word.text).join(' '), confidence: good.reduce((sum, word) => sum + word.confidence, 0) / good.length, box: around(good.map((word) => word.box)) })
  }
  return kept
}

/** How much was read: signs, each as far as it is sure. */
export const readScore = (lines: readonly TextLine[]): number => lines.reduce((sum, line) => sum + weight(line.text) * line.confidence, 0)
