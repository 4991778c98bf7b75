import { hasProgram, output } from '../child.ts'
import type { Clock } from '../../contracts/clock.ts'

const PERIOD_MS = 10_000

/** What nvidia-smi prints for --query-compute-apps=pid,used_memory --format=csv,noheader,nounits: "1234, 345" in MiB; "[N/A]" where the driver does not tell. */
export function parseComputeApps(text: string): Map<number, number> {
  const bytes = new Map<number, number>()
  for (const line of text.split('\n')) {
    const match = /^\s*(\d+)\s*,\s*(\d+)\s*(?:MiB)?\s*$/.exec(line)
    if (match) bytes.set(Number(match[1]), (bytes.get(Number(match[1])) ?? 0) + Number(match[2]) * 1024 * 1024)
  }
  return bytes
}

/**
 * GPU memory of processes, read at most every 10 s, because nvidia-smi takes its time. Where that program is missing (also on Jetson,
 * where GPU memory is the board's memory and stands in the resident size) nothing is known.
 */
export class GpuMemory {
  readonly #clock: Clock
  readonly #isThere = hasProgram('nvidia-smi')
  #bytes = new Map<number, number>()
  #nextMs = 0
  #isReading = false

  constructor(clock: Clock) { this.#clock = clock }

  /** As last read; undefined where that is not known. */
  of(pid: number | undefined): number | undefined { return pid === undefined ? undefined : this.#bytes.get(pid) }

  refresh(): void {
    if (!this.#isThere || this.#isReading || this.#clock.monoMs() < this.#nextMs) return
    this.#isReading = true
    this.#nextMs = this.#clock.monoMs() + PERIOD_MS
    void output('nvidia-smi', ['--query-compute-apps=pid,used_memory', '--format=csv,noheader,nounits']).then((text) => {
      this.#isReading = false
      this.#bytes = text === undefined ? new Map() : parseComputeApps(text)
    })
  }
}
