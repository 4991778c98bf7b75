import type { Clock } from '../../contracts/clock.ts'
import { LinesFile } from './lines-file.ts'

/** An input that is not run any more. */
export interface Quarantined { key: string; task: string; model: string; version: string; /** The input itself where it is short, for whoever looks into it. */ input?: string; at?: number; reasons: string[] }
interface Loss { reasons: string[]; model: string }

/** So many workers lost by one input, without a right answer to it in between. */
const LOSSES = 2
const MOST = 500
const MOST_SUSPECTS = 500
const MOST_INPUT_CHARACTERS = 500
const OTHERS_WINDOW_MS = 60_000

/** How a worker was lost over an input. `killed`: by a SIGKILL that was not ours: the kernel short of memory, or somebody outside. */
export type LossKind = 'crash' | 'hang' | 'memory' | 'killed'

/**
 * Inputs that have cost two workers (crash, hang, or memory beyond all bounds) are run no more, also after a restart of the appliance. The
 * rule: two losses in a row of one input, with no right answer to it in between. A SIGKILL from outside counts only where no other
 * input lost its worker in the same way within a minute: then somebody kills workers, and not the input. A worker that
 * was stopped (SIGSTOP), gave a wrong proof or lost its GPU says nothing of the input and is not brought here.
 */
export class Quarantine {
  readonly #clock: Clock
  readonly #file: LinesFile
  #entries = new Map<string, Quarantined>()
  #suspects = new Map<string, Loss>()
  #killed: { key: string; atMs: number }[] = []

  constructor(clock: Clock, file: string, onLost: (error: unknown) => void) { this.#clock = clock; this.#file = new LinesFile(file, Infinity, onLost) }

  async start(): Promise<void> {
    for (const line of await this.#file.read()) if (isEntry(line)) this.#entries.set(line.key, line)
    this.#trim()
  }

  stop(): Promise<void> { return this.#file.flush() }

  /** Cheap: where nothing of a model is kept, no input needs to be hashed. */
  holds(model: string): boolean { for (const entry of this.#entries.values()) if (entry.model === model) return true; return false }
  get(key: string): Quarantined | undefined { return this.#entries.get(key) }
  count(model: string): number { return [...this.#entries.values()].filter((entry) => entry.model === model).length }
  list(): Quarantined[] { return [...this.#entries.values()] }

  /** A worker was lost while it ran this input; the entry where that was once too often. */
  lost(subject: { key: string; task: string; model: string; version: string; input: unknown }, kind: LossKind, detail: string): Quarantined | undefined {
    const { key, task, model, version, input } = subject
    if (kind === 'killed') {
      const now = this.#clock.monoMs()
      this.#killed = [...this.#killed.filter(({ atMs }) => now - atMs < OTHERS_WINDOW_MS), { key, atMs: now }].slice(-100)
      if (this.#killed.some((other) => other.key !== key)) return undefined
    }
    const loss = this.#suspects.get(key) ?? { reasons: [], model }
    loss.reasons.push(`${kind}: ${detail}`)
    this.#suspects.delete(key)
    if (loss.reasons.length < LOSSES) {
      this.#suspects.set(key, loss)
      if (this.#suspects.size > MOST_SUSPECTS) this.#suspects.delete(this.#suspects.keys().next().value!)
      return undefined
    }
    const text = JSON.stringify(input, (_, value: unknown) => typeof value === 'bigint' ? Number(value) : ArrayBuffer.isView(value) ? `${value.byteLength} bytes` : value)
    const at = this.#clock.wallMs()
    const entry: Quarantined = { key, task, model, version, input: text.slice(0, MOST_INPUT_CHARACTERS), ...(at === undefined ? {} : { at }), reasons: loss.reasons }
    this.#entries.set(key, entry)
    if (this.#trim()) this.#file.replace([...this.#entries.values()])
    else this.#file.append(entry)
    return entry
  }

  /** Is anything held against this model's inputs? Then a right answer is worth telling. */
  suspects(model: string): boolean { for (const loss of this.#suspects.values()) if (loss.model === model) return true; return false }

  /** It was answered right. */
  right(key: string): void { this.#suspects.delete(key) }

  #trim(): boolean {
    const isOver = this.#entries.size > MOST
    while (this.#entries.size > MOST) this.#entries.delete(this.#entries.keys().next().value!)
    return isOver
  }
}

const isEntry = (line: Record<string, unknown>): line is Record<string, unknown> & Quarantined => typeof line.key === 'string' && typeof line.model === 'string' && Array.isArray(line.reasons)
