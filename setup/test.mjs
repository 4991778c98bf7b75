#!/usr/bin/env node
// npm test [-- ava arguments]: set up, check types, run AVA; prints each test as it ends and closes with
// "N passed, N failed" (", N skipped"). Ends with 0 only when types and tests are right and at least one test ran.
import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import { environment } from './child.mjs'
import { root, setUpOrExit } from './setup.mjs'
import { done, failed } from './steps.mjs'
import { Report } from './tap.mjs'

await setUpOrExit('test')
const bin = join(root, 'node_modules/.bin')
const env = { ...environment, PATH: `${bin}:${process.env.PATH}` }

const startedMs = performance.now()
const types = spawnSync(join(bin, 'tsc'), ['-p', root], { stdio: 'inherit', env, cwd: root })
if (types.status === 0) done('types', startedMs); else failed('types')

const ava = spawn(join(bin, 'ava'), ['--tap', ...process.argv.slice(2)], { stdio: ['ignore', 'pipe', 'inherit'], env, cwd: root })
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => ava.kill(signal))
const report = new Report((line) => process.stdout.write(`${line}\n`))
createInterface({ input: ava.stdout }).on('line', (line) => report.line(line))
ava.on('close', (code) => {
  const broken = (types.status === 0 ? 0 : 1) + (code !== 0 && report.failed === 0 ? 1 : 0)
  if (code !== 0 && report.failed === 0) failed(`the test runner ended with ${code}`)
  process.stdout.write(`\n${report.closingLine(broken)}\n`)
  process.exitCode = code === 0 && broken === 0 && report.failed === 0 && report.passed > 0 ? 0 : code || 1
})
