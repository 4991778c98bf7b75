import test from 'ava'
import { Report } from './tap.mjs'

function read(text: string) {
  const lines: string[] = []
  const report = new Report((line: string) => lines.push(line)) as { passed: number; failed: number; skipped: number; line(line: string): void; closingLine(broken?: number): string }
  for (const line of text.split('\n')) report.line(line)
  return { lines, report }
}

test('the closing line counts passed, failed and skipped tests', (t) => {
  const { lines, report } = read('TAP version 13\nok 1 - a\nnot ok 2 - b\n  ---\n    name: AssertionError\n    ok 9 - not a test\n  ...\nok 3 - c # SKIP\n1..3\n')
  t.is(report.closingLine(), '1 passed, 1 failed, 1 skipped')
  t.deepEqual(lines, ['✓ a', '✗ b', '      name: AssertionError', '      ok 9 - not a test', '- c'])
})

test('a failed type check counts as a failure even when every test passed', (t) => {
  t.is(read('ok 1 - a').report.closingLine(1), '1 passed, 1 failed')
})

test('nothing run counts as nothing passed', (t) => {
  t.is(read('TAP version 13\n1..0').report.closingLine(), '0 passed, 0 failed')
})

test('a second run of what failed takes the place of the first; what fails again, or did not run, has failed', (t) => {
  const { report: first } = read('ok 1 - bus › limits › a\nnot ok 2 - bus › limits › starved\nnot ok 3 - bus › limits › wrong\nnot ok 4 - bus › limits › gone\nnot ok 5 - other › starved')
  const { report: again } = read('ok 1 - a\nok 2 - starved\nnot ok 3 - wrong')
  t.deepEqual((first as unknown as Report).amend(again as unknown as Report, 'bus › limits › '), ['bus › limits › starved'])
  t.is(first.closingLine(), '2 passed, 3 failed')
})
