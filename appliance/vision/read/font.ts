import { MtorError } from '../../contracts/errors.ts'

/**
 * A plain 5 × 7 dot matrix of our own for capitals and digits, so that a known answer depends on no font of the board.
 * Seven rows of five dots for each sign, # is ink.
 */
const ROWS = 7
const COLUMNS = 5
const SIGNS = 'A B C D E F G H I J K L M N O P Q R S T U V W X Y Z 0 1 2 3 4 5 6 7 8 9'.split(' ')
const DOTS = [
  '.###. #...# #...# ##### #...# #...# #...#', '####. #...# #...# ####. #...# #...# ####.', '.#### #.... #.... #.... #.... #.... .####', '####. #...# #...# #...# #...# #...# ####.',
  '##### #.... #.... ####. #.... #.... #####', '##### #.... #.... ####. #.... #.... #....', '.#### #.... #.... #..## #...# #...# .####', '#...# #...# #...# ##### #...# #...# #...#',
  '.###. ..#.. ..#.. ..#.. ..#.. ..#.. .###.', '..### ...#. ...#. ...#. ...#. #..#. .##..', '#...# #..#. #.#.. ##... #.#.. #..#. #...#', '#.... #.... #.... #.... #.... #.... #####',
  '#...# ##.## #.#.# #.#.# #...# #...# #...#', '#...# ##..# #.#.# #..## #...# #...# #...#', '.###. #...# #...# #...# #...# #...# .###.', '####. #...# #...# ####. #.... #.... #....',
  '.###. #...# #...# #...# #.#.# #..#. .##.#', '####. #...# #...# ####. #.#.. #..#. #...#', '.#### #.... #.... .###. ....# ....# ####.', '##### ..#.. ..#.. ..#.. ..#.. ..#.. ..#..',
  '#...# #...# #...# #...# #...# #...# .###.', '#...# #...# #...# #...# #...# .#.#. ..#..', '#...# #...# #...# #.#.# #.#.# ##.## #...#', '#...# #...# .#.#. ..#.. .#.#. #...# #...#',
  '#...# #...# .#.#. ..#.. ..#.. ..#.. ..#..', '##### ....# ...#. ..#.. .#... #.... #####',
  '.###. #...# #..## #.#.# ##..# #...# .###.', '..#.. .##.. ..#.. ..#.. ..#.. ..#.. .###.', '.###. #...# ....# ..##. .#... #.... #####', '####. ....# ....# .###. ....# ....# ####.',
  '...#. ..##. .#.#. #..#. ##### ...#. ...#.', '##### #.... ####. ....# ....# #...# .###.', '..##. .#... #.... ####. #...# #...# .###.', '##### ....# ...#. ..#.. ..#.. .#... .#...',
  '.###. #...# #...# .###. #...# #...# .###.', '.###. #...# #...# .#### ....# ...#. .##..',
]
const GLYPHS = new Map(SIGNS.map((sign, index) => [sign, DOTS[index]!.split(' ')]))
/** Pixels of a dot, and dots of white around the line. */
const DOT_PX = 6
const MARGIN = 4
const MAX_SIGNS = 24

/** One line of text, black on white: rows of grey bytes. @throws MtorError MODEL_INVALID for signs the font lacks */
export function drawText(text: string): { data: Uint8Array; widthPx: number; heightPx: number } {
  const signs = [...text]
  const unknown = signs.find((sign) => sign !== ' ' && !GLYPHS.has(sign))
  if (unknown !== undefined || signs.length === 0 || signs.length > MAX_SIGNS) throw new MtorError('MODEL_INVALID', `a known answer's text has 1 to ${MAX_SIGNS} capitals, digits and spaces, got ${JSON.stringify(text)}`)
  const widthPx = (signs.length * (COLUMNS + 1) - 1 + 2 * MARGIN) * DOT_PX
  const heightPx = (ROWS + 2 * MARGIN) * DOT_PX
  const data = new Uint8Array(widthPx * heightPx).fill(255)
  signs.forEach((sign, index) => {
    GLYPHS.get(sign)?.forEach((row, y) => [...row].forEach((dot, x) => {
      if (dot !== '#') return
      const left = (MARGIN + index * (COLUMNS + 1) + x) * DOT_PX
      for (let line = 0; line < DOT_PX; line++) data.fill(0, ((MARGIN + y) * DOT_PX + line) * widthPx + left, ((MARGIN + y) * DOT_PX + line) * widthPx + left + DOT_PX)
    }))
  })
  return { data, widthPx, heightPx }
}
