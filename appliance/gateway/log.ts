import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { pino, type Logger } from 'pino'
import type { Hub } from '../contracts/hub.ts'

const MAX_BYTES = 32 * 1024 * 1024
const PINO_LEVEL = { debug: 'debug', info: 'info', warning: 'warn', error: 'error', critical: 'fatal' } as const

/**
 * The log: JSON lines, one per fact, written synchronously, so that a killed process has said all it knew (campaigns are
 * judged by these lines). At most two files of 32 MB. Repeats of one fact beyond 50 a second are counted, not written.
 */
export class FactLog {
  readonly file: string
  readonly #level: string
  #hub: Hub | undefined
  #logger: Logger | undefined
  #fd = -1
  #bytes = 0
  #off: (() => void)[] = []
  #recent = new Map<string, number>()
  #dropped = 0
  /** Lines that the disk did not take since it last took one, and whether it took half of one. */
  #lost = 0
  #isTorn = false
  #tick: NodeJS.Timeout | undefined

  constructor(file: string, level: string) { this.file = file; this.#level = level }

  start(hub: Hub): void {
    this.#hub = hub
    mkdirSync(dirname(this.file), { recursive: true })
    this.#open()
    // Not pino's own file stream: on a full disk that one throws at whoever logs, keeps every line in memory, and when it
    // is closed waits for room for ever.
    this.#logger = pino({ level: this.#level, base: null, timestamp: false, formatters: { level: (label) => ({ level: label }) } }, { write: (line) => this.#append(line) })
    this.#off = [
      hub.onIntent((event) => this.#write('info', 'intent', event as unknown as Record<string, unknown>)),
      hub.onSystem((event) => { if (this.#admit(`${event.component}/${event.name}`)) this.#write(PINO_LEVEL[event.severity], 'system', event as unknown as Record<string, unknown>) }),
    ]
    this.#tick = setInterval(() => {
      this.#recent.clear()
      if (this.#dropped) { this.#write('warn', 'system', { component: 'log', name: 'dropped', data: { count: this.#dropped } }); this.#dropped = 0 }
    }, 1_000)
    this.#tick.unref()
  }

  #open(): void {
    this.#fd = openSync(this.file, 'a')
    this.#bytes = fstatSync(this.#fd).size
  }

  #append(line: string): void {
    const bytes = Buffer.from(this.#isTorn ? `\n${line}` : line)
    let written = 0
    let failure: unknown
    try { written = writeSync(this.#fd, bytes) } catch (error) { failure = error }
    if (written > 0) this.#isTorn = written < bytes.length
    if (written < bytes.length) {
      this.#lost += 1
      // Told the others once; here that is one more line that is lost.
      if (this.#lost === 1) this.#hub?.system({ severity: 'error', component: 'log', name: 'log.unwritable', message: `${this.file}: ${failure instanceof Error ? failure.message : 'half a line was written'}` })
      return
    }
    this.#bytes += bytes.length
    if (this.#lost) { const count = this.#lost; this.#lost = 0; this.#write('warn', 'system', { component: 'log', name: 'lost', data: { count } }) }
    if (this.#bytes > MAX_BYTES) this.#turn()
  }

  /** The present file becomes the old one. */
  #turn(): void {
    try {
      renameSync(this.file, `${this.file}.1`)
      const before = this.#fd
      this.#open()
      closeSync(before)
    } catch { this.#bytes = 0 /* Later again. */ }
  }

  /** Intent events are never dropped: they are the record of what was done. */
  #admit(key: string): boolean {
    const count = (this.#recent.get(key) ?? 0) + 1
    this.#recent.set(key, count)
    if (count <= 50) return true
    this.#dropped += 1
    return false
  }

  #write(level: (typeof PINO_LEVEL)[keyof typeof PINO_LEVEL], kind: string, fact: Record<string, unknown>): void { this.#logger?.[level]({ kind, ...fact }) }

  stop(): void {
    for (const off of this.#off) off()
    this.#off = []
    clearInterval(this.#tick)
    this.#logger = undefined
    if (this.#fd >= 0) closeSync(this.#fd)
    this.#fd = -1
  }
}
