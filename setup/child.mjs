import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { join } from 'node:path'
import { root } from './setup.mjs'

/**
 * Runs a TypeScript file with Node 24 in place of this process: same terminal, its exit code becomes ours.
 * A Ctrl-C reaches it once: on a terminal the kernel sends it to the whole group, elsewhere it is handed on.
 */
export function become(file, args) {
  const child = spawn(join(root, 'node_modules/.bin/node'), ['--no-warnings', join(root, file), ...args], { stdio: 'inherit' })
  let lastSignalMs = -Infinity
  const hand = (signal) => {
    // npm repeats to its child the signal that the child's whole group had got already.
    if (performance.now() - lastSignalMs > 300) child.kill(signal)
    lastSignalMs = performance.now()
  }
  process.on('SIGINT', () => { if (!process.stdin.isTTY) hand('SIGINT') })
  process.on('SIGTERM', () => hand('SIGTERM'))
  process.on('SIGHUP', () => hand('SIGHUP'))
  child.on('error', (error) => { process.stderr.write(`✗ cannot run Node 24: ${error.message}\n`); process.exit(1) })
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (signal ? constants.signals[signal] : 0)))
}
