import type { Hub } from '../contracts/hub.ts'
import { eventLine } from './show.ts'

/** What keys mean, as a terminal sends them: several in one go where they are hit fast; an arrow or function key begins with Esc. */
export function actionOf(keys: string): 'stop' | 'quit' | undefined {
  if (/^\u001b[[O]/.test(keys)) return undefined
  if (/[ sS\u001b]/.test(keys)) return 'stop'
  return /[q\u0003]/.test(keys) ? 'quit' : undefined
}

/**
 * The console of a daemon in the foreground: one line for what a person wants to see, and keys while it is a terminal:
 * space, Esc or s stops everything that moves; q or Ctrl-C ends the daemon.
 */
export class Screen {
  readonly #o: { stop: (reason: string) => void; quit: () => void }
  #off: (() => void)[] = []

  constructor(options: { stop: (reason: string) => void; quit: () => void }) { this.#o = options }

  get hasKeys() { return process.stdin.isTTY === true }

  start(hub: Hub): void {
    this.#off = [
      hub.onIntent((event) => { if (event.state !== 'progress') this.line(eventLine(event as unknown as Record<string, unknown>)) }),
      hub.onSystem((event) => { if (event.severity !== 'debug') this.line(eventLine(event as unknown as Record<string, unknown>)) }),
    ]
    if (!this.hasKeys) return
    process.stdin.setRawMode(true)
    process.stdin.resume()
    process.stdin.on('data', this.#onKey)
  }

  readonly #onKey = (data: Buffer) => {
    const action = actionOf(data.toString())
    if (action === 'stop') this.#o.stop('console key')
    else if (action === 'quit') this.#o.quit()
  }

  line(text: string): void { process.stdout.write(`${text}\n`) }

  stop(): void {
    for (const off of this.#off) off()
    this.#off = []
    if (!this.hasKeys) return
    process.stdin.off('data', this.#onKey)
    process.stdin.setRawMode(false)
    process.stdin.pause()
  }
}
