/**
 * Turns TAP, line by line, into lines for a person: a mark and the title for each test, the details of those that
 * failed as AVA gave them, nothing else. @see https://testanything.org/tap-version-13-specification.html
 */
export class Report {
  passed = 0
  failed = 0
  skipped = 0
  /** Titles of the tests that failed, with the way to their file in front. */
  failures = []
  /** All titles. */
  titles = new Set()
  #print
  #inDetails = false

  /** @param {(line: string) => void} print */
  constructor(print) { this.#print = print }

  /** @param {string} line */
  line(line) {
    if (this.#inDetails) {
      if (line.trim() === '...') this.#inDetails = false
      else this.#print(`  ${line}`)
      return
    }
    if (/^\s+---$/.test(line)) { this.#inDetails = true; return }
    const result = /^(not )?ok\b\s*\d*\s*-?\s*(.*)$/.exec(line)
    if (result) {
      const [, not, text] = result
      const directive = / # (SKIP|TODO)\b/i.exec(text)
      const title = directive ? text.slice(0, directive.index) : text
      this.titles.add(title)
      if (directive) this.skipped++
      else if (not) { this.failed++; this.failures.push(title) }
      else this.passed++
      this.#print(`${directive ? '-' : not ? '✗' : '✓'} ${title}`)
    } else if (line.startsWith('Bail out!')) { this.failed++; this.#print(`✗ ${line}`) }
    else if (/^\s+# /.test(line)) this.#print(`  ${line.trim()}`)
  }

  /**
   * Takes in a second run of one file: what passes there has passed.
   * @param {Report} again its titles are without `prefix`, the way to the file
   * @param {string} prefix
   * @returns {string[]} titles that failed at first and passed by themselves
   */
  amend(again, prefix) {
    const mended = this.failures.filter((title) => title.startsWith(prefix) && again.titles.has(title.slice(prefix.length)) && !again.failures.includes(title.slice(prefix.length)))
    this.failures = this.failures.filter((title) => !mended.includes(title))
    this.failed -= mended.length
    this.passed += mended.length
    return mended
  }

  /** `broken`: failures that are no tests, such as a type check that failed. */
  closingLine(broken = 0) {
    return `${this.passed} passed, ${this.failed + broken} failed${this.skipped ? `, ${this.skipped} skipped` : ''}`
  }
}
