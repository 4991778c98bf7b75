import type { ProcessState } from '../inference/keeper.ts'
import type { FromSpeech } from './messages.ts'

export const TICK_MS = 1_000
/** Ticks without a word of health. Ticks, not time: a core that was itself held up must not blame the child. */
const SILENT_TICKS = 5
const LOADING_TICKS = 60
/** The kernel said that it gets no time, one look after the other: nobody stops it for so long by chance. */
const STOPPED_TICKS = 2
/** Periods without a proof: the ears wait for quiet for two at the most. */
const UNPROVEN_PERIODS = 3
const WRONG_PROOFS = 2
const MAX_FRAME_AGE_MS = 3_000
/** Models and recognisers take some 250 MB; beyond this something leaks, and the process is renewed at a quiet moment. */
const MAX_RSS_BYTES = 600 * 1024 * 1024
/** Beyond this there is no time to wait for a quiet moment. */
const RUNAWAY_RSS_BYTES = 2 * MAX_RSS_BYTES

/** What is to be done with a process. `hung`, `lied`: killed. `large`: renewed when it is quiet. */
export interface Verdict { what: 'hung' | 'lied' | 'large'; reason: string }

export interface VitalSignsOptions { proofPeriodMs: number; monoMs(): number }

/** What the core knows of one speech process, and when it is to be ended for it. Told of every message, and asked once a tick. */
export class VitalSigns {
  readonly #o: VitalSignsOptions
  readonly #unprovenTicks: number
  ready?: { engine: string; loadMs: number }
  deaf = false
  capture?: { state: 'open' | 'closed' | 'failed'; device: string }
  health?: Extract<FromSpeech, { kind: 'health' }>
  /** From the kernel, at the last tick. */
  state?: ProcessState
  provenAtMs?: number
  #silent = 0
  #stopped = 0
  #unproven = 0
  #wrong = 0
  #wrongBecause = ''
  #large = false

  constructor(options: VitalSignsOptions) {
    this.#o = options
    // Ticks may come a little early, and a proof takes its time.
    this.#unprovenTicks = Math.ceil(UNPROVEN_PERIODS * options.proofPeriodMs / TICK_MS) + SILENT_TICKS
  }

  heard(message: FromSpeech): void {
    this.#silent = 0
    switch (message.kind) {
      case 'ready': this.ready = { engine: message.engine, loadMs: message.loadMs }; break
      case 'deaf': this.deaf = true; break
      case 'capture': this.capture = { state: message.state, device: message.device }; break
      case 'health': this.health = message; break
      case 'proven':
        this.#wrong = message.ok ? 0 : this.#wrong + 1
        this.#wrongBecause = message.message ?? ''
        if (!message.ok) break
        this.#unproven = 0
        this.provenAtMs = this.#o.monoMs()
    }
  }

  /** Twice wrong is a lie: nothing that it hears may be believed. Asked after each proof, as lies cannot wait for a tick. */
  get lie(): Verdict | undefined {
    return this.#wrong >= WRONG_PROOFS ? { what: 'lied', reason: `${this.#wrongBecause}, ${this.#wrong} times` } : undefined
  }

  get provenAgeMs(): number | undefined { return this.provenAtMs === undefined ? undefined : Math.max(0, Math.round(this.#o.monoMs() - this.provenAtMs)) }
  /** The kernel's word is taken before that of the process: one that hangs gives none. */
  get rssBytes(): number | undefined { return this.state?.rssBytes ?? this.health?.rssBytes }

  tick(state: ProcessState | undefined): Verdict | undefined {
    this.state = state
    this.#stopped = state?.stopped ? this.#stopped + 1 : 0
    if (this.#stopped >= STOPPED_TICKS) return { what: 'hung', reason: 'it is stopped (SIGSTOP)' }
    if (++this.#silent > (this.ready || this.deaf ? SILENT_TICKS : LOADING_TICKS)) return { what: 'hung', reason: 'no sign of life' }
    if (this.capture?.state === 'open' && (this.health?.lastFrameAgeMs ?? 0) > MAX_FRAME_AGE_MS) return { what: 'hung', reason: 'capture is open but no sound comes' }
    if (this.ready && ++this.#unproven > this.#unprovenTicks) return { what: 'hung', reason: `the ears have not proven themselves for ${UNPROVEN_PERIODS} periods` }
    const rssBytes = this.rssBytes ?? 0
    if (rssBytes > RUNAWAY_RSS_BYTES) return { what: 'hung', reason: `it takes ${Math.round(rssBytes / 1e6)} MB` }
    if (rssBytes <= MAX_RSS_BYTES || this.#large) return undefined
    this.#large = true
    return { what: 'large', reason: `the speech process takes ${Math.round(rssBytes / 1e6)} MB; it is renewed at a quiet moment` }
  }
}
