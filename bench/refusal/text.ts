import { createHash } from 'node:crypto'

/** A number from 0 to 2³² − 1 that a text always gives, whatever else is in the corpus. */
export const hash = (text: string): number => createHash('sha256').update(text).digest().readUInt32BE(0)

/** The list in an order that its key decides, the same for the same key. */
export function ranked<T>(list: readonly T[], key: string, nameOf: (item: T) => string): T[] {
  return list.toSorted((a, b) => hash(`${key}\0${nameOf(a)}`) - hash(`${key}\0${nameOf(b)}`))
}

/** Lines of a text file without comments and empty ones. */
export const linesOf = (text: string): string[] =>
  text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'))

/** The list in an order that chance decides. */
export function shuffled<T>(list: readonly T[], random: () => number): T[] {
  const rest = [...list]
  return list.map(() => rest.splice(Math.floor(random() * rest.length), 1)[0]!)
}

/** Whether two texts are the same words, but for articles and the two ways to write a metre. */
export function sameWords(one: string, other: string): boolean {
  const plain = (text: string) => {
    const words =
      text
        .toLowerCase()
        .replaceAll('metre', 'meter')
        .match(/[a-z]+/g) ?? []
    return words.filter((word) => word !== 'the' && word !== 'a').join(' ')
  }
  return plain(one) === plain(other)
}
