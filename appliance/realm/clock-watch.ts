import type { SystemEventInput } from '../contracts/events.ts'
import type { Peers } from './peers/port.ts'

/** Clocks of one realm are told to differ from here on, and to agree again below the half of it. */
const DIFFERENT_MS = 2_000
const PERIOD_MS = 1_000

/**
 * Looks at how far the wall clocks of the nodes are apart. Nothing in the realm hangs on them (expiry and leases are
 * judged on monotonic clocks), but records of two boards are compared by them, so that whoever keeps the boards should know.
 */
export class ClockWatch {
  readonly #peers: Peers
  readonly #report: (event: Omit<SystemEventInput, 'component'>) => void
  readonly #different = new Set<string>()
  #timer: NodeJS.Timeout | undefined

  constructor(options: { peers: Peers; report(event: Omit<SystemEventInput, 'component'>): void }) {
    this.#peers = options.peers
    this.#report = options.report
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), PERIOD_MS)
    this.#timer.unref()
  }

  stop(): void { clearInterval(this.#timer) }

  look(): void {
    for (const { node, online, clock } of this.#peers.list()) {
      const offsetMs = clock?.offsetMs
      if (!online || offsetMs === undefined) continue
      if (Math.abs(offsetMs) > DIFFERENT_MS && !this.#different.has(node)) {
        this.#different.add(node)
        this.#report({ severity: 'warning', name: 'clock.differs', message: `the clock of ${node} is ${(Math.abs(offsetMs) / 1000).toFixed(1)} s ${offsetMs > 0 ? 'ahead of' : 'behind'} ours`, data: { node, offsetMs: Math.round(offsetMs) } })
      } else if (Math.abs(offsetMs) < DIFFERENT_MS / 2 && this.#different.delete(node)) {
        this.#report({ severity: 'info', name: 'clock.agrees', message: `the clock of ${node} agrees with ours again`, data: { node, offsetMs: Math.round(offsetMs) } })
      }
    }
  }
}
