#!/usr/bin/env node
// npm test [-- ava arguments]: set up, check types, run AVA; prints each test as it ends and closes with
// "N passed, N failed" (", N skipped"). Ends with 0 only when types and tests are right and at least one test ran.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import { environment } from './child.mjs'
import { root, setUpOrExit } from './setup.mjs'
import { done, failed } from './steps.mjs'
import { Report } from './tap.mjs'

await setUpOrExit('test')
/** More files than this that fail are no accident. */
const MOST_AGAIN = 5
const bin = join(root, 'node_modules/.bin')
const env = { ...environment, PATH: `${bin}:${process.env.PATH}` }

const startedMs = performance.now()
const types = spawnSync(join(bin, 'tsc'), ['-p', root], { stdio: 'inherit', env, cwd: root })
if (types.status === 0) done('types', startedMs); else failed('types')

/** Runs AVA; resolves with its exit code. */
function run(args, report) {
  const ava = spawn(join(bin, 'ava'), ['--tap', ...args], { stdio: ['ignore', 'pipe', 'inherit'], env, cwd: root })
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => ava.kill(signal))
  createInterface({ input: ava.stdout }).on('line', (line) => report.line(line))
  return new Promise((resolve) => ava.on('close', resolve))
}

/** The file of a test, from its title: "appliance › bus › limits › …" is of appliance/bus/limits.test.ts. */
function fileOf(title) {
  const parts = title.split(' › ')
  return parts.map((_, i) => `${parts.slice(0, i + 1).join('/')}.test.ts`).find((file) => existsSync(join(root, file)))
}

const args = process.argv.slice(2)
const print = (line) => process.stdout.write(`${line}\n`)
const report = new Report(print)
let code = await run(args, report)
if (code !== 0 && report.failed === 0) failed(`the test runner ended with ${code}`)
// Many tests bring up whole boxes, and two cores may starve one of them. A file that failed is run once more by itself, for
// all to see; what fails there has failed.
const files = [...new Set(report.failures.map(fileOf))].filter((file) => file !== undefined)
if (args.length === 0 && files.length <= MOST_AGAIN) {
  for (const file of files) {
    print(`\nonce more, by itself: ${file}`)
    const again = new Report(print)
    const codeAgain = await run([file], again)
    for (const title of report.amend(again, `${file.replace(/\.test\.ts$/, '').replaceAll('/', ' › ')} › `)) print(`! failed at first, passed by itself: ${title}`)
    if (report.failed === 0) code = codeAgain
  }
}
const broken = (types.status === 0 ? 0 : 1) + (code !== 0 && report.failed === 0 ? 1 : 0)
process.stdout.write(`\n${report.closingLine(broken)}\n`)
process.exitCode = code === 0 && broken === 0 && report.failed === 0 && report.passed > 0 ? 0 : code || 1
