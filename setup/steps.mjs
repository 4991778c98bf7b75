// What set-up says while it works: one line a step, with a mark and the seconds it took.
// Plain JavaScript: everything in setup/ must run on the system's Node 20, before any package is there.
import { performance } from 'node:perf_hooks'

const colour = process.stderr.isTTY && !process.env.NO_COLOR
const paint = (code, text) => colour ? `\u001B[${code}m${text}\u001B[0m` : text

/** A failure that set-up cannot go on after; `hint` says what to do. */
export class SetupError extends Error {
  constructor(message, hint) {
    super(message)
    this.name = 'SetupError'
    this.hint = hint
  }
}

export const say = (text) => process.stderr.write(`${text}\n`)
export const done = (text, startedMs) => say(`${paint(32, '✓')} ${text}${startedMs === undefined ? '' : ` (${((performance.now() - startedMs) / 1000).toFixed(1)} s)`}`)
export const missing = (text) => say(`${paint(33, '!')} ${text}`)
export const failed = (text) => say(`${paint(31, '✗')} ${text}`)

/**
 * Shows that a long step is alive: on a terminal one line that counts up, elsewhere a line every 15 s.
 * @param {() => string} text asked anew each time
 * @returns {() => void} ends it and clears the line
 */
export function ticking(text) {
  const startedMs = performance.now()
  const tty = process.stderr.isTTY
  const show = () => {
    const line = `  ${text()} … ${Math.round((performance.now() - startedMs) / 1000)} s`
    process.stderr.write(tty ? `\r\u001B[K${line}` : `${line}\n`)
  }
  if (tty) show(); else say(`  ${text()} …`)
  const timer = setInterval(show, tty ? 500 : 15_000)
  return () => { clearInterval(timer); if (tty) process.stderr.write('\r\u001B[K') }
}
