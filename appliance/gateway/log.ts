import { mkdirSync, renameSync, statSync } from 'node:fs'
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
  #logger: Logger | undefined
  #destination: ReturnType<typeof pino.destination> | undefined
  #bytes = 0
  #off: (() => void)[] = []
  #recent = new Map<string, number>()
  #dropped = 0
  #tick: NodeJS.Timeout | undefined

  constructor(file: string, level: string) { this.file = file; this.#level = level }

  start(hub: Hub): void {
    mkdirSync(dirname(this.file), { recursive: true })
    try { this.#bytes = statSync(this.file).size } catch { this.#bytes = 0 }
    this.#destination = pino.destination({ dest: this.file, sync: true, append: true })
    this.#logger = pino({ level: this.#level, base: null, timestamp: false, formatters: { level: (label) => ({ level: label }) } }, this.#destination)
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

  /** Intent events are never dropped: they are the record of what was done. */
  #admit(key: string): boolean {
    const count = (this.#recent.get(key) ?? 0) + 1
    this.#recent.set(key, count)
    if (count <= 50) return true
    this.#dropped += 1
    return false
  }

  #write(level: (typeof PINO_LEVEL)[keyof typeof PINO_LEVEL], kind: string, fact: Record<string, unknown>): void {
    this.#logger?.[level]({ kind, ...fact })
    this.#bytes += 300
    if (this.#bytes > MAX_BYTES && this.#destination) {
      try { renameSync(this.file, `${this.file}.1`); this.#destination.reopen() } catch { /* A full disk: the next write tries again. */ }
      this.#bytes = 0
    }
  }

  stop(): void {
    for (const off of this.#off) off()
    this.#off = []
    clearInterval(this.#tick)
    try { this.#destination?.flushSync() } catch { /* Nothing was waiting. */ }
    this.#destination?.end()
    this.#destination = undefined
    this.#logger = undefined
  }
}
