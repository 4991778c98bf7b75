import type { LogLevel } from './messages.ts'

/** A node that fails with every message must not flood the core: so many lines at once, and so many a second. */
const BURST = 20
const PER_SECOND = 2

/** Levels of Node-RED's log. @see @node-red/util, lib/log.js */
const FATAL = 10, ERROR = 20, WARN = 30

export interface NodeRedLine { level: number; msg?: unknown; type?: string; name?: string; id?: string }

/** Passes on what Node-RED logs, as much as is bearable; the next line tells how many were left out. */
export class LogLines {
  readonly #send: (line: { level: LogLevel; message: string; leftOut: number }) => void
  readonly #nowMs: () => number
  #tokens = BURST
  #sinceMs: number
  #leftOut = 0

  constructor(send: (line: { level: LogLevel; message: string; leftOut: number }) => void, nowMs: () => number = () => performance.now()) {
    this.#send = send
    this.#nowMs = nowMs
    this.#sinceMs = nowMs()
  }

  take({ level, msg, type, name, id }: NodeRedLine): void {
    if (level > WARN) return
    const nowMs = this.#nowMs()
    this.#tokens = Math.min(BURST, this.#tokens + (nowMs - this.#sinceMs) / 1000 * PER_SECOND)
    this.#sinceMs = nowMs
    if (this.#tokens < 1) { this.#leftOut++; return }
    this.#tokens--
    const who = type === undefined ? '' : `${type} ${name ? `“${name}”` : id ?? ''}: `
    this.#send({ level: level <= FATAL ? 'critical' : level <= ERROR ? 'error' : 'warning', message: `${who}${textOf(msg)}`.slice(0, 1000), leftOut: this.#leftOut })
    this.#leftOut = 0
  }
}

function textOf(msg: unknown): string {
  if (msg instanceof Error) return msg.message
  if (typeof msg === 'string') return msg
  const message = (msg as { message?: unknown } | null | undefined)?.message
  if (typeof message === 'string') return message
  try { return JSON.stringify(msg) ?? String(msg) } catch { return String(msg) }
}
