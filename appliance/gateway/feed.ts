import type { IntentEvent, SystemEvent } from '../contracts/events.ts'
import type { Hub } from '../contracts/hub.ts'

type AnyEvent = IntentEvent | SystemEvent
const KEPT = 500
/** A reader that falls this far behind loses the oldest, and is told how many. */
const MOST_BEHIND = 5_000

/** The latest events, and a way to follow them that never holds anybody up. */
export class Feed {
  readonly #kept: AnyEvent[] = []
  readonly #readers = new Set<(event: AnyEvent) => void>()
  #off: (() => void)[] = []

  start(hub: Hub): void {
    const take = (event: AnyEvent) => {
      this.#kept.push(event)
      if (this.#kept.length > KEPT) this.#kept.shift()
      for (const reader of this.#readers) reader(event)
    }
    this.#off = [hub.onIntent(take), hub.onSystem(take)]
  }

  stop(): void { for (const off of this.#off) off(); this.#off = []; this.#readers.clear() }

  /** The last `last` wanted events, then, with a signal, those to come until it aborts. */
  async *read(last: number, follow: AbortSignal | undefined, wanted: (event: AnyEvent) => boolean): AsyncGenerator<AnyEvent> {
    const waiting: AnyEvent[] = last > 0 ? this.#kept.filter(wanted).slice(-last) : []
    let wake = () => {}
    let lost = 0
    const reader = (event: AnyEvent) => {
      if (!wanted(event)) return
      waiting.push(event)
      if (waiting.length > MOST_BEHIND) { waiting.shift(); lost += 1 }
      wake()
    }
    if (follow) this.#readers.add(reader)
    const onAbort = () => wake()
    follow?.addEventListener('abort', onAbort)
    try {
      for (;;) {
        for (let event = waiting.shift(); event; event = waiting.shift()) yield event
        if (lost) { const count = lost; lost = 0; yield { v: 1, severity: 'warning', component: 'feed', name: 'lost', message: `${count} events were lost: reading too slowly`, at: { boot: 0, mono: 0 }, node: 'feed' } }
        if (!follow || follow.aborted) return
        await new Promise<void>((resolve) => { wake = resolve; if (waiting.length || follow.aborted) resolve() })
      }
    } finally { this.#readers.delete(reader); follow?.removeEventListener('abort', onAbort) }
  }
}
