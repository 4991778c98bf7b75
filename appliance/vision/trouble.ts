import type { MtorError } from '../contracts/errors.ts'
import type { SystemEventInput } from '../contracts/events.ts'

/** Failures in a row before the operator is told: a frame lost is no news. */
const FAILURES_TO_TELL = 3

/** Tells once that there is trouble while watching, and once that it is over. */
export class Trouble {
  readonly #tell: (event: SystemEventInput) => void
  #failures = 0
  #told: string | undefined
  last: { code: string; message: string } | undefined

  constructor(tell: (event: SystemEventInput) => void) { this.#tell = tell }

  failed({ code, message, say }: MtorError): void {
    this.last = { code, message }
    if (++this.#failures < FAILURES_TO_TELL || this.#told === code) return
    // Another trouble than the one that was told is news.
    this.#told = code
    this.#tell({ severity: 'warning', component: 'vision', name: 'watch.blind', code, message, say: `I cannot watch at present. ${say}` })
  }

  worked(): void {
    this.#failures = 0
    this.last = undefined
    if (this.#told === undefined) return
    this.#told = undefined
    this.#tell({ severity: 'info', component: 'vision', name: 'watch.sees', message: 'pictures come again and are looked at', say: 'I can see again.' })
  }
}
