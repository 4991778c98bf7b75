/** What a long step is at; the total is left out where nobody knows it. */
export interface Step { phase: string; doneBytes: number; totalBytes?: number }

const BAR_CELLS = 24
const REDRAW_MS = 100
/** Not on a terminal: a line at the most so often in one phase. */
const LINE_MS = 10_000

const WORDS: Record<string, string> = { waiting: 'waiting for another process', fetch: 'fetching', extract: 'unpacking', convert: 'converting', inspect: 'looking into it', verify: 'verifying', copy: 'copying' }
export const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(bytes < 10e6 ? 1 : 0)} MB`

/** The bar of a step in text: full where it is done, moving where the total is not known. */
export function bar({ doneBytes, totalBytes }: Step, elapsedMs: number): string {
  if (totalBytes === undefined || totalBytes <= 0) {
    const at = Math.floor(elapsedMs / 150) % (BAR_CELLS - 2)
    return `${'░'.repeat(at)}███${'░'.repeat(BAR_CELLS - 3 - at)}`
  }
  const full = Math.min(BAR_CELLS, Math.round(doneBytes / totalBytes * BAR_CELLS))
  return '█'.repeat(full) + '░'.repeat(BAR_CELLS - full)
}

const amount = ({ doneBytes, totalBytes }: Step) => totalBytes ? `${megabytes(doneBytes)} of ${megabytes(totalBytes)}` : doneBytes > 0 ? megabytes(doneBytes) : ''

/** Shows how far a long step is: on a terminal one line with a bar, elsewhere a line for each phase and now and then one more. */
export class ProgressLine {
  readonly #label: string
  readonly #out: NodeJS.WriteStream
  readonly #startedMs = performance.now()
  #phase = ''
  #shownMs = -Infinity

  constructor(label: string, out: NodeJS.WriteStream = process.stderr) { this.#label = label; this.#out = out }

  show(step: Step): void {
    const nowMs = performance.now()
    const isNew = step.phase !== this.#phase
    if (!isNew && nowMs - this.#shownMs < (this.#out.isTTY ? REDRAW_MS : LINE_MS)) return
    this.#phase = step.phase
    this.#shownMs = nowMs
    const words = WORDS[step.phase] ?? step.phase
    if (this.#out.isTTY) this.#out.write(`\r\u001B[K${this.#label}  ${bar(step, nowMs - this.#startedMs)}  ${words} ${amount(step)}`.slice(0, (this.#out.columns ?? 80) + 4))
    else this.#out.write(`${this.#label}: ${words}${isNew && step.doneBytes === 0 ? '' : ` ${amount(step)}`}\n`)
  }

  /** Takes the line away. */
  end(): void { if (this.#out.isTTY && this.#phase) this.#out.write('\r\u001B[K') }
}
