import type { RawOutputs } from './decode.ts'

/** How many bands an output is cut into. */
const BANDS = 8

/**
 * A few numbers of the raw outputs, in the order of their names, that can be compared between machines where the bits
 * cannot: of each of eight equal parts of an output the mean and the mean square's root. Every number of the output counts.
 */
export function summarise(outputs: RawOutputs): number[] {
  return Object.keys(outputs).sort().flatMap((name) => {
    const { data } = outputs[name]!
    return Array.from({ length: BANDS }, (_, band) => {
      const from = Math.floor(band * data.length / BANDS), to = Math.floor((band + 1) * data.length / BANDS)
      let sum = 0, squares = 0
      for (let i = from; i < to; i++) { sum += data[i]!; squares += data[i]! * data[i]! }
      const count = Math.max(1, to - from)
      return [sum / count, Math.sqrt(squares / count)].map((value) => Number(value.toPrecision(6)))
    }).flat()
  })
}
