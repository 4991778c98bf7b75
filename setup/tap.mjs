/**
 * Turns TAP, line by line, into lines for a person: a mark and the title for each test, the details of those that
 * failed as AVA gave them, nothing else. @see https://testanything.org/tap-version-13-specification.html
 */
export class Report {
  passed = 0
  failed = 0
  skipped = 0
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
      if (directive) this.skipped++
      else if (not) this.failed++
      else this.passed++
      this.#print(`${directive ? '-' : not ? '✗' : '✓'} ${title}`)
    } else if (line.startsWith('Bail out!')) { this.failed++; this.#print(`✗ ${line}`) }
    else if (/^\s+# /.test(line)) this.#print(`  ${line.trim()}`)
  }

  /** `broken`: failures that are no tests, such as a type check that failed. */
  closingLine(broken = 0) {
    return `${this.passed} passed, ${this.failed + broken} failed${this.skipped ? `, ${this.skipped} skipped` : ''}`
  }
}
