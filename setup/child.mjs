import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { join } from 'node:path'
import { root } from './setup.mjs'

/**
 * Environment of everything that runs with Node 24: stripped and compiled sources are kept between runs, which saves
 * each process about 30 MB (the stripper is not loaded) and the command line a third of its time.
 */
export const environment = {
  ...process.env, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(root, '.cache/compiled'),
  // Two heaps of the C library instead of eight a core: the recogniser's many buffers leave 40 MB less behind. @see mallopt(3)
  MALLOC_ARENA_MAX: process.env.MALLOC_ARENA_MAX ?? '2',
}

/** Young generations of 1 MB instead of 16: at rest the core needs about 30 MB less, under load 80. */
export const DAEMON_FLAGS = ['--max-semi-space-size=1']

/**
 * Runs a TypeScript file with Node 24 in place of this process: same terminal, its exit code becomes ours.
 * A Ctrl-C reaches it once: on a terminal the kernel sends it to the whole group, elsewhere it is handed on.
 */
export function become(file, args, nodeFlags = []) {
  const child = spawn(join(root, 'node_modules/.bin/node'), ['--no-warnings', ...nodeFlags, join(root, file), ...args], { stdio: 'inherit', env: environment })
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
